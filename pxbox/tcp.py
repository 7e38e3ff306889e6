"""One accepted TCP connection in non-blocking mode: what both transports stand on.

trio's own SocketStream has no way to try a send without waiting, and that try is the hot path
of a fan-out (an event is sent from inside a channel actor's turn).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import trio

RECEIVE_BYTES = 16 * 1024
"""Read at a time. What one read can hold is parsed without a checkpoint: this bounds it (X4)."""


class Wire:
    """A connected socket: sends that never wait, sends and reads that do, a polite end.

    One task may read and one may wait to send at a time. Errors: `trio.BrokenResourceError` once
    the peer is lost, `trio.ClosedResourceError` once `close` was called here.
    """

    __slots__ = (
        "_socket",
        "_unread",
        "local",
        "peer",
        "stall_seconds",
        "try_send",
        "waiting_since",
    )

    def __init__(self, sock: socket.socket, *, stall_seconds: float) -> None:
        """Take the socket over. `stall_seconds`: how long a peer may take in nothing.

        `peer` and `local` are (host, port). Raises OSError if the peer has already left.
        """
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Covers what the kernel holds, which `stall_seconds` does not see: a peer that is
            # switched off. Twice as long, so that the patience kept here ends first.
            milliseconds = int(stall_seconds * 2000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        self.peer: tuple[str, int] = sock.getpeername()[:2]
        self.local: tuple[str, int] = sock.getsockname()[:2]
        self.stall_seconds = stall_seconds
        self.waiting_since: float | None = None  # trio's time; None: no send waits for the peer
        self._socket = sock
        self._unread = b""
        # The fan-out's hot path: `send_now` without its frames and its errors.
        self.try_send: Callable[[bytes], int] = sock.send

    def send_now(self, data: bytes | memoryview) -> int:
        """Give the kernel what it takes now; the number of bytes taken, 0 if it is full."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost() from error

    def send_several_now(self, pieces: list[bytes | memoryview]) -> int:
        """The same for several pieces in one system call; at most some hundreds of them."""
        try:
            return self._socket.sendmsg(pieces)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost() from error

    async def send_all(self, data: bytes) -> None:
        """Send, waiting for the peer as long as it makes progress every `stall_seconds`.

        Not a checkpoint when the kernel takes everything at once. Resets the connection and
        raises BrokenResourceError when the peer stalls.
        """
        sent = self.send_now(data)
        if sent == len(data):
            return
        rest = memoryview(data)[sent:]
        while rest:
            if not await self.wait_writable():
                self.reset()
                raise trio.BrokenResourceError("the peer has stopped reading")
            rest = rest[self.send_now(rest) :]

    async def wait_writable(self) -> bool:
        """Wait until the kernel takes bytes again; False if it has not within `stall_seconds`."""
        self.waiting_since = trio.current_time()
        try:
            with trio.move_on_after(self.stall_seconds) as patience:
                await trio.lowlevel.wait_writable(self._open_fd())
        finally:
            self.waiting_since = None
        return not patience.cancelled_caught

    async def receive(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        """Up to `max_bytes`, those given back by `unread` first; empty at the end of file.

        Cancelled, it has consumed nothing.
        """
        if self._unread:
            await trio.lowlevel.checkpoint_if_cancelled()
            data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        while True:
            # Waiting comes first: mostly whoever reads has just answered, and nothing is there.
            await trio.lowlevel.wait_readable(self._open_fd())
            try:
                return self._socket.recv(max_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._lost() from error

    def unread(self, data: bytes) -> None:
        """Give back bytes that were read and belong to whoever reads next."""
        self._unread = data + self._unread

    def take_unread(self) -> bytes:
        """All that was given back, without a system call; empty if there is nothing."""
        data, self._unread = self._unread, b""
        return data

    async def linger(self, *, seconds: float, max_bytes: int) -> None:
        """Say that nothing more will come; drop what the peer still sends until it closes.

        Closing with bytes unread makes the kernel send a reset, and a reset can destroy, at the
        peer, the answer that it was about to read.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return
        with trio.move_on_after(seconds):
            while max_bytes > 0:
                try:
                    data = await self.receive()
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return
                if not data:
                    return
                max_bytes -= len(data)

    def close(self) -> None:
        """Close at once; whoever waits on the socket gets ClosedResourceError. Idempotent."""
        if (fd := self._socket.fileno()) >= 0:
            trio.lowlevel.notify_closing(fd)
            self._socket.close()

    def reset(self) -> None:
        """Close at once and drop what the kernel still holds for a peer that does not read.

        After `close` the kernel would go on offering it, for as long as the peer's host lives.
        """
        if self._socket.fileno() >= 0:
            at_once = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.close()

    def _open_fd(self) -> int:
        if (fd := self._socket.fileno()) < 0:
            raise trio.ClosedResourceError("this connection was closed here")
        return fd

    def _lost(self) -> Exception:
        if self._socket.fileno() < 0:
            return trio.ClosedResourceError("this connection was closed here")
        return trio.BrokenResourceError("the peer is lost")
