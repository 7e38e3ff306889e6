"""asyncpg on trio: connections whose coroutines are awaited by trio tasks, with no asyncio loop.

asyncpg's protocol is written for an asyncio loop, of which it asks little: connections, futures
and the time. `_Loop` is that much of one. Whoever awaits a future reads the socket meanwhile, so
that a round trip is one send, one wait and one receive in the task that asks: a fifth of the CPU
that it takes on an asyncio loop inside trio.

A connection serves one task at a time. When a wait is cancelled, the connection is of no use any
more and is only to be terminated: asyncpg does not hear of the cancellation.
"""

from __future__ import annotations

import inspect
import socket
import ssl
from collections.abc import Callable, Generator
from typing import Any

import asyncpg
import trio
from asyncpg import connect_utils

_RECEIVE_BYTES = 128 * 1024

# What `asyncpg.connect` hands on; it itself waits by asyncio's clock, which needs a running loop.
_OURS = ("loop", "timeout", "connection_class", "record_class")
_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(asyncpg.connect).parameters.items()
    if name not in _OURS
}


async def connect(dsn: str, timeout: float, **options: object) -> asyncpg.Connection:
    """Connect as `asyncpg.connect` does, with its options, within `timeout` seconds.

    Raises what it raises: TimeoutError, OSError, ValueError, asyncpg's errors. The connection ends
    by `terminate`; its `close` waits by asyncio's clock, and cannot be used.
    """
    loop = _Loop()
    # Without a lifetime: statements would be forgotten by a timer.
    ours: dict[str, object] = {"dsn": dsn, "max_cached_statement_lifetime": 0}
    connection: asyncpg.Connection | None = None
    try:
        with trio.move_on_after(timeout):
            connection = await connect_utils._connect(  # type: ignore[attr-defined]
                loop=loop,
                connection_class=asyncpg.Connection,
                record_class=asyncpg.Record,
                **_DEFAULTS | ours | options,
            )
    finally:
        loop.settle_on(None if connection is None else _transport(connection))
    if connection is None:
        raise TimeoutError("no connection in time")
    return connection


def is_up(connection: asyncpg.Connection) -> bool:
    """Whether an idle connection is still up, as far as the kernel knows without waiting."""
    transport = _transport(connection)
    while not connection.is_closed() and transport.receive_now():
        pass
    return not connection.is_closed()


def _transport(connection: asyncpg.Connection) -> _Transport:
    transport = connection._transport  # type: ignore[attr-defined]
    assert isinstance(transport, _Transport), "it was made by connect()"
    return transport


class _Loop:
    """Of asyncio's loop what asyncpg uses, for one connection."""

    def __init__(self) -> None:
        self._transports: list[_Transport] = []

    def settle_on(self, chosen: _Transport | None) -> None:
        """Of all that were tried for a connection, keep this one."""
        for transport in self._transports:
            if transport is not chosen:
                transport.abort()
        self._transports = [] if chosen is None else [chosen]

    async def progress(self) -> None:
        """Wait for the peer of the newest transport, and take in what it sends."""
        await self._transports[-1].progress()

    def create_future(self) -> _Future:
        return _Future(self)

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: str,
        port: int,
        ssl: ssl.SSLContext | None = None,
    ) -> tuple[_Transport, Any]:
        stream = await trio.open_tcp_stream(host, port)
        return await self._connected(stream, protocol_factory, ssl, host)

    async def create_unix_connection(
        self, protocol_factory: Callable[[], Any], path: str
    ) -> tuple[_Transport, Any]:
        return await self._connected(await trio.open_unix_socket(path), protocol_factory)

    async def start_tls(
        self, transport: _Transport, _: Any, context: ssl.SSLContext, *, server_hostname: str
    ) -> _Transport:
        await transport.start_tls(context, server_hostname)
        return transport

    def time(self) -> float:
        return trio.current_time()

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    async def _connected(
        self,
        stream: trio.SocketStream,
        protocol_factory: Callable[[], Any],
        context: ssl.SSLContext | None = None,
        host: str = "",
    ) -> tuple[_Transport, Any]:
        protocol = protocol_factory()
        transport = _Transport(socket.socket(fileno=stream.socket.detach()), protocol)
        self._transports.append(transport)
        if context is not None:
            await transport.start_tls(context, host)
        protocol.connection_made(transport)
        return transport, protocol


class _Future:
    """Of asyncio's future what asyncpg uses. Awaiting it reads the connection until it is done."""

    __slots__ = ("_callbacks", "_done", "_error", "_loop", "_result")

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._done = False
        self._result: object = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[_Future], object]] = []

    def __await__(self) -> Generator[Any, Any, object]:
        while not self._done:
            yield from self._loop.progress().__await__()
        if self._error is not None:
            raise self._error
        return self._result

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return False

    def cancel(self) -> bool:
        """Whoever waited has gone; nobody asks for the outcome any more."""
        return False

    def exception(self) -> BaseException | None:
        return self._error

    def set_result(self, result: object) -> None:
        self._result = result
        self._settle()

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self._settle()

    def add_done_callback(self, callback: Callable[[_Future], object]) -> None:
        self._callbacks.append(callback)

    def _settle(self) -> None:
        self._done = True
        for callback in self._callbacks:
            callback(self)


class _Transport:
    """Of asyncio's transport what asyncpg uses, over a connected socket, with TLS or without."""

    def __init__(self, sock: socket.socket, protocol: Any) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._protocol = protocol
        self._unsent = b""
        self._failure: OSError | None = None
        self._tls: ssl.SSLObject | None = None
        self._from_peer, self._to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()

    def get_extra_info(self, name: str) -> object:
        return {"socket": self._socket, "ssl_object": self._tls}.get(name)

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def write(self, data: bytes | memoryview) -> None:
        """Give the kernel what it takes now; the rest goes while an answer is waited for."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._to_peer.read()
        self._send(data)

    def writelines(self, buffers: list[bytes]) -> None:
        self.write(b"".join(buffers))

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Close at once. The protocol is not told: it is what asks for this."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()

    async def progress(self) -> None:
        """Wait for the peer; send what is left, or take in what it sends."""
        if self._failure is not None:
            self._lose(self._failure)
        elif self._socket.fileno() < 0:
            raise ConnectionResetError("the connection was closed here")
        elif self._unsent:
            await trio.lowlevel.wait_writable(self._socket)
            unsent, self._unsent = self._unsent, b""
            self._send(unsent)
        else:
            await trio.lowlevel.wait_readable(self._socket)
            self.receive_now()

    def receive_now(self) -> bool:
        """Take in what has come; False: nothing had."""
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lose(error)
            return True
        if not data:
            self._lose(None)
        elif self._tls is None:
            self._protocol.data_received(data)
        else:
            self._from_peer.write(data)
            self._receive_decrypted(self._tls)
        return True

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Shake hands. Raises OSError, of which ssl's errors are one kind."""
        tls = context.wrap_bio(self._from_peer, self._to_peer, server_hostname=server_hostname)
        while self._tls is None:
            try:
                tls.do_handshake()
                self._tls = tls
            except ssl.SSLWantReadError:
                pass
            finally:
                self._send(self._to_peer.read())
            if self._tls is None:
                await trio.lowlevel.wait_readable(self._socket)
                self._from_peer.write(self._handshake_bytes())

    def _handshake_bytes(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        data = self._socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionResetError("the connection was closed during the TLS handshake")
        return data

    def _receive_decrypted(self, tls: ssl.SSLObject) -> None:
        while self._socket.fileno() >= 0:
            try:
                data = tls.read(_RECEIVE_BYTES)
            except ssl.SSLWantReadError:
                # It may have been about keys only, and want an answer.
                self._send(self._to_peer.read())
                return
            except OSError as error:
                self._lose(error)
                return
            if not data:
                self._lose(None)
                return
            self._protocol.data_received(data)

    def _send(self, data: bytes | memoryview) -> None:
        sent = 0
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except BlockingIOError:
                pass
            except OSError as error:
                # The protocol may be in the middle of something: it is told when it waits.
                self._failure = error
                return
        if sent < len(data):
            self._unsent += data[sent:]

    def _lose(self, error: OSError | None) -> None:
        self.abort()
        self._protocol.connection_lost(error)
