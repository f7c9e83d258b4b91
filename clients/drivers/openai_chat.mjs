// OpenAI's JavaScript SDK, chat completions. In: see told.mjs. Out: what happened, as one line of JSON.

import OpenAI from "openai";
import * as told from "./told.mjs";

const client = new OpenAI({ baseURL: `${told.url}/v1`, apiKey: told.key, maxRetries: 0 });
const messages = [{ role: "user", content: told.question }];
const tools = [
  { type: "function", function: { name: told.tool, description: told.description, parameters: told.schema } },
];

/** One streamed answer: the message that the SDK puts together. */
async function turn() {
  let pieces = 0;
  const stream = client.chat.completions.stream({
    model: told.model, messages, tools, stream_options: { include_usage: true },
  });
  for await (const _ of stream) pieces += 1;
  const { choices, usage } = await stream.finalChatCompletion();
  told.used(usage.prompt_tokens, usage.completion_tokens);
  return { message: choices[0].message, pieces };
}

const first = await turn();
messages.push(first.message);
for (const call of first.message.tool_calls) {
  const result = told.call(call.function.name, JSON.parse(call.function.arguments));
  messages.push({ role: "tool", tool_call_id: call.id, content: result });
}
const second = await turn();
told.report(second.message.content, second.pieces, second.message.tool_calls ?? []);
