"""OpenAI's Python SDK, chat completions. In: see told.py. Out: what happened, as one line of JSON."""

import json

import told
from openai import OpenAI

client = OpenAI(base_url=told.URL + "/v1", api_key=told.KEY, max_retries=0)
messages = [{"role": "user", "content": told.QUESTION}]
tools = [{"type": "function", "function": {
    "name": told.TOOL, "description": told.DESCRIPTION, "parameters": told.SCHEMA}}]


def turn():
    """One streamed answer, put together."""
    text, calls, usage, pieces = "", {}, None, 0
    stream = client.chat.completions.create(
        model=told.MODEL, messages=messages, tools=tools, stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        pieces += 1
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for part in choice.delta.tool_calls or []:
                call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += part.id or ""
                call["name"] += part.function.name or ""
                call["arguments"] += part.function.arguments or ""
    told.used(usage.prompt_tokens, usage.completion_tokens)
    return text, list(calls.values()), pieces


text, calls, _ = turn()
messages.append({"role": "assistant", "content": text or None, "tool_calls": [
    {"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}
    for call in calls]})
for call in calls:
    result = told.call(call["name"], json.loads(call["arguments"]))
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
text, calls, pieces = turn()
told.report(text, pieces, calls)
