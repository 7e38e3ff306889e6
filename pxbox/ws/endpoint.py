"""`/v1/ws`: who may connect, and the sessions that are open."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed

from pxbox.auth import SUBPROTOCOL, Authenticator
from pxbox.auth.tickets import ticket_of
from pxbox.model.errors import NotFound, PxError
from pxbox.model.principal import Principal
from pxbox.service import tickets
from pxbox.service.core import Parts
from pxbox.service.problems import problem
from pxbox.ws.handover import RETRY_SOON, HandedOver
from pxbox.ws.live_token import LiveToken, TokenTimes
from pxbox.ws.session import OnCommand, OnFault, Session

PATH = "/v1/ws"
HEARTBEAT_SECONDS = 25.0


async def _refuse(handed: HandedOver, error: PxError) -> None:
    document = problem(error)
    headers = [*RETRY_SOON] if document["retryable"] else []
    if document["status"] == 401:
        headers.append((b"WWW-Authenticate", b'Bearer realm="pxbox"'))
    await handed.reject(document["status"], msgspec.json.encode(document), headers)


class Endpoint:
    """Serves every WebSocket of this process."""

    def __init__(
        self,
        parts: Parts,
        authenticator: Authenticator,
        on_fault: OnFault,
        on_command: OnCommand,
        token_times: TokenTimes,
    ) -> None:
        self._parts = parts
        self._authenticator = authenticator
        self._on_fault = on_fault
        self._on_command = on_command
        self._token_times = token_times
        self._sessions: set[Session] = set()

    async def serve(self, handed: HandedOver) -> None:
        """Serve one connection from its handshake to its end."""
        request = handed.request
        try:
            self._authenticator.require_origin(handed.headers)
            principal = await self._principal(handed)
        except PxError as error:
            await _refuse(handed, error)
            return
        ours = SUBPROTOCOL in request.proposed_subprotocols
        connection = await request.accept(subprotocol=SUBPROTOCOL if ours else None)
        token = LiveToken(self._authenticator, principal, self._token_times)
        session = Session(handed, connection, self._parts, token, self._on_fault, self._on_command)
        self._sessions.add(session)
        try:
            await session.serve()
        except ConnectionClosed:
            pass
        finally:
            self._sessions.discard(session)

    async def _principal(self, handed: HandedOver) -> Principal:
        """Who asks for this connection, by token or by ticket. Raises PxErrors."""
        try:
            target = urlsplit(handed.request.path)
        except ValueError:
            raise NotFound("the path cannot be read") from None
        if target.path != PATH:
            raise NotFound(f"WebSockets are served at {PATH}")
        ticket = ticket_of(target.query, handed.headers)
        if ticket is not None:
            return await tickets.redeem(self._parts, ticket)
        host = handed.peer.rpartition(":")[0]
        return await self._authenticator.authenticate(handed.headers, host)

    def outbox_bytes(self) -> int:
        """What waits for the readers of all connections together."""
        return sum(session.queued_bytes for session in self._sessions)

    async def beat(self) -> None:
        """Send heartbeats until cancelled: the heads come from one query for all (E7)."""
        while True:
            await trio.sleep(HEARTBEAT_SECONDS)
            try:
                heads = await self._parts.channels.heads()
            except PxError:
                # No fault of ours: the database is away. The beat itself still says something.
                heads = {}
            except Exception as error:
                self._on_fault("heartbeat", error)
                heads = {}
            for session in list(self._sessions):
                session.heads(heads)
