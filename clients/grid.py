"""The grid, as a document.

In: the cells. Out: docs/COMPATIBILITY.md. It must never show a cell as passed that did not run.
"""

import datetime
import pathlib
import re

from known import CLIENTS, DIALECTS

DOCUMENT = pathlib.Path(__file__).parent.parent / "docs" / "COMPATIBILITY.md"
SHOWN = {"passed": "passed", "failed": "**failed**", "not run": "not run"}

HEAD = """# Clients and dialects

Real clients against a running `sluice`, on a channel of each dialect. Written by `make clients` on {date}; not by hand.

Each cell is a conversation of two turns, streamed. In the first the provider calls the client's tool; in the second it
quotes what the tool said, and that holds a word which nobody else knows. A cell has *passed* when the call arrived with
its arguments exact, the result went upstream, the text that holds the word was streamed back, the usage told is what
the provider counted, and the provider was asked in the channel's dialect and no other. It is held three times: with a
provider that just answers, with one that thinks first and refuses the second turn unless its signature comes back (chat has
none; clients that drop it pass by the gateway's memory), and with one that also says a sentence and makes two calls at once. The
provider is the fake one of
`crates/upstream-sim`, so this says how clients and translation get on, and nothing about a provider's own departures.

| client | version | speaks | {columns} |
|---|---|---|{rule}|
"""

KNOWN = """
## Beyond the grid

- `ai` with `@ai-sdk/openai`, responses, names earlier texts by their ids (`item_reference`), because it takes the provider
  for one that keeps them. On channels of other dialects the gateway remembers them for it, six hours and in memory: after a
  restart such a turn is a 400 that names `input.item_reference`. With `providerOptions: { openai: { store: false } }` it
  sends the texts.
- Codex offers a web search and a namespace of tools in each request. In chat there is no search: it is left out, and listed
  in `x-sluice-losses`. The namespace becomes part of the tools' names on the way.
"""

REPEAT = """
## To repeat it

```sh
make clients                                  # all of it: two to four minutes after the first time
make clients ONLY="Claude Code"               # one client; the document is not written then
```

The clients come from their registries in the versions that `clients/python/requirements.txt` and `clients/node` pin, into
`target/clients`; no script of theirs runs on the way. What cannot be installed is shown as *not run*. Clients get a home
of their own and nothing else of the environment, so no account is needed and none is used.

It is no part of `make test`: it needs a gigabyte from two registries, and what it says changes with other people's releases.
The agents ask for different tools: Claude Code `Read`, Codex `exec_command`, Gemini CLI `read_file`; the SDKs one of our own.
"""


def _plain(reason):
    """Without what differs from run to run, and without what a document would take for its own marks."""
    reason = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "…", reason)
    return re.sub(r"https?://[^ '\"]*", "…", reason).replace("|", "¦")


def write(cells, versions, seconds):
    rows, reasons = [], {}
    for client in CLIENTS:
        shown = []
        for dialect in DIALECTS:
            state, reason = cells[client.name, dialect]
            shown.append(SHOWN[state])
            if reason:
                reasons.setdefault((state, _plain(reason)), []).append(f"{client.name} on `{dialect}`")
        rows.append(f"| {client.name} | {versions[client.name]} | `{client.speaks}` | {' | '.join(shown)} |")
    count = {state: sum(cell[0] == state for cell in cells.values()) for state in SHOWN}
    totals = f"\n{count['passed']} passed, {count['failed']} failed, {count['not run']} not run; {seconds:.0f} s.\n"
    head = HEAD.format(
        date=datetime.datetime.now(datetime.timezone.utc).date(),
        columns=" | ".join(f"on `{dialect}`" for dialect in DIALECTS), rule="|".join("---" for _ in DIALECTS))
    lines = [f"- {state}: {reason}\n  ({'; '.join(which)})\n" for (state, reason), which in reasons.items()]
    why = "\n## Why not\n\n" + "".join(lines) if lines else ""
    DOCUMENT.write_text(head + "\n".join(rows) + "\n" + totals + why + KNOWN + REPEAT)
