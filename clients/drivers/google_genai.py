"""Google's Python SDK for Gemini. In: see told.py. Out: what happened, as one line of JSON."""

import told
from google import genai
from google.genai import types

client = genai.Client(api_key=told.KEY, http_options=types.HttpOptions(base_url=told.URL))
contents = [types.Content(role="user", parts=[types.Part(text=told.QUESTION)])]
tool = types.Tool(function_declarations=[types.FunctionDeclaration(
    name=told.TOOL, description=told.DESCRIPTION, parameters_json_schema=told.SCHEMA)])
config = types.GenerateContentConfig(
    tools=[tool], automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))


def turn():
    """One streamed answer: all its parts, as they came."""
    parts, usage, pieces, finish = [], None, 0, None
    for chunk in client.models.generate_content_stream(model=told.MODEL, contents=contents, config=config):
        pieces += 1
        usage = chunk.usage_metadata or usage
        for candidate in chunk.candidates or []:
            finish = candidate.finish_reason or finish
            parts += (candidate.content and candidate.content.parts) or []
    assert finish == types.FinishReason.STOP, finish
    told.used(usage.prompt_token_count, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0))
    return parts, pieces


parts, _ = turn()
calls = [part.function_call for part in parts if part.function_call]
contents.append(types.Content(role="model", parts=parts))
contents.append(types.Content(role="user", parts=[
    types.Part(function_response=types.FunctionResponse(
        id=call.id, name=call.name, response={"output": told.call(call.name, call.args)}))
    for call in calls]))
parts, pieces = turn()
text = "".join(part.text or "" for part in parts if not part.thought)
told.report(text, pieces, [part for part in parts if part.function_call])
