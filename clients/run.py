"""Real clients against a running gateway: `make clients`.

In: the built `sluice` and `upstream-sim`, the pinned clients. Out: docs/COMPATIBILITY.md, and exit status 1 where a cell
failed. Every cell is judged here: clients only tell what happened.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time

import grid
from install import HERE, MODULES, PYTHON, TARGET, install
from known import ANTHROPIC, ARGUMENTS, CHAT, CLIENTS, DIALECTS, GEMINI, RESPONSES
from servers import ROOT, Gateway, Provider

# A cell takes a second or two, an agent some; one that hangs has failed.
PATIENCE_S = 90
# How the provider's paths end, by dialect.
PATHS = {CHAT: "/chat/completions", RESPONSES: "/responses", ANTHROPIC: "/messages", GEMINI: "GenerateContent"}


# How often a cell is held: what the provider does beside calling and answering, and how many calls it makes.
WAYS = {
    "plain": ("", 1),
    "thinking": (",reasoning,wants-signature", 1),
    "busy": (",busy,reasoning,wants-signature", 2),
}


def name_model(client, dialect, way):
    words = re.findall("[a-z0-9]+", client.name.lower())
    return f"{'-'.join(words)}-on-{dialect}-{way}"


def write_script(client, folder, way):
    """The provider's lines: a call of the client's tool, then what the tool said."""
    arguments = json.dumps(client.arguments(folder), ensure_ascii=False)
    escaped = arguments.replace("%", "%25").replace(",", "%2C")
    return f"tool={client.tool},arguments={escaped},quote-result{WAYS[way][0]}"


def read_version(client):
    if client.ecosystem == "python":
        found = list(importlib.metadata.distributions(
            name=client.package, path=[str(path) for path in TARGET.glob("python/lib/*/site-packages")]))
        return found[0].version if found else "-"
    manifest = MODULES / client.package / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else "-"


def run(command, surroundings, folder):
    """What it printed, or why it did not; with everything it started ended."""
    process = subprocess.Popen(
        [str(word) for word in command], cwd=folder, env=surroundings, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        output, errors = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        errors += f"\nno end within {PATIENCE_S} s"
        process.returncode = process.returncode or 1
    (folder / "output.log").write_text(f"{output}\n--- errors\n{errors}")
    if process.returncode != 0:
        # Agents tell errors where they tell answers.
        return None, " ".join((output.strip() or errors.strip()).split())[-300:]
    return output, None


def judge(client, dialect, way, told, word, asked):
    """What is wrong with what happened; nothing, where all is well."""
    if word not in told["text"]:
        return f"the answer lacks the tool's word: {told['text'][:120]!r}"
    if "called" in told:
        expected = {"tool": client.tool, "arguments": ARGUMENTS}
        if told["called"] != [expected] * WAYS[way][1]:
            return f"the calls arrived as {json.dumps(told['called'], ensure_ascii=False)[:200]}"
        if told["more_calls"]:
            return "the second answer has calls, too"
        if told["pieces"] < 3:
            return f"it was not streamed: {told['pieces']} events"
        if len(told["usage"]) != 2:
            return f"{len(told['usage'])} turns"
    paths = [line["path"] for line in asked]
    strange = [path for path in paths if not path.split("?")[0].endswith(PATHS[dialect])]
    if strange or len(paths) < 2:
        return f"the provider was asked {paths}"
    # Agents tell the sum of their turns.
    reported = [[line["usage"]["input"], line["usage"]["output"]] for line in asked]
    if told["usage"] not in (reported, [[sum(column) for column in zip(*reported)]]):
        return f"usage is told as {told['usage']}, and was {reported}"
    return None


def play(client, dialect, way, gateway, provider, folder):
    """What is wrong, or nothing."""
    word = (folder / "word.txt").read_text().strip()
    before = len(provider.asked())
    command, surroundings = client.command(gateway.url, name_model(client, dialect, way), folder)
    output, problem = run(command, surroundings, folder)
    if problem is not None:
        return problem
    try:
        told = client.read(output)
    except (ValueError, LookupError, TypeError) as error:
        return f"its output is not understood ({error}): {output[-200:]!r}"
    asked = [line for line in provider.asked()[before:] if "count" not in line["path"].lower()]
    return judge(client, dialect, way, told, word, asked)


def play_cell(client, dialect, gateway, provider, folders):
    for way in WAYS:
        problem = play(client, dialect, way, gateway, provider, folders[client.name, dialect, way])
        if problem:
            return "failed", f"{way}: {problem}"
    return "passed", ""


def prepare(client, dialect, way):
    """A folder to work in, with the word that only a tool can find."""
    folder = TARGET / "work" / name_model(client, dialect, way)
    folder.mkdir(parents=True)
    (folder / "word.txt").write_text(f"heron-{secrets.token_hex(6)}\n")
    return folder


def main():
    binaries = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    began = time.monotonic()
    missing = install()
    for ecosystem, why in missing.items():
        print(f"clients: the {ecosystem} packages are not installed: {why}")
    shutil.rmtree(TARGET / "work", ignore_errors=True)
    if "node" not in missing:
        shutil.copytree(HERE / "drivers", TARGET / "node" / "drivers", dirs_exist_ok=True)
    chosen = [client for client in CLIENTS if only in client.name]
    all_ways = [(client, dialect, way) for client in chosen for dialect in DIALECTS for way in WAYS]
    folders = {(client.name, dialect, way): prepare(client, dialect, way) for client, dialect, way in all_ways}
    provider = Provider(binaries / "upstream-sim")
    try:
        channels = [
            (name_model(client, dialect, way), dialect,
             provider.scripted(write_script(client, folders[client.name, dialect, way], way)))
            for client, dialect, way in all_ways]
        gateway = Gateway(binaries / "sluice", TARGET / "work", channels)
        try:
            cells = {}
            for client in chosen:
                for dialect in DIALECTS:
                    if client.ecosystem in missing:
                        cell = "not run", f"the package is not installed: {missing[client.ecosystem]}"
                    else:
                        cell = play_cell(client, dialect, gateway, provider, folders)
                    cells[client.name, dialect] = cell
                    print(f"{client.name} on {dialect}: {' - '.join(filter(None, cell))}", flush=True)
        finally:
            gateway.stop()
    finally:
        provider.stop()
    if only or all(state == "not run" for state, _ in cells.values()):
        print("clients: docs/COMPATIBILITY.md stays as it is")
    else:
        versions = {client.name: read_version(client) for client in CLIENTS}
        grid.write(cells, versions, time.monotonic() - began)
    states = [state for state, _ in cells.values()]
    print(f"clients: {states.count('passed')} passed, {states.count('failed')} failed, {states.count('not run')} not run")
    return 1 if "failed" in states else 0


if __name__ == "__main__":
    sys.exit(main())
