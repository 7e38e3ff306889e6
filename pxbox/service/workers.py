"""Workers: their sessions, and the flows that each has in hand (F4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import msgspec
import trio

from actors.journal import Commit, Event
from pxbox.behaviors.durable import submit
from pxbox.behaviors.settling import woken
from pxbox.domain import access
from pxbox.domain.access import Caller
from pxbox.model.errors import Draining, Forbidden, InvalidRequest, PxError, StaleCheckpoint
from pxbox.model.flow import FlowRef
from pxbox.model.ids import new_ulid
from pxbox.model.wire import flows as wire
from pxbox.postgres.flow_views import Given, Runnable
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.entrusted import Charge
from pxbox.service.served import Line

SESSION_SECONDS = 30
SESSION = timedelta(seconds=SESSION_SECONDS)
# A flow that wakes may be left to the session that had it for a second.
_AGAIN_SECONDS = 1.2

_decode_kinds = msgspec.json.Decoder(dict[str, int]).decode


class _OneCall:
    """What a call comes by that came by no lasting connection: its transport cancels it when the
    client leaves."""

    open = True


async def open_session(parts: Parts, call: Call) -> Outcome:
    """A worker comes; replies `WorkerSession`. It is to renew every ten seconds."""
    input = call.input
    assert isinstance(input, wire.OpenSession)
    kinds = {one.kind: one.version for one in input.kinds}
    if len(kinds) < len(input.kinds):
        raise InvalidRequest("a kind is named once, with the highest version that is run")
    for kind in kinds:
        _require_worker(call.caller, kind)
    id = new_ulid()
    encoded = msgspec.json.encode(kinds)
    served = call.line is not None
    expires_at = await parts.flows.open_session(id, call.caller.sub, encoded, SESSION, served)
    if call.line is not None:
        await parts.served.begin(id, call.line)
    return Outcome(wire.WorkerSession(id=id, session_id=id, expires_at=expires_at))


async def renew_session(parts: Parts, call: Call) -> Outcome:
    """Replies `WorkerSession`. Raises StaleCheckpoint where it has ended."""
    id = _session(call)
    expires_at = await parts.flows.renew_session(id, call.caller.sub, SESSION)
    if expires_at is None:
        raise _ended()
    return Outcome(wire.WorkerSession(id=id, session_id=id, expires_at=expires_at))


async def close_session(parts: Parts, call: Call) -> Outcome:
    """End it; its flows go to others. Replies `HandedBack`."""
    id = _session(call)
    await _kinds(parts, call)
    parts.entrusted.sessions.drop((id, call.caller.sub))
    gone = await parts.flows.end_sessions(id)
    await tell_workers(parts, gone)
    await parts.served.forget(id)
    return Outcome(wire.HandedBack(flow_ids=[flow.id for flow in gone]))


async def hand_back(parts: Parts, call: Call) -> Outcome:
    """Give up some flows; replies `HandedBack`."""
    input = call.input
    assert isinstance(input, wire.HandBack)
    await _kinds(parts, call)
    gone = await parts.flows.hand_back(input.id, input.flow_ids)
    await tell_workers(parts, gone)
    return Outcome(wire.HandedBack(flow_ids=[flow.id for flow in gone]))


async def lease(parts: Parts, call: Call) -> Outcome:
    """Take flows to run; replies `FlowsLeased`."""
    input = call.input
    assert isinstance(input, wire.LeaseFlows)
    known = None
    if input.held is None:
        known = parts.entrusted.sessions.get((input.id, call.caller.sub))
    kinds = await _kinds(parts, call) if known is None else _allowed(call, known)
    if call.line is not None and await parts.served.begin(input.id, call.line):
        await parts.flows.serve_session(input.id, call.caller.sub)
    lost: list[str] = []
    if input.held is not None:
        held = await parts.flows.held(input.id, list(input.held))
        lost = [id for id in input.held if id not in held]
        seen = {id: wake for id, wake in input.held.items() if id in held}
        await parts.flows.reclaim(input.id, seen)
    given = await _given(parts, call, kinds)
    if not given and (known is not None or input.wait_seconds):
        # Nothing is to be run, or the session has ended.
        await _kinds(parts, call)
    for one in given:
        parts.entrusted.flows.put(one.flow.flow_id, Charge(one.ref, one.requestor))
    parts.flow_figures.leased(one.waited for one in given)
    flows, more = [one.flow for one in given], len(given) == input.limit
    return Outcome(wire.FlowsLeased(flows=flows, lost=lost, more=more))


async def leave(parts: Parts, line: Line) -> None:
    """This connection is closed: what waits for its workers is anybody's once it is woken."""
    gone = await parts.served.end(line)
    # Some may have come back by another connection meanwhile.
    sessions = [session for session in gone if not parts.served.knows(session)]
    if sessions:
        # Where the database is away it is as if the worker lived, until its session ends.
        with suppress(PxError):
            await parts.flows.leave_sessions(sessions)


async def _given(parts: Parts, call: Call, kinds: dict[str, int]) -> Sequence[Given]:
    """What there is to run, at the latest after as long as the call waits for it."""
    input = call.input
    assert isinstance(input, wire.LeaseFlows)
    if not input.wait_seconds:
        return await parts.flows.lease(input.id, call.caller.sub, kinds, input.limit)
    line = call.line if call.line is not None else _OneCall()
    await parts.served.begin(input.id, line)
    try:
        return await _awaited(parts, call, input, line, kinds)
    finally:
        if line is not call.line:
            await parts.served.end(line)


async def _awaited(
    parts: Parts, call: Call, input: wire.LeaseFlows, line: Line, kinds: dict[str, int]
) -> Sequence[Given]:
    ear = await parts.served.ear(input.id, kinds)
    until = trio.current_time() + input.wait_seconds
    # What a worker that has gone were given would wait for its session's end.
    while parts.served.serves(input.id, line):
        if parts.channels.draining:
            raise Draining("this broker is shutting down; lease from another")
        with trio.move_on_at(min(ear.look_at, until)):
            await ear.came.wait()
        if not parts.served.serves(input.id, line):
            break
        heard, ear.came = ear.came.is_set(), trio.Event()
        given = await parts.flows.lease(input.id, call.caller.sub, kinds, input.limit)
        if len(given) == input.limit:
            ear.came.set()
        # Something is to be run, and it may be left to another for now.
        ear.look_at = trio.current_time() + _AGAIN_SECONDS if heard else math.inf
        if given or trio.current_time() >= until:
            return given
    return []


async def end_expired(parts: Parts) -> int:
    """Give the flows of workers that are gone to others; return how many those are."""
    gone = await parts.flows.end_sessions(None)
    await tell_workers(parts, gone)
    return len(gone)


async def tell_workers(parts: Parts, flows: Sequence[Runnable]) -> None:
    """Workers of their kinds hear that these are to be run."""
    events: list[Event] = []
    for flow in flows:
        if flow.to_run:
            events += woken(
                FlowRef(flow.id, flow.kind, None), f"{flow.id}.{uuid4()}", parts.journal.now()
            )
    if events:
        await submit(parts.journal, Commit(id=uuid4(), events=tuple(events)))


async def _kinds(parts: Parts, call: Call) -> dict[str, int]:
    """What the session runs, by kind. Raises StaleCheckpoint where it has ended or is another's."""
    kinds = await parts.flows.session_kinds(_session(call), call.caller.sub)
    if kinds is None:
        raise _ended()
    found = _decode_kinds(kinds)
    parts.entrusted.sessions.put((_session(call), call.caller.sub), found)
    return _allowed(call, found)


def _allowed(call: Call, kinds: dict[str, int]) -> dict[str, int]:
    """These, if the token of this call is for them."""
    for kind in kinds:
        _require_worker(call.caller, kind)
    return kinds


def _session(call: Call) -> str:
    assert isinstance(call.input, wire.SessionId)
    return call.input.id


def _ended() -> StaleCheckpoint:
    return StaleCheckpoint("this session has ended; open another, and run nothing of what it had")


def _require_worker(caller: Caller, kind: str) -> None:
    if not access.may_work(caller, kind):
        raise Forbidden(f"this needs the scope worker:{kind}", scopes=[f"worker:{kind}"])
