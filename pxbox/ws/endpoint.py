"""`/v1/ws`: who may connect, and the sessions that are open."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import SplitResult, urlsplit

import msgspec
import trio

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
from pxbox.ws.live_token import Expiries, LiveToken, TokenTimes
from pxbox.ws.messages import join_events
from pxbox.ws.parts import PartsLimits
from pxbox.ws.session import Observers, Session, Surroundings

PATH = "/v1/ws"
# So many sessions are told something before others get a turn (X4).
_TOLD_AT_ONCE = 50
_PARTINGS_AT_ONCE = 16
# In so long all leave an epoch that has ended: not at once, for they are about to connect again.
_SPREAD_SECONDS = 1.0


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
        target = urlsplit(handed.path)
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
        limiter = trio.CapacityLimiter(_PARTINGS_AT_ONCE)
        self._surroundings = Surroundings(parts, observers, terms.parts, Room(), limiter)
        self._sessions: set[Session] = set()
        self._expiries = Expiries(self._sessions)

    async def serve(self, handed: HandedOver) -> None:
        """Serve one connection from its handshake to its end; `run` is to run meanwhile."""
        try:
            await self._admission.turn()
            self._authenticator.require_origin(handed.headers)
            target = _target(handed)
            principal = await self._principal(handed, target.query)
            said = announced(target.query)
            place = self._admission.place(principal.sub)
        except PxError as error:
            await _refuse(handed, error)
        except Refused as refused:
            await _refuse(handed, refused.error, refused.retry_seconds)
        else:
            with place:
                await self._converse(handed, principal, said)

    async def _converse(self, handed: HandedOver, principal: Principal, said: Announced) -> None:
        await handed.accept(SUBPROTOCOL if SUBPROTOCOL in handed.subprotocols else None)
        if said.batch:
            handed.outbox.merge_events(join_events)
        token = LiveToken(self._authenticator, principal, self._terms.token)
        session = Session(handed, said, token, self._surroundings)
        self._sessions.add(session)
        self._expiries.note(token)
        try:
            await session.serve()
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

    async def run(self, draining: trio.Event) -> None:
        """Do what all connections need, until cancelled: their admission, heartbeats, and their
        ends by time, by the epoch's end, or when `draining` is set."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._admission.run)
            nursery.start_soon(self._beat)
            nursery.start_soon(self._expiries.run)
            nursery.start_soon(self._watch_epochs, nursery)
            await draining.wait()
            await self._tell_all(Session.drain)

    async def _beat(self) -> None:
        """The heads come from one query for all (E7). Who gives no sign of life after a beat is
        dead."""
        pulse = self._terms.pulse
        while True:
            await trio.sleep(pulse.beat_seconds - pulse.answer_seconds)
            await self._tell_all(partial(Session.beat, heads=await self._heads()))
            await trio.sleep(pulse.answer_seconds)
            await self._tell_all(Session.require_life)

    async def _watch_epochs(self, nursery: trio.Nursery) -> None:
        while True:
            await self._parts.channels.epoch.ended.wait()
            nursery.start_soon(self._leave_epoch, self._parts.epoch)

    async def _leave_epoch(self, next_epoch: str) -> None:
        leaving = list(self._sessions)
        await self._tell_all(partial(Session.announce_epoch, epoch=next_epoch))
        random.shuffle(leaving)
        for session in leaving:
            await trio.sleep(_SPREAD_SECONDS / len(leaving))
            session.end(4005, "epoch_changed")

    async def _tell_all(self, tell: Callable[[Session], None]) -> None:
        for number, session in enumerate(list(self._sessions)):
            tell(session)
            if number % _TOLD_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    async def _heads(self) -> dict[str, int]:
        try:
            return await self._parts.channels.heads()
        except PxError:
            # No fault of ours: the database is away. The beat itself still says something.
            return {}
        except Exception as error:
            self._observers.on_fault("heartbeat", error)
            return {}
