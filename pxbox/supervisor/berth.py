"""A worker's side: what its supervisor has given it, and what the two tell each other."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import trio

from pxbox.listening import Fair, Share, Tally
from pxbox.supervisor.figures import merge
from pxbox.supervisor.notes import Line, Note, Post

COLLECT_SECONDS = 2.0


class Berth:
    """The place of one worker among several (`pxbox.app.Berth`)."""

    def __init__(self, post: Post, greet: Callable[[], None]) -> None:
        self._post = post
        self._greet = greet
        self._line: Line
        self._collected: trio.Event | None = None
        self._everybody = b""

    def listeners(self) -> list[socket.socket]:
        """The listening sockets, which are shared with the other workers."""
        return [socket.socket(fileno=fd) for fd in self._post.listeners]

    def share(self) -> Share:
        """From now on this worker counts among those that accept."""
        return Fair(Tally(self._post.tally, self._post.workers), self._post.number)

    async def run(self, figures: Callable[[], bytes]) -> None:
        """Converse with the supervisor; when it is gone, end this process in good order.

        This worker can serve now.
        """
        stream = trio.SocketStream(trio.socket.socket(fileno=self._post.socket))
        self._line = Line(stream)
        await self._line.send(Note("ready"))
        async for note in self._line.notes():
            match note.kind:
                case "greet":
                    self._greet()
                    await self._line.send(Note("greeted"))
                case "figures":
                    await self._line.send(Note("figures", figures().decode()))
                case "collected":
                    self._everybody = note.text.encode()
                    if self._collected is not None:
                        self._collected.set()
                        self._collected = None
        os.kill(os.getpid(), signal.SIGTERM)

    async def figures(self, mine: bytes) -> bytes:
        """The figures of all workers; `mine` alone where the supervisor does not answer."""
        collected = self._collected
        if collected is None:
            # Who asks while the answer is under way gets the same.
            self._collected = collected = trio.Event()
            await self._line.send(Note("collect"))
        with trio.move_on_after(COLLECT_SECONDS):
            await collected.wait()
            return self._everybody
        self._collected = None
        return merge({self._post.number: mine.decode()}).encode()
