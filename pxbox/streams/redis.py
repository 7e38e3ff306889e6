"""The hot window of each channel as a Redis Stream, and wakes by Pub/Sub (E2).

Key `px:{<channel>}:<epoch>`, entries `<seq>-0` with one field; the script beside this file is the
only writer. Nothing that is kept here is needed: the log has it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import trio

from pxbox.ports import Append, Entry, OnWake, StreamsUnavailable
from pxbox.streams.connection import Server, encode, words
from pxbox.streams.pipeliner import Call, Pipeliner
from pxbox.streams.wakes import Wakes

WINDOW = 1_000
EXPIRES_SECONDS = 3_600

_SCRIPT = (files("pxbox.streams") / "append.lua").read_bytes()
_PROBE = encode(b"SET", b"px:probe", b"", b"EX", b"60")


class RedisStreams:
    """`pxbox.ports.Streams` on one Redis or Valkey, for the channels of one epoch at a time.

    `available` is true while both of its connections are up and the server takes writes. Each
    channel is woken with head 0 when its subscription becomes effective, at first and after
    every lost connection: what was published before may have been missed.
    """

    def __init__(self, url: str, epoch: str) -> None:
        """Raises ValueError for a URL that cannot be used, without repeating it."""
        server = Server(url)
        self._suffix = f"}}:{epoch}"
        self._pipeliner = Pipeliner(server, _SCRIPT, _PROBE)
        # The name holds the epoch: Pub/Sub crosses databases, so other brokers are heard too.
        self._wakes = Wakes(server, "px:wake:{", self._suffix)
        self._call = words(b"EVALSHA", self._pipeliner.sha, b"1")
        self._expires = b"%d" % EXPIRES_SECONDS
        self._bounds = words(b"%d" % WINDOW, self._expires)
        self._opened = False

    def open(self, residents: trio.Nursery, on_wake: OnWake) -> None:
        """Start to connect; it may take a moment, or for ever, until `available`."""
        self._opened = True
        residents.start_soon(self._pipeliner.run)
        residents.start_soon(self._wakes.run, on_wake)

    async def aclose(self) -> None:
        """Disconnect; what is called from now on raises StreamsUnavailable."""
        if self._opened:
            await self._wakes.stop()
            await self._pipeliner.stop()

    @property
    def available(self) -> bool:
        return self.trouble is None

    @property
    def trouble(self) -> str | None:
        """Why it is not available, in words for an operator; None while it is."""
        return self._pipeliner.trouble or self._wakes.trouble

    def begin_epoch(self, epoch: str) -> None:
        self._suffix = f"}}:{epoch}"
        self._wakes.begin_epoch(self._suffix)

    async def append(self, appends: Sequence[Append]) -> list[int]:
        if not appends:
            return []
        commands = [self._extend(b"answer", append) for append in appends]
        replies = await self._pipeliner.call(Call(b"".join(commands), len(commands)))
        return [_number(reply) for reply in replies]

    async def reseed(self, append: Append) -> None:
        await self._pipeliner.call(Call(self._extend(b"replace", append), 1))

    async def read(self, channel: str, after: int, limit: int) -> list[Entry] | None:
        key = self._key(channel)
        first, most = b"%d-0" % (after + 1), b"%d" % limit
        # EXPIRE says whether there is a window at all, and comes first: what it found stays.
        commands = encode(b"EXPIRE", key, self._expires) + encode(
            b"XRANGE", key, first, b"+", b"COUNT", most
        )
        exists, rows = await self._pipeliner.call(Call(commands, 2))
        entries = _entries(rows)
        if not exists or (entries and entries[0].seq > after + 1):
            return None
        return entries

    def watch(self, channel: str) -> None:
        self._wakes.watch(channel)

    def unwatch(self, channel: str) -> None:
        self._wakes.unwatch(channel)

    def _key(self, channel: str) -> bytes:
        return f"px:{{{channel}{self._suffix}".encode()

    def _extend(self, at_a_gap: bytes, append: Append) -> bytes:
        # What is the same in every call was encoded once: this is most of what an append costs.
        return b"*%d\r\n%b%b%b%b" % (
            9 + len(append.entries),
            self._call,
            words(self._key(append.channel), at_a_gap, self._wakes.name(append.channel)),
            self._bounds,
            words(b"%d" % append.entries[0].seq, *[entry.data for entry in append.entries]),
        )


def _number(reply: object) -> int:
    if not isinstance(reply, int):
        raise StreamsUnavailable(f"Redis gave an unexpected answer: {type(reply).__name__}")
    return reply


def _entries(rows: object) -> list[Entry]:
    try:
        return [_entry(*row) for row in rows]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise StreamsUnavailable("Redis gave an unexpected answer to a read") from None


def _entry(entry_id: bytes, fields: list[bytes]) -> Entry:
    _, data = fields
    return Entry(int(entry_id.partition(b"-")[0]), data)
