// OpenAI's JavaScript SDK, responses. In: see told.mjs. Out: what happened, as one line of JSON.

import OpenAI from "openai";
import * as told from "./told.mjs";

const client = new OpenAI({ baseURL: `${told.url}/v1`, apiKey: told.key, maxRetries: 0 });
const input = [{ role: "user", content: told.question }];
const tools = [
  { type: "function", name: told.tool, description: told.description, parameters: told.schema, strict: false },
];

/** One streamed answer: the response that the SDK puts together. */
async function turn() {
  let pieces = 0;
  const stream = client.responses.stream({ model: told.model, input, tools });
  for await (const _ of stream) pieces += 1;
  const response = await stream.finalResponse();
  told.used(response.usage.input_tokens, response.usage.output_tokens);
  return { response, pieces, calls: response.output.filter((item) => item.type === "function_call") };
}

const first = await turn();
for (const { parsed_arguments: _, ...item } of first.response.output) input.push(item);
for (const call of first.calls) {
  const result = told.call(call.name, JSON.parse(call.arguments));
  input.push({ type: "function_call_output", call_id: call.call_id, output: result });
}
const second = await turn();
told.report(second.response.output_text, second.pieces, second.calls);
