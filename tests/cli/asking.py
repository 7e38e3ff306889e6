"""`pxbox` run against a real broker, as somebody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pxbox.cli import main
from tests.cli.terminal import Terminal

SECONDS = 60.0
Outcome = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Shell:
    """A folder, and an environment that names the broker and who is calling."""

    directory: Path
    environ: dict[str, str]

    def run(self, *arguments: str, input: str | None = None) -> Outcome:
        """Run the command in this process: importing it anew each time is what would take long."""
        output, errors = StringIO(), StringIO()
        given = patch.object(sys, "stdin", StringIO(input or ""))
        with self._inside(), given, redirect_stdout(output), redirect_stderr(errors):
            code = main(arguments)
        return Outcome(arguments, code, output.getvalue(), errors.getvalue())

    @contextmanager
    def _inside(self) -> Iterator[None]:
        with chdir(self.directory), patch.dict(os.environ, self.environ, clear=True):
            yield

    def good(self, *arguments: str, input: str | None = None) -> str:
        """What it prints, less the line's end; it ends well."""
        done = self.run(*arguments, input=input)
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    def ask(self, schema: Any, to: str, *more: str) -> str:
        """Ask, and return the request's id."""
        return self.good("ask", json.dumps(schema), "--to", to, *more)

    def acting(self, name: str) -> Shell:
        """The same, as this entity."""
        return Shell(self.directory, self.environ | {"PXBOX_AS": name})

    def start(self, *arguments: str, input: str | None = None) -> subprocess.Popen[str]:
        """Start the command in a process of its own, its input written."""
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "pxbox", *arguments],
            cwd=self.directory, env=self.environ, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(input or "")
        process.stdin = None
        return process

    def terminal(self, *arguments: str, **variables: str) -> Terminal:
        """The command in a terminal of its own."""
        environ = self.environ | variables
        return Terminal(["-m", "pxbox", *arguments], self.directory, environ)

    def program(self, code: str) -> Terminal:
        """Some lines of Python in a terminal of their own."""
        return Terminal(["-c", code], self.directory, self.environ)

    def piped_terminal(self, *arguments: str) -> Terminal:
        """The same, with its standard output going elsewhere."""
        return Terminal(["-m", "pxbox", *arguments], self.directory, self.environ, piped=True)
