"""A terminal of its own for a command: a pty, keys to press, and a screen to read.

The screen understands what prompt_toolkit and rich send: enough of ECMA-48 for that.
"""

from __future__ import annotations

import fcntl
import os
import re
import selectors
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROWS, COLUMNS = 50, 100
SECONDS = 30.0
ENTER, UP, DOWN, CTRL_C, CLEAR_LINE = "\r", "\x1b[A", "\x1b[B", "\x03", "\x15"

# Has the pty as its controlling terminal, and is interrupted by Ctrl-C, as a shell's child is.
# Tests that run in the background of a script have inherited that SIGINT is ignored.
_LOGIN = (
    "import fcntl, os, signal, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)
_ESCAPE = re.compile(
    r"\x1b\[([?>=]?)([0-9;]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|\x1b[=>78]"
)


class Screen:
    """What a person sees; what has scrolled away is kept above."""

    def __init__(self) -> None:
        self.lines = [[" "] * COLUMNS for _ in range(ROWS)]
        self.gone: list[str] = []
        self.row = self.column = 0
        self.replies: list[bytes] = []
        self._rest = ""

    @property
    def text(self) -> str:
        return "\n".join([*self.gone, *("".join(line).rstrip() for line in self.lines)])

    def feed(self, text: str) -> None:
        text = self._rest + text
        place = 0
        while place < len(text):
            if text[place] == "\x1b":
                found = _ESCAPE.match(text, place)
                if found is None:
                    break
                if found[3]:
                    self._control(found[1], found[2], found[3])
                place = found.end()
                continue
            self._write(text[place])
            place += 1
        self._rest = text[place:]

    def _write(self, char: str) -> None:
        match char:
            case "\r":
                self.column = 0
            case "\n":
                self._line_feed()
            case "\b":
                self.column = max(0, self.column - 1)
            case "\x07":
                pass
            case _:
                if self.column >= COLUMNS:
                    self.column = 0
                    self._line_feed()
                self.lines[self.row][self.column] = char
                self.column += 1

    def _line_feed(self) -> None:
        if self.row < ROWS - 1:
            self.row += 1
            return
        self.gone.append("".join(self.lines.pop(0)).rstrip())
        self.lines.append([" "] * COLUMNS)

    def _control(self, private: str, parameters: str, final: str) -> None:
        numbers = [int(n) if n else 0 for n in parameters.split(";")]
        count = max(1, numbers[0])
        match final:
            case "A":
                self.row = max(0, self.row - count)
            case "B":
                self.row = min(ROWS - 1, self.row + count)
            case "C":
                self.column = min(COLUMNS - 1, self.column + count)
            case "D":
                self.column = max(0, self.column - count)
            case "G":
                self.column = count - 1
            case "H":
                self.row = count - 1
                self.column = max(1, numbers[1] if len(numbers) > 1 else 1) - 1
            case "J":
                self._erase_line(0)
                for row in range(self.row + 1, ROWS):
                    self.lines[row] = [" "] * COLUMNS
            case "K":
                self._erase_line(numbers[0])
            case "n" if not private:
                self.replies.append(f"\x1b[{self.row + 1};{self.column + 1}R".encode())

    def _erase_line(self, how: int) -> None:
        line = self.lines[self.row]
        start, end = {0: (self.column, COLUMNS), 1: (0, self.column + 1)}.get(how, (0, COLUMNS))
        line[start:end] = [" "] * (end - start)


class Terminal:
    """A command running in a terminal; `piped` has its standard output go elsewhere."""

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        environ: Mapping[str, str],
        *,
        piped: bool = False,
    ) -> None:
        self.screen = Screen()
        self.raw = b""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _LOGIN, sys.executable, *arguments],
            stdin=slave,
            stdout=subprocess.PIPE if piped else slave,
            stderr=slave,
            cwd=directory,
            env={**environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
        os.close(self._master)

    def see(self, text: str, times: int = 1) -> str:
        """Wait until the text is on the screen, so many times, and return all that is there."""
        deadline = time.monotonic() + SECONDS
        while self.screen.text.count(text) < times:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} did not come:\n{self.screen.text.rstrip()}")
        return self.screen.text

    def press(self, *keys: str) -> None:
        os.write(self._master, "".join(keys).encode())

    def answer(self, prompt: str, *keys: str, times: int = 1) -> None:
        """Wait for a prompt, and press keys and then Enter."""
        self.see(prompt, times)
        self.press(*keys, ENTER)

    def end(self) -> tuple[int, str, str]:
        """Wait for the command's end: its exit code, its piped standard output, the screen."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        output = self._process.stdout.read() if self._process.stdout is not None else b""
        return self._process.wait(SECONDS), output.decode(), self.screen.text.rstrip()

    def _read(self, deadline: float) -> bool:
        """Take in what comes next. Whether anything came before the end, and in time."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._master, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            # EIO: nobody has the other end any more.
            return False
        self.raw += data
        self.screen.feed(data.decode("utf-8", "replace"))
        for reply in self.screen.replies:
            os.write(self._master, reply)
        self.screen.replies.clear()
        return bool(data)
