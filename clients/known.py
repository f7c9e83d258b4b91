"""The clients of the grid: what each speaks, which tool it is asked to use, and how it is started without a terminal.

In: the address, a model, a folder to work in. Out: commands with their environment, and what they said. It must never
judge what came out.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable

from install import HERE, MODULES, PYTHON, TARGET, find_node
from servers import KEY

CHAT, RESPONSES, ANTHROPIC, GEMINI = "openai_chat", "openai_responses", "anthropic_messages", "gemini_generate"
DIALECTS = [CHAT, RESPONSES, ANTHROPIC, GEMINI]

# What survives a careless codec seldom: quotes, backslashes, several scripts, a fraction, nesting, emptiness.
ARGUMENTS = {
    "place": "Käsestraße 7, \"水門\" \\ 🌊\nline two",
    "depth": 12.5,
    "tags": ["a", "", "b,c"],
    "deep": {"empty": {}, "yes": True, "nothing": None, "list": [1, [2, {"three": 3}]]},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "place": {"type": "string"},
        "depth": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object"},
    },
    "required": ["place"],
}
PROMPT = "Read the file word.txt here and tell me the word in it."


@dataclasses.dataclass
class Client:
    name: str
    """Which installation it comes from, and the package whose version is told."""
    ecosystem: str
    package: str
    speaks: str
    """The tool that the provider calls, and with what, in a folder."""
    tool: str
    arguments: Callable[[pathlib.Path], dict]
    """The command and its environment, for an address, a model and a folder."""
    command: Callable[[str, str, pathlib.Path], tuple[list, dict]]
    """What its output says: text, and tokens used where it tells them."""
    read: Callable[[str], dict]


def _surroundings(folder):
    """Nothing of whoever runs this reaches a client: no keys, no settings, no proxies."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {"HOME": str(home), "PATH": f"{find_node().parent}:{os.environ['PATH']}", "LANG": "C.UTF-8", "NO_COLOR": "1"}


def _sdk(name, ecosystem, package, speaks, file, *words):
    def command(url, model, folder):
        told = {"SLUICE_URL": url, "SLUICE_KEY": KEY, "SLUICE_MODEL": model,
                "SLUICE_WORD": (folder / "word.txt").read_text().strip(), "SLUICE_SCHEMA": json.dumps(SCHEMA)}
        if ecosystem == "python":
            program = [PYTHON, "-B", HERE / "drivers" / file]
        else:
            # Modules are looked for beside the file.
            program = [find_node(), TARGET / "node" / "drivers" / file]
        return [*program, *words], _surroundings(folder) | told

    return Client(name, ecosystem, package, speaks, "look_up", lambda _: ARGUMENTS, command, _last_line)


def _last_line(output):
    return json.loads(output.strip().splitlines()[-1])


def _claude(url, model, folder):
    program = [next(MODULES.glob("@anthropic-ai/claude-code-linux-*/claude"))]
    # Reading below the working folder needs nobody's consent.
    words = ["-p", PROMPT, "--model", model, "--output-format", "stream-json", "--verbose"]
    return program + words, _surroundings(folder) | {
        "ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": KEY, "ANTHROPIC_SMALL_FAST_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}


def _read_claude(output):
    result = [line for line in map(json.loads, output.splitlines()) if line.get("type") == "result"][-1]
    usage = result["usage"]
    return {"text": result["result"], "usage": [[usage["input_tokens"], usage["output_tokens"]]]}


def _codex(url, model, folder):
    provider = {"name": "sluice", "base_url": f"{url}/v1", "env_key": "SLUICE_KEY", "wire_api": "responses",
                "request_max_retries": 0, "stream_max_retries": 0}
    words = ["exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access", "--model", model,
             "-c", "model_provider=sluice"]
    for key, value in provider.items():
        words += ["-c", f"model_providers.sluice.{key}={json.dumps(value)}"]
    return [find_node(), MODULES / "@openai" / "codex" / "bin" / "codex.js", *words, PROMPT], _surroundings(folder) | {
        "SLUICE_KEY": KEY}


def _read_codex(output):
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    said = [line["item"]["text"] for line in lines if line.get("item", {}).get("type") == "agent_message"]
    usage = [line["usage"] for line in lines if line["type"] == "turn.completed"]
    return {"text": "\n".join(said), "usage": [[one["input_tokens"], one["output_tokens"]] for one in usage]}


def _gemini(url, model, folder):
    surroundings = _surroundings(folder)
    settings = folder / "home" / ".gemini" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    # Without it, an address of one's own is taken for a sign-in that does not exist.
    settings.write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}))
    words = ["-p", PROMPT, "--model", model, "--output-format", "json", "--skip-trust", "--approval-mode", "yolo"]
    return [find_node(), MODULES / "@google" / "gemini-cli" / "bundle" / "gemini.js", *words], surroundings | {
        "GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": KEY, "GEMINI_CLI_NO_RELAUNCH": "1"}


def _read_gemini(output):
    said = json.loads(output[output.index("{"):])
    tokens = [model["tokens"] for model in said["stats"]["models"].values()]
    return {"text": said["response"], "usage": [[one["prompt"], one["candidates"] + one["thoughts"]] for one in tokens]}


CLIENTS = [
    _sdk("openai (Python), chat", "python", "openai", CHAT, "openai_chat.py"),
    _sdk("openai (Python), responses", "python", "openai", RESPONSES, "openai_responses.py"),
    _sdk("anthropic (Python)", "python", "anthropic", ANTHROPIC, "anthropic_messages.py"),
    _sdk("google-genai (Python)", "python", "google-genai", GEMINI, "google_genai.py"),
    _sdk("openai (JavaScript), chat", "node", "openai", CHAT, "openai_chat.mjs"),
    _sdk("openai (JavaScript), responses", "node", "openai", RESPONSES, "openai_responses.mjs"),
    _sdk("@anthropic-ai/sdk", "node", "@anthropic-ai/sdk", ANTHROPIC, "anthropic_messages.mjs"),
    _sdk("ai + @ai-sdk/openai, chat", "node", "@ai-sdk/openai", CHAT, "ai.mjs", "chat"),
    _sdk("ai + @ai-sdk/openai, responses", "node", "@ai-sdk/openai", RESPONSES, "ai.mjs", "responses"),
    _sdk("ai + @ai-sdk/anthropic", "node", "@ai-sdk/anthropic", ANTHROPIC, "ai.mjs", "anthropic"),
    _sdk("ai + @ai-sdk/google", "node", "@ai-sdk/google", GEMINI, "ai.mjs", "google"),
    Client("Claude Code", "node", "@anthropic-ai/claude-code", ANTHROPIC,
           "Read", lambda folder: {"file_path": str(folder / "word.txt")}, _claude, _read_claude),
    Client("Codex", "node", "@openai/codex", RESPONSES,
           "exec_command", lambda _: {"cmd": "cat word.txt"}, _codex, _read_codex),
    Client("Gemini CLI", "node", "@google/gemini-cli", GEMINI,
           "read_file", lambda folder: {"file_path": str(folder / "word.txt")}, _gemini, _read_gemini),
]
