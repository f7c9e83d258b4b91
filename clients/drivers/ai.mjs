// Vercel's AI SDK with one of its providers, named by the first argument. In: see told.mjs. Out: what happened, as one
// line of JSON. Here the SDK itself makes the second turn of the tool's result.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { isStepCount, jsonSchema, streamText, tool } from "ai";
import * as told from "./told.mjs";

const apiKey = told.key;
const models = {
  chat: () => createOpenAI({ baseURL: `${told.url}/v1`, apiKey }).chat(told.model),
  responses: () => createOpenAI({ baseURL: `${told.url}/v1`, apiKey }).responses(told.model),
  anthropic: () => createAnthropic({ baseURL: `${told.url}/v1`, apiKey })(told.model),
  google: () => createGoogle({ baseURL: `${told.url}/v1beta`, apiKey })(told.model),
};

let failure = null;
const result = streamText({
  model: models[process.argv[2]](),
  prompt: told.question,
  maxRetries: 0,
  stopWhen: isStepCount(2),
  onError: ({ error }) => { failure = error; },
  tools: {
    [told.tool]: tool({
      description: told.description,
      inputSchema: jsonSchema(told.schema),
      execute: (args) => told.call(told.tool, args),
    }),
  },
});
let pieces = 0;
for await (const _ of result.textStream) pieces += 1;
if (failure) throw failure;
const steps = await result.steps;
for (const step of steps) told.used(step.usage.inputTokens, step.usage.outputTokens);
const last = steps.at(-1);
told.report(last.text, pieces, last.toolCalls);
