"""`/v1/ws`: who may connect, and the sessions that are open."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

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
from pxbox.service.room import Room
from pxbox.ws.admission import Admission, AdmissionLimits, Refused
from pxbox.ws.announced import Announced, announced
from pxbox.ws.handover import HandedOver
from pxbox.ws.live_token import LiveToken, TokenTimes
from pxbox.ws.messages import join_events
from pxbox.ws.parts import PartsLimits, Replies
from pxbox.ws.session import Accepted, Observers, Session

PATH = "/v1/ws"
# So many beats are sent before others get a turn (X4).
_BEATS_AT_ONCE = 50


_PARTINGS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often a heartbeat is sent, and how long after it a sign of life may take; the latter is
    not the longer one."""

    beat_seconds: float = 25.0
    answer_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms connections are served."""

    token: TokenTimes = field(default_factory=TokenTimes)
    parts: PartsLimits = field(default_factory=PartsLimits)
    admission: AdmissionLimits = field(default_factory=AdmissionLimits)
    pulse: Pulse = field(default_factory=Pulse)


async def _refuse(handed: HandedOver, error: PxError, retry_seconds: int = 1) -> None:
    document = problem(error)
    headers = [(b"Retry-After", b"%d" % retry_seconds)] if document["retryable"] else []
    if document["status"] == 401:
        headers.append((b"WWW-Authenticate", b'Bearer realm="pxbox"'))
    await handed.reject(document["status"], msgspec.json.encode(document), headers)


def _target(handed: HandedOver) -> SplitResult:
    """What the handshake asks for. Raises NotFound unless that is here."""
    try:
        target = urlsplit(handed.request.path)
    except ValueError:
        raise NotFound("the path cannot be read") from None
    if target.path != PATH:
        raise NotFound(f"WebSockets are served at {PATH}")
    return target


class Endpoint:
    """Serves every WebSocket of this process."""

    def __init__(
        self,
        parts: Parts,
        authenticator: Authenticator,
        observers: Observers,
        terms: Terms,
    ) -> None:
        self._parts = parts
        self._authenticator = authenticator
        self._observers = observers
        self._terms = terms
        self._admission = Admission(terms.admission)
        self._reply_room = Room()
        self._partings = trio.CapacityLimiter(_PARTINGS_AT_ONCE)
        self._sessions: set[Session] = set()

    async def serve(self, handed: HandedOver) -> None:
        """Serve one connection from its handshake to its end."""
        with ExitStack() as stack:
            try:
                await self._admission.turn()
                self._authenticator.require_origin(handed.headers)
                target = _target(handed)
                principal = await self._principal(handed, target.query)
                said = announced(target.query)
                stack.enter_context(self._admission.place(principal.sub))
            except PxError as error:
                await _refuse(handed, error)
            except Refused as refused:
                await _refuse(handed, refused.error, refused.retry_seconds)
            else:
                await self._converse(handed, principal, said)

    async def _converse(self, handed: HandedOver, principal: Principal, said: Announced) -> None:
        request = handed.request
        ours = SUBPROTOCOL in request.proposed_subprotocols
        connection = await request.accept(subprotocol=SUBPROTOCOL if ours else None)
        token = LiveToken(self._authenticator, principal, self._terms.token)
        replies = Replies(handed.outbox, self._reply_room, self._terms.parts)
        if said.batch:
            handed.outbox.merge_events(join_events)
        accepted = Accepted(handed, connection, said)
        session = Session(accepted, self._parts, token, replies, self._observers, self._partings)
        self._sessions.add(session)
        try:
            await session.serve()
        except ConnectionClosed:
            pass
        finally:
            self._sessions.discard(session)

    async def _principal(self, handed: HandedOver, query: str) -> Principal:
        """Who asks for this connection, by token or by ticket. Raises PxErrors."""
        ticket = ticket_of(query, handed.headers)
        if ticket is not None:
            return await tickets.redeem(self._parts, ticket)
        host = handed.peer.rpartition(":")[0]
        return await self._authenticator.authenticate(handed.headers, host)

    def outbox_bytes(self) -> int:
        """What waits for the readers of all connections together."""
        return sum(session.queued_bytes for session in self._sessions)

    async def beat(self) -> None:
        """Send heartbeats until cancelled: the heads come from one query for all (E7). Who gives no
        sign of life after one is dead."""
        pulse = self._terms.pulse
        while True:
            await trio.sleep(pulse.beat_seconds - pulse.answer_seconds)
            heads = await self._heads()
            for number, session in enumerate(list(self._sessions)):
                session.beat(heads)
                if number % _BEATS_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
            await trio.sleep(pulse.answer_seconds)
            for session in list(self._sessions):
                session.require_life()

    async def _heads(self) -> dict[str, int]:
        try:
            return await self._parts.channels.heads()
        except PxError:
            # No fault of ours: the database is away. The beat itself still says something.
            return {}
        except Exception as error:
            self._observers.on_fault("heartbeat", error)
            return {}
