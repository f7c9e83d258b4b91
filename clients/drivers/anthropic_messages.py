"""Anthropic's Python SDK. In: see told.py. Out: what happened, as one line of JSON."""

import told
from anthropic import Anthropic

client = Anthropic(base_url=told.URL, api_key=told.KEY, max_retries=0)
messages = [{"role": "user", "content": told.QUESTION}]
tools = [{"name": told.TOOL, "description": told.DESCRIPTION, "input_schema": told.SCHEMA}]


def turn():
    """One streamed answer: its text as it came, and the whole of it."""
    text, pieces = "", 0
    with client.messages.stream(model=told.MODEL, max_tokens=1000, messages=messages, tools=tools) as stream:
        for event in stream:
            pieces += 1
            if event.type == "text":
                text += event.text
        message = stream.get_final_message()
    told.used(message.usage.input_tokens, message.usage.output_tokens)
    return text, message, pieces


_, message, _ = turn()
calls = [block for block in message.content if block.type == "tool_use"]
assert message.stop_reason == "tool_use", message.stop_reason
messages.append({"role": "assistant", "content": message.content})
messages.append({"role": "user", "content": [
    {"type": "tool_result", "tool_use_id": call.id, "content": told.call(call.name, call.input)} for call in calls]})
text, message, pieces = turn()
assert message.stop_reason == "end_turn", message.stop_reason
told.report(text, pieces, [block for block in message.content if block.type == "tool_use"])
