"""OpenAI's Python SDK, responses. In: see told.py. Out: what happened, as one line of JSON."""

import json

import told
from openai import OpenAI

client = OpenAI(base_url=told.URL + "/v1", api_key=told.KEY, max_retries=0)
items = [{"role": "user", "content": told.QUESTION}]
tools = [{"type": "function", "name": told.TOOL, "description": told.DESCRIPTION, "parameters": told.SCHEMA}]


def turn():
    """One streamed answer: its text as it came, and the whole of it."""
    text, pieces = "", 0
    with client.responses.stream(model=told.MODEL, input=items, tools=tools) as stream:
        for event in stream:
            pieces += 1
            if event.type == "response.output_text.delta":
                text += event.delta
        response = stream.get_final_response()
    assert response.output_text == text, (response.output_text, text)
    told.used(response.usage.input_tokens, response.usage.output_tokens)
    return text, response, pieces


_, response, _ = turn()
# As the SDK's own examples do: all that came goes back.
items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in response.output]
for call in [item for item in response.output if item.type == "function_call"]:
    result = told.call(call.name, json.loads(call.arguments))
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
text, response, pieces = turn()
told.report(text, pieces, [item for item in response.output if item.type == "function_call"])
