"""The outbox: the only way out of a WebSocket connection, bounded in bytes (E10).

It is the stream under trio-websocket, whose control frames and replies go through `send_all`,
and channel actors put finished frames into it, so that all leave in the order they were given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import islice
from typing import Final

import trio

from pxbox.model.channel import Several
from pxbox.tcp import RECEIVE_BYTES, Wire
from pxbox.ws.frames import is_close, payload_of
from pxbox.ws.lot import Lot

_PIECES_PER_CALL = 64
_MERGED_BYTES = 256 * 1024

JoinEvents = Callable[[list[bytes]], bytes]
"""Makes one finished frame of the payloads of several events, in their order."""


_one_after_another: JoinEvents = b"".join


@cache
def joining_frames(join: JoinEvents) -> JoinEvents:
    """The same for finished frames in place of payloads; one function for each `join`."""
    return lambda frames: join([payload_of(frame) for frame in frames])


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """`waiting_bytes`: put and not yet sent, above which the reader is slow (E10).

    `close_seconds`: how long closing may wait for what is queued to leave. `linger_seconds` and
    `linger_bytes`: how much a closing peer may still send before it is cut off.
    """

    waiting_bytes: int = 1024 * 1024
    close_seconds: float = 5.0
    linger_seconds: float = 2.0
    linger_bytes: int = 1024 * 1024


class _Kind(Enum):
    EVENT = "event"
    FRAME = "frame"
    REPLY = "reply"  # its sender waits for the peer, so it does not count as the peer's lag


_Waiting = deque[tuple[_Kind, bytes]]
# What a deque takes before it holds anything is more than all else of an idle outbox.
_NOTHING: Final[_Waiting] = deque()


def _nobody() -> None:
    return


class Outbox(trio.abc.Stream):
    """A connection's outgoing frames, and the stream that trio-websocket reads from.

    `put` and `put_event` never wait and never raise: to a peer that is slow or gone they do
    nothing, so that no reader is ever delayed by another. The peer becomes `slow` when it has more
    than the limit waiting, or has taken nothing for the wire's `stall_seconds`: `on_slow` is
    called, once; it must not raise. Whole frames that wait are dropped then, only a Close frame is
    still let through, and whoever owns the connection closes it.

    The first that is sent answers the handshake. There are thousands of these, nearly all idle:
    what only a busy one needs is made when it is needed.
    """

    __slots__ = (
        "_accepting", "_close_sent", "_ending", "_flushing", "_head_sent", "_join_events",
        "_join_frames", "_lag", "_limits", "_lost", "_nursery", "_peer_done", "_progress",
        "_queued", "_receiving", "_try_send", "_waiting", "_wire", "answered", "on_slow",
        "received_bytes", "slow",
    )  # fmt: skip

    def __init__(self, wire: Wire, nursery: trio.Nursery, limits: OutboxLimits) -> None:
        """`nursery` is for the sending of what the kernel does not take at once."""
        self.slow = False
        self.on_slow: Callable[[], None] = _nobody
        self.answered = False
        self._wire = wire
        self._try_send = wire.try_send
        self._nursery = nursery
        self._limits = limits
        self._join_events: JoinEvents | None = None
        self._join_frames: JoinEvents = _one_after_another
        self._waiting = _NOTHING
        self._head_sent = 0  # bytes of the first that waits which the kernel already has
        self._queued = 0
        self._lag = 0
        self._progress = Lot()
        self._flushing = False
        self._accepting = False  # frames: from the handshake's answer to the first sign of an end
        self._close_sent = False
        self._lost = False
        self._ending: trio.Event | None = None
        self._receiving = False
        self._peer_done = False
        self.received_bytes = 0
        """How much the peer has sent since the handshake."""

    def silent_since(self, received_bytes: int) -> bool:
        """Whether the peer has sent nothing beyond these, though it is being listened to."""
        return self._receiving and self.received_bytes == received_bytes

    @property
    def queued_bytes(self) -> int:
        """What waits here and is not in the kernel's hands yet."""
        return self._queued

    def put(self, frame: bytes) -> None:
        """Send this finished frame now, or queue it; dropped where nothing may follow."""
        if self._accepting:
            self._offer(_Kind.FRAME, frame)

    def put_event(self, frame: bytes) -> None:
        """The same for a text frame with one event: see `merge_events`."""
        if self._accepting:
            self._offer(_Kind.EVENT, frame)

    def put_events(self, several: Several) -> None:
        """The same for several, in one piece: in one frame where `merge_events` was called."""
        if self._accepting:
            self._offer(_Kind.FRAME, several.joined(self._join_frames))

    def merge_events(self, join: JoinEvents) -> None:
        """From now on put events that wait, when there are several, into one frame by `join`."""
        self._join_events = join
        self._join_frames = joining_frames(join)

    def put_paced(self, several: Several) -> None:
        """Send several events in one piece, after `wait_drained`.

        They are no lag of the peer's, however many are sent in this way: whoever does it takes
        turns with others, and gives little at a time.
        """
        if self._accepting:
            alone = len(several.encoded) == 1
            data = several.encoded[0] if alone else several.joined(self._join_frames)
            self._offer(_Kind.REPLY, data)

    async def wait_drained(self, below_bytes: int) -> None:
        """Wait until less than `below_bytes` wait here: the pace of a resume.

        Raises BrokenResourceError if the peer is slow or gone: nothing will ever reach it.
        """
        await trio.lowlevel.checkpoint()
        await self._wait_ready(below_bytes)
        if self._lost or self.slow:
            raise trio.BrokenResourceError("the peer is slow or gone")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Wait while more than half the limit is queued, then queue: the way for replies.

        Unlike `put` it does not count as the peer's lag: who asks for more than it reads is made
        to wait, not closed. A Close frame does not wait. What comes after one is dropped, and to
        a slow peer all but a Close frame is. Not always a checkpoint: trio-websocket takes a lock
        before each call, which is one.
        """
        frame = bytes(data)
        if is_close(frame):
            self._queue_last(frame)
            return
        await self._wait_ready(self._limits.waiting_bytes // 2)
        self._require_open()
        if self._close_sent or self.slow:
            return
        self._accepting = True
        self._offer(_Kind.REPLY, frame)
        self.answered = True
        self._require_open()

    def _queue_last(self, close_frame: bytes) -> None:
        self._require_open()
        if not self._close_sent:
            self._close_sent = True
            self._accepting = False
            self._offer(_Kind.REPLY, close_frame)

    def _require_open(self) -> None:
        if self._lost or self._ending is not None:
            raise trio.ClosedResourceError("this connection has ended")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until `send_all` would probably return at once."""
        await trio.lowlevel.checkpoint()
        await self._wait_ready(self._limits.waiting_bytes // 2)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What the peer sends; empty at the end of file."""
        if self._ending is not None:
            raise trio.ClosedResourceError("this connection is being closed here")
        self._receiving = True
        try:
            data = await self._wire.receive(max_bytes or RECEIVE_BYTES)
        finally:
            self._receiving = False
        self._peer_done = not data
        self.received_bytes += len(data)
        return data

    def give_up(self) -> None:
        """Take the peer for slow: nothing more is sent but a Close frame."""
        self._mark_slow()

    async def aclose(self) -> None:
        """Let what is queued leave, within `close_seconds`; then end the connection.

        Cancelled, or called once more in a cancelled scope, it ends the connection at once.
        """
        self._accepting = False
        try:
            if self._ending is not None:
                await self._ending.wait()
                return
            self._ending = trio.Event()
            with trio.move_on_after(self._limits.close_seconds):
                await self._wait_flushed()
            if not (self._lost or self._queued or self._receiving or self._peer_done):
                await self._wire.linger(
                    seconds=self._limits.linger_seconds, max_bytes=self._limits.linger_bytes
                )
        finally:
            self.abort()
            await trio.lowlevel.cancel_shielded_checkpoint()

    def abort(self) -> None:
        """End the connection now; what is queued is lost. Idempotent."""
        if self._ending is not None:
            self._ending.set()
        self._accepting = False
        self._lost = True
        if self._queued:
            self._wire.reset()
        else:
            self._wire.close()
        self._drop(0)

    def _offer(self, kind: _Kind, data: bytes) -> None:
        sent = 0
        if not self._waiting:
            try:
                sent = self._try_send(data)
            except BlockingIOError:
                pass
            except OSError:
                self.abort()
                return
            if sent == len(data):
                return
        rest = len(data) - sent
        if kind is not _Kind.REPLY:
            # A frame that has begun must be finished, whatever its size.
            if not sent and self._lag + rest > self._limits.waiting_bytes:
                self._mark_slow()
                return
            self._lag += rest
        if self._waiting is _NOTHING:
            self._waiting = deque()
        self._waiting.append((kind, data))
        self._queued += rest
        self._head_sent += sent
        if not self._flushing:
            self._flushing = True
            self._nursery.start_soon(self._flush)

    async def _flush(self) -> None:
        try:
            while self._waiting:
                if await self._wire.wait_writable():
                    self._send_waiting()
                elif self.slow:
                    self.abort()
                else:
                    self._mark_slow()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.abort()
        finally:
            self._flushing = False
            if not self._waiting:
                self._waiting = _NOTHING

    def _send_waiting(self) -> None:
        if self._join_events is not None:
            self._merge_waiting(self._join_events)
        pieces: list[bytes | memoryview] = [
            data for _, data in islice(self._waiting, _PIECES_PER_CALL)
        ]
        if not pieces:
            return
        pieces[0] = memoryview(pieces[0])[self._head_sent :]
        self._consume(self._wire.send_several_now(pieces))
        self._progress.unpark_all()

    def _consume(self, sent: int) -> None:
        self._queued -= sent
        while sent:
            kind, data = self._waiting[0]
            taken = min(sent, len(data) - self._head_sent)
            if kind is not _Kind.REPLY:
                self._lag -= taken
            sent -= taken
            self._head_sent += taken
            if self._head_sent == len(data):
                self._waiting.popleft()
                self._head_sent = 0

    def _merge_waiting(self, join: JoinEvents) -> None:
        begun = self._waiting.popleft() if self._head_sent else None
        frames: list[bytes] = []
        size = 0
        for kind, frame in self._waiting:
            if kind is not _Kind.EVENT or size + len(frame) > _MERGED_BYTES:
                break
            frames.append(frame)
            size += len(frame)
        if len(frames) > 1:
            merged = join([payload_of(frame) for frame in frames])
            for _ in frames:
                self._waiting.popleft()
            self._waiting.appendleft((_Kind.FRAME, merged))
            self._queued += len(merged) - size
            self._lag += len(merged) - size
        if begun is not None:
            self._waiting.appendleft(begun)

    def _mark_slow(self) -> None:
        self._accepting = False
        # Never in the middle of a frame: the peer could not read the Close frame behind it.
        self._drop(1 if self._head_sent else 0)
        if not self.slow:
            self.slow = True
            self.on_slow()

    def _drop(self, keep: int) -> None:
        while len(self._waiting) > keep:
            kind, data = self._waiting.pop()
            # The first one may be partly sent; what has left is not counted any more.
            size = len(data) - (0 if self._waiting else self._head_sent)
            self._queued -= size
            if kind is not _Kind.REPLY:
                self._lag -= size
        if not self._waiting:
            self._head_sent = 0
        self._progress.unpark_all()

    async def _wait_ready(self, size_bytes: int) -> None:
        while self._queued >= size_bytes and not (self._lost or self.slow):
            await self._progress.park()

    async def _wait_flushed(self) -> None:
        while self._queued and not self._lost:
            await self._progress.park()
