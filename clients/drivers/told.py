"""What every Python driver is told, and how it tells what happened.

In: the gateway's address, key and model, the tool and the word that only the tool knows, from the environment. Out: one
line of JSON. It must never judge: the orchestrator does.
"""

import json
import os

URL, KEY, MODEL, WORD = (os.environ[name] for name in ("SLUICE_URL", "SLUICE_KEY", "SLUICE_MODEL", "SLUICE_WORD"))
TOOL, DESCRIPTION = "look_up", "Looks a place up."
QUESTION = "What does the tool say about the place? Use it, then answer."
SCHEMA = json.loads(os.environ["SLUICE_SCHEMA"])

_called = []
_usage = []


def call(name, arguments):
    """The tool: takes down what it was called with, and says its word."""
    _called.append({"tool": name, "arguments": arguments})
    return f"The word is {WORD}."


def used(input_tokens, output_tokens):
    _usage.append([input_tokens, output_tokens])


def report(text, pieces, calls):
    """`pieces`: the events of the last stream; `calls`: the calls in it, of which there should be none."""
    print(json.dumps({"text": text, "pieces": pieces, "more_calls": len(calls), "called": _called, "usage": _usage}))
