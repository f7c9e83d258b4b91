"""Puts the pinned clients under target/clients, and says what could not be had.

In: the manifests beside this file. Out: what went wrong, by ecosystem; nothing where all went well. It must never write
into the source tree, and never take a version that the manifests do not name.
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
TARGET = HERE.parent / "target" / "clients"
PYTHON = TARGET / "python" / "bin" / "python"
MODULES = TARGET / "node" / "node_modules"
# An installation that hangs is as good as none.
PATIENCE_S = 900


def find_node():
    """The SDKs need a newer Node than many systems have: on Linux it is installed with them."""
    found = sorted(MODULES.glob("node-linux-*/bin/node"))
    return found[0] if found else pathlib.Path(shutil.which("node") or "node")


def _run(command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, **options)
    except subprocess.TimeoutExpired:
        return f"`{command[0]}` did not end within {PATIENCE_S} s"
    if done.returncode == 0:
        return None
    # The last lines say why; addresses of registries are nobody's business.
    words = [line for line in (done.stderr or done.stdout).splitlines() if line.strip() and "://" not in line]
    return " ".join(words[-3:])[:200] or f"`{command[0]}` ended with {done.returncode}"


def _once(folder, manifest, install):
    """Installs unless what is there is of this very manifest."""
    mark = TARGET / folder / "manifest.sha256"
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return None
    shutil.rmtree(TARGET / folder, ignore_errors=True)
    (TARGET / folder).mkdir(parents=True)
    problem = install()
    if problem is None:
        mark.write_text(digest)
    return problem


def _install_python():
    problem = _run([sys.executable, "-m", "venv", TARGET / "python"])
    return problem or _run([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                            "--requirement", HERE / "python" / "requirements.txt"])


def _install_node():
    if not shutil.which("npm"):
        return "npm is missing"
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "node" / name, TARGET / "node" / name)
    # No script of a package runs: the binaries come ready.
    return _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=TARGET / "node")


def install():
    """What could not be installed: `{"python": why, "node": why}`, only those that failed."""
    problems = {
        "python": _once("python", HERE / "python" / "requirements.txt", _install_python),
        "node": _once("node", HERE / "node" / "package-lock.json", _install_node),
    }
    return {name: why for name, why in problems.items() if why}
