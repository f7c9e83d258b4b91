// What every JavaScript driver is told, and how it tells what happened.
//
// In: the gateway's address, key and model, the tool and the word that only the tool knows, from the environment. Out:
// one line of JSON. It must never judge: the orchestrator does.

const { SLUICE_URL, SLUICE_KEY, SLUICE_MODEL, SLUICE_WORD, SLUICE_SCHEMA } = process.env;

export const url = SLUICE_URL;
export const key = SLUICE_KEY;
export const model = SLUICE_MODEL;
export const tool = "look_up";
export const description = "Looks a place up.";
export const question = "What does the tool say about the place? Use it, then answer.";
export const schema = JSON.parse(SLUICE_SCHEMA);

const called = [];
const usage = [];

/** The tool: takes down what it was called with, and says its word. */
export function call(name, args) {
  called.push({ tool: name, arguments: args });
  return `The word is ${SLUICE_WORD}.`;
}

export function used(input, output) {
  usage.push([input, output]);
}

/** `pieces`: the events of the last stream; `calls`: the calls in it, of which there should be none. */
export function report(text, pieces, calls) {
  console.log(JSON.stringify({ text, pieces, more_calls: calls.length, called, usage }));
}
