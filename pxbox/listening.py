"""Listening sockets, and how processes that share one take their turns at it.

One queue of connections that all workers accept from: what waits in it survives the death of any
of them, and one that is frozen takes nothing. With a socket each on the port (SO_REUSEPORT) the
kernel deals connections out by a hash: those dealt to a worker that froze or died are lost, and
one that was started again stays behind the others until their clients leave. But a shared queue
alone is emptied by whoever wakes first, mostly the same one. So the workers tell each other how
many connections they have, and who is ahead lets the others go first.
"""

from __future__ import annotations

import mmap
import os
import socket
from typing import Protocol

import trio

_BACKLOG = 2048
# Few: the next ones come in the next pass of the event loop, which is late when the broker is busy,
# so that a storm of connections waits in the kernel and not in front of everybody else.
_ACCEPTED_ALONE = 4
# How far ahead of the others one may be: so many, or this part of what they have.
_SLACK = 2
_SLACK_PART = 32
# Who is ahead waits so long for another to be quicker, and then takes the connection all the same.
_COURTESY_SECONDS = 0.002
_ABSENT = -1
_CELL_BYTES = 4


async def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of `host`, all on one port; 0 picks a free one.

    Raises OSError where an address cannot be had.
    """
    addresses = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listeners: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(addresses):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            port = listener.getsockname()[1]
            listener.listen(_BACKLOG)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


class Share(Protocol):
    """One process's share of the connections that come to a listening socket."""

    async def turn(self) -> int:
        """Wait for our turn to accept; how many may be accepted in it."""
        ...

    def note(self, connections: int) -> None:
        """So many connections are open here now."""
        ...

    def leave(self) -> None:
        """Nothing is accepted here any more."""
        ...


class Solitary:
    """The whole of it, for a process that listens alone."""

    async def turn(self) -> int:
        await trio.lowlevel.checkpoint()
        return _ACCEPTED_ALONE

    def note(self, connections: int) -> None:
        return

    def leave(self) -> None:
        return


class Tally:
    """How many connections each of several processes has, in a file that all of them map."""

    def __init__(self, fd: int, places: int) -> None:
        """The file is made large enough. A place nobody has taken yet counts for nothing."""
        size = places * _CELL_BYTES
        if os.fstat(fd).st_size < size:
            os.pwrite(fd, _ABSENT.to_bytes(_CELL_BYTES, "little", signed=True) * places, 0)
        # Cells are written by one process each, aligned and whole.
        self._cells = memoryview(mmap.mmap(fd, size)).cast("i")

    def __getitem__(self, place: int) -> int:
        return self._cells[place]

    def note(self, place: int, connections: int) -> None:
        self._cells[place] = connections

    def leave(self, place: int) -> None:
        """Whoever had this place accepts no more."""
        self._cells[place] = _ABSENT

    def fewest(self) -> int:
        """The connections of the process that has the fewest, of those that accept."""
        return min((cell for cell in self._cells if cell != _ABSENT), default=0)


class Fair:
    """The share of one process among several, by their tally."""

    def __init__(self, tally: Tally, place: int) -> None:
        self._tally = tally
        self._place = place
        self._left = False
        tally.note(place, 0)

    async def turn(self) -> int:
        fewest = self._tally.fewest()
        if self._tally[self._place] > fewest + max(_SLACK, fewest // _SLACK_PART):
            await trio.sleep(_COURTESY_SECONDS)
        else:
            await trio.lowlevel.checkpoint()
        return 1

    def note(self, connections: int) -> None:
        # Those still open while it drains are no reason to wait for it.
        if not self._left:
            self._tally.note(self._place, connections)

    def leave(self) -> None:
        self._left = True
        self._tally.leave(self._place)
