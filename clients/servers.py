"""The fake provider and the gateway, as their users start them.

In: the built programs. Out: their addresses, and what the provider was asked. Each is stopped by its own process handle.
"""

import json
import pathlib
import re
import subprocess
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).parent.parent
KEY = "sk-clients-0123456789abcdef"
# Both start in milliseconds; a machine under load gets more.
PATIENCE_S = 30


class Provider:
    """The fake provider of crates/upstream-sim."""

    def __init__(self, binary):
        self.process = subprocess.Popen([binary], stdout=subprocess.PIPE, text=True)
        self.url = "http://" + self.process.stdout.readline().strip()

    def scripted(self, script):
        """The base URL under which every request gets this script."""
        return f"{self.url}/~{urllib.parse.quote(script, safe='')}"

    def asked(self):
        """All requests so far: path, and usage as input and output."""
        with urllib.request.urlopen(self.url + "/~log", timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Gateway:
    """`sluice serve` with a channel per cell of the grid."""

    def __init__(self, binary, folder, channels):
        config = folder / "sluice.toml"
        blocks = "\n".join(
            f'[[channel]]\nname = "{model}"\nprovider = "custom"\ndialect = "{dialect}"\n'
            f'base_url = "{url}"\nsecrets = ["provider-key"]\nmodels = ["{model}"]\n'
            for model, dialect, url in channels)
        config.write_text(
            f'listen = "127.0.0.1:0"\n\n[store]\nurl = "memory"\n\n'
            f'[[key]]\nname = "clients"\nsecret = "{KEY}"\n\n{blocks}')
        self.lines = folder / "gateway.log"
        with self.lines.open("w") as lines:
            self.process = subprocess.Popen(
                [binary, "serve", "--config", config], stdout=lines, stderr=subprocess.STDOUT)
        self.url = "http://" + self._address()

    def _address(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"listening address=(\S+)", self.lines.read_text())
            if found:
                return found[1]
            time.sleep(0.05)
        self.stop()
        raise SystemExit(f"the gateway does not start: {self.lines.read_text()[-2000:]}")

    def stop(self):
        self.process.terminate()
        self.process.wait()
