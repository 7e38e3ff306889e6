"""One live connection: many commands at once, told apart by id, and the channels it watches."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import anyio.to_thread

from pxbox.client import timing
from pxbox.client.closing import Closed
from pxbox.client.errors import NotFound, PxBoxError, Unreachable
from pxbox.client.frames import (
    MOST_MESSAGE_BYTES,
    MOST_PARTS,
    PIECE_BYTES,
    Frame,
    Parts,
    decode_frame,
    decode_frames,
    encode_command,
    encode_frame,
    encode_parts,
)
from pxbox.client.retry import Transient, judge

if TYPE_CHECKING:
    from pxbox.client.websocket import WebSocket

# The operations whose payload may be large; the contract says it with their limits.
IN_PARTS = frozenset({"createRequest", "bulkCreateRequests", "postResponse"})

OnNotice = Callable[[dict[str, Any]], None]


def may_carry(op: str, data: bytes) -> bool:
    """Whether a connection takes this: in one message, or in parts."""
    most = PIECE_BYTES * (MOST_PARTS - 1) if op in IN_PARTS else MOST_MESSAGE_BYTES
    return len(data) < most


class Sink(Protocol):
    """What hears of one channel. It is called by the reader and never waits."""

    def take(self, frame: Frame) -> None:
        """A frame about the channel: `event`, `subscribed`, `recovered`."""

    def beat(self, head: int) -> None:
        """A heartbeat says where the channel's head is (E7)."""

    def lost(self) -> None:
        """Nothing of the channel follows on this connection."""

    def refused(self, error: PxBoxError) -> None:
        """The channel may not be watched any more."""


class _Reply:
    __slots__ = ("came", "frame")

    def __init__(self) -> None:
        self.came = anyio.Event()
        self.frame: Frame | None = None


class Connection:
    """Serve it by `run`, which ends with the connection."""

    def __init__(self, socket: WebSocket, on_notice: OnNotice) -> None:
        self._socket = socket
        self._on_notice = on_notice
        self._replies: dict[str, _Reply] = {}
        self._last_id = 0
        self._parts = Parts()
        self._parts_turn = anyio.Lock()  # the broker takes one payload in parts at a time
        self._heard = False
        self.sinks: dict[str, Sink] = {}
        self.closed: Closed | None = None

    @property
    def usable(self) -> bool:
        return self.closed is None

    async def run(self) -> Closed:
        """Converse until the connection ends, and say how it did."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_closed, self._socket.write, group.cancel_scope)
                group.start_soon(self._until_closed, self._watch, group.cancel_scope)
                await self._until_closed(self._read, group.cancel_scope)
        finally:
            self._fail(Closed(1006))
        assert self.closed is not None
        return self.closed

    async def command(self, op: str, data: bytes, key: str | None) -> Frame:
        """Have an operation carried out that it `may_carry`. Raises PxBoxErrors, and Transient."""
        id = self._new_id()
        if len(data) < MOST_MESSAGE_BYTES:
            return await self._ask(id, [encode_command(id, op, data, key)])
        sha256 = await anyio.to_thread.run_sync(lambda: hashlib.sha256(data).hexdigest())
        return await self._ask(id, encode_parts(id, op, data, key, sha256), self._parts_turn)

    async def ask(self, type: str, **members: object) -> Frame:
        """Send any other frame that is answered, and wait for that."""
        id = self._new_id()
        return await self._ask(id, [encode_frame(type, id=id, **members)])

    async def tell(self, type: str, **members: object) -> None:
        """Send a frame that has no answer. Raises Transient."""
        await self._send(encode_frame(type, **members))

    def _new_id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    async def _ask(
        self, id: str, texts: Iterable[str], turn: AbstractAsyncContextManager[object] | None = None
    ) -> Frame:
        reply = self._replies[id] = _Reply()
        try:
            async with turn or nullcontext():
                for text in texts:
                    await self._send(text)
                    # Refused already: what else of it comes is dropped there.
                    if reply.came.is_set():
                        break
            await reply.came.wait()
        finally:
            self._replies.pop(id, None)
        if reply.frame is None:
            raise _lost(self.closed)
        if reply.frame.type == "error":
            problem = reply.frame.read()
            raise judge(problem.get("status", 0), problem)
        return reply.frame

    async def _send(self, text: str) -> None:
        if self.closed is not None:
            raise _lost(self.closed)
        try:
            await self._socket.send(text)
        except Closed as error:
            raise _lost(error) from None

    async def _until_closed(
        self, work: Callable[[], Awaitable[None]], scope: anyio.CancelScope
    ) -> None:
        try:
            await work()
        except Closed as error:
            self._fail(error)
            scope.cancel()

    async def _read(self) -> None:
        while True:
            messages = await self._socket.receive()
            self._heard = True
            try:
                for message in messages:
                    self._dispatch(decode_frame(message))
            except ValueError as error:
                # No broker's words: whatever this is, another connection may be one.
                raise Closed(1007, str(error)) from None

    async def _watch(self) -> None:
        """A path that swallows everything is noticed: silence is asked about, then given up."""
        while True:
            self._heard = False
            await anyio.sleep(timing.QUIET_SECONDS)
            if self._heard:
                continue
            await self._socket.send(encode_frame("ping", id="ping"))
            await anyio.sleep(timing.PONG_SECONDS)
            if not self._heard:
                raise Closed(1006, "nothing was heard for too long")

    def _dispatch(self, frame: Frame) -> None:
        if frame.type == "event":
            self._deliver(frame)
        elif frame.type == "events":
            for event in decode_frames(frame.data):
                self._deliver(event)
        elif frame.type == "heartbeat":
            for channel, head in frame.read().get("heads", {}).items():
                if sink := self.sinks.get(channel):
                    sink.beat(head)
        elif frame.type == "notice":
            self._noticed(frame)
        elif frame.id is not None:
            self._answered(frame)

    def _deliver(self, event: Frame) -> None:
        if sink := self.sinks.get(event.channel):
            sink.take(event)

    def _answered(self, frame: Frame) -> None:
        whole = self._parts.join(frame)
        if whole is None:
            return
        # Before whoever asked runs: events may follow in the same breath.
        if frame.type in ("ack", "recovered") and (sink := self.sinks.get(frame.channel)):
            sink.take(frame)
        if reply := self._replies.get(frame.id or ""):
            reply.frame = whole
            reply.came.set()

    def _noticed(self, frame: Frame) -> None:
        notice = frame.read()
        if notice.get("code") == "access_lost":
            if sink := self.sinks.pop(notice.get("channel", ""), None):
                sink.refused(NotFound("this channel may not be watched any more", code="not_found"))
        else:
            self._on_notice(notice)

    def _fail(self, closed: Closed) -> None:
        if self.closed is not None:
            return
        self.closed = closed
        for reply in self._replies.values():
            reply.came.set()
        for sink in list(self.sinks.values()):
            sink.lost()
        self.sinks.clear()


def _lost(closed: Closed | None) -> Transient:
    return Transient(Unreachable(str(closed or "the connection is lost"), retryable=True))
