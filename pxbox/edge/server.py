"""The listener: one port; each connection in a task of its own, out of which nothing escapes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from pxbox.edge.host import HttpHost
from pxbox.edge.http import HttpConnection
from pxbox.edge.limits import EdgeLimits
from pxbox.edge.refusals import too_many_connections
from pxbox.listening import Share, Solitary
from pxbox.tcp import Wire
from pxbox.ws.handover import Handshake, WebSocketHandler, hand_over

_TURNED_AWAY_AT_ONCE = 128
_NO_ROOM = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_NO_ROOM_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class EdgeStats:
    """`connections` and `websockets` are open now; the others are counted since the start."""

    connections: int = 0
    websockets: int = 0
    accepted_total: int = 0
    turned_away_total: int = 0
    faults_total: int = 0


class Edge:
    """Serves HTTP by `http` and WebSockets by `websocket`, on one port.

    `http.on_error` hears of every fault on a connection, app, handler and edge alike; what peers
    do wrong is no fault. `stats` may be read at any time.
    """

    def __init__(
        self,
        *,
        http: HttpHost,
        websocket: WebSocketHandler,
        limits: EdgeLimits | None = None,
        share: Share | None = None,
    ) -> None:
        self.stats = EdgeStats()
        self._share = share or Solitary()
        self._http = http
        self._websocket = websocket
        self._limits = limits or EdgeLimits()
        self._wires: set[Wire] = set()
        self._speaking_http: set[HttpConnection] = set()
        self._being_turned_away = 0

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        *,
        draining: trio.Event,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve these listening sockets, which it closes, until `draining` is set; then drain.

        Draining: nothing is accepted any more, idle connections end at once, requests in hand
        are answered, WebSocket handlers see `draining`, and who reads nothing is cut. Returns when
        all have ended, at the latest after `grace_seconds`, when the rest is cut (A6).
        """
        async with trio.open_nursery() as cutting:
            await self._serve_until_drained(listeners, draining, cutting, task_status)
            cutting.cancel_scope.cancel()

    async def _serve_until_drained(
        self,
        listeners: Sequence[socket.socket],
        draining: trio.Event,
        cutting: trio.Nursery,
        task_status: trio.TaskStatus[None],
    ) -> None:
        async with trio.open_nursery() as connections:
            try:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        listener.setblocking(False)
                        accepting.start_soon(self._accept, listener, connections, draining)
                    task_status.started()
                    await draining.wait()
                    accepting.cancel_scope.cancel()
            finally:
                self._share.leave()
                for listener in listeners:
                    listener.close()
            for connection in list(self._speaking_http):
                connection.drain()
            grace = trio.current_time() + self._limits.grace_seconds
            connections.cancel_scope.deadline = grace
            cutting.start_soon(self._cut_who_reads_nothing)

    async def _cut_who_reads_nothing(self) -> None:
        stall = self._limits.drain_stall_seconds
        while True:
            latest = trio.current_time() - stall
            for wire in list(self._wires):
                if wire.waiting_since is not None and wire.waiting_since <= latest:
                    wire.reset()
            await trio.sleep(stall / 4)

    async def _accept(
        self, listener: socket.socket, connections: trio.Nursery, draining: trio.Event
    ) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener.fileno())
            for _ in range(await self._share.turn()):
                try:
                    accepted, _ = listener.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno == errno.EINVAL:
                        return  # whoever shares the socket with us has shut it down
                    if error.errno in _NO_ROOM:
                        self._fault(listener.getsockname()[:2], error)
                        await trio.sleep(_NO_ROOM_PAUSE_SECONDS)
                        break
                    continue  # this one left before it was accepted
                self._take_in(accepted, connections, draining)

    def _take_in(
        self, accepted: socket.socket, connections: trio.Nursery, draining: trio.Event
    ) -> None:
        self.stats.accepted_total += 1
        try:
            wire = Wire(accepted, stall_seconds=self._limits.stall_seconds)
        except OSError:  # it has left already
            accepted.close()
            return
        if self.stats.connections < self._limits.connections:
            self.stats.connections += 1
            self._share.note(self.stats.connections)
            connections.start_soon(self._serve_contained, wire, draining)
            return
        self.stats.turned_away_total += 1
        if self._being_turned_away < _TURNED_AWAY_AT_ONCE:
            self._being_turned_away += 1
            connections.start_soon(self._turn_away, wire)
        else:
            wire.close()

    async def _serve_contained(self, wire: Wire, draining: trio.Event) -> None:
        self._wires.add(wire)
        try:
            await self._serve(wire, draining)
        except Exception as error:
            self._fault(wire.peer, error)
        except BaseExceptionGroup as group:
            # A fault while the connection was being cancelled: the two come in one group.
            faults, passing = group.split(Exception)
            if faults is not None:
                self._fault(wire.peer, faults)
            if passing is not None:
                raise passing from None
        finally:
            self.stats.connections -= 1
            self._wires.discard(wire)
            self._share.note(self.stats.connections)
            wire.close()

    async def _serve(self, wire: Wire, draining: trio.Event) -> None:
        handshake = await self._serve_http(wire, draining)
        if handshake is None:
            return
        self.stats.websockets += 1
        try:
            await hand_over(
                wire,
                handshake,
                self._websocket,
                draining=draining,
                limits=self._limits.websocket,
                on_fault=self._fault,
            )
        finally:
            self.stats.websockets -= 1

    async def _serve_http(self, wire: Wire, draining: trio.Event) -> Handshake | None:
        async with trio.open_nursery() as nursery:
            connection = HttpConnection(wire, self._http, self._limits, nursery)
            self._speaking_http.add(connection)
            if draining.is_set():
                connection.drain()
            try:
                head = await connection.serve()
            finally:
                self._speaking_http.discard(connection)
        if head is None:
            await connection.part()
            return None
        return Handshake(head)

    async def _turn_away(self, wire: Wire) -> None:
        try:
            await wire.send_all(too_many_connections().response())
            await wire.linger(
                seconds=self._limits.linger_seconds, max_bytes=self._limits.linger_bytes
            )
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._being_turned_away -= 1
            wire.close()

    def _fault(self, peer: tuple[str, int], error: BaseException) -> None:
        self.stats.faults_total += 1
        self._http.on_error(f"{peer[0]}:{peer[1]}", error)
