// Anthropic's JavaScript SDK. In: see told.mjs. Out: what happened, as one line of JSON.

import Anthropic from "@anthropic-ai/sdk";
import * as told from "./told.mjs";

const client = new Anthropic({ baseURL: told.url, apiKey: told.key, maxRetries: 0 });
const messages = [{ role: "user", content: told.question }];
const tools = [{ name: told.tool, description: told.description, input_schema: told.schema }];

/** One streamed answer: the message that the SDK puts together. */
async function turn() {
  let pieces = 0;
  const stream = client.messages.stream({ model: told.model, max_tokens: 1000, messages, tools });
  for await (const _ of stream) pieces += 1;
  const message = await stream.finalMessage();
  told.used(message.usage.input_tokens, message.usage.output_tokens);
  return { message, pieces, calls: message.content.filter((block) => block.type === "tool_use") };
}

const first = await turn();
const results = first.calls.map((call) => ({
  type: "tool_result", tool_use_id: call.id, content: told.call(call.name, call.input),
}));
messages.push({ role: "assistant", content: first.message.content });
messages.push({ role: "user", content: results });
const second = await turn();
const text = second.message.content.filter((block) => block.type === "text").map((block) => block.text).join("");
told.report(text, second.pieces, second.calls);
