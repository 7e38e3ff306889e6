"""What is so of flows and their workers, read from Postgres; and who has which flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from msgspec import Raw
from msgspec.structs import replace

from pxbox.domain.flow import OpenWait
from pxbox.model.flow import Flow, FlowRef, FlowStatus, WaitKind, WaitOutcome
from pxbox.model.wire.flows import LeasedFlow, StepView, TimelineItem, WaitView
from pxbox.postgres.reader import Reader
from pxbox.postgres.views import Views

_decode = msgspec.json.Decoder(Flow).decode
_decode_waits = msgspec.json.Decoder(list[WaitView]).decode
NULL = Raw(b"null")
MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class FlowContent:
    flow: Flow
    input: Raw
    cursor: Raw
    result: Raw
    wake: int


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """What a list admits; None admits all. `mine`: of these owners or by this client."""

    mine: tuple[Sequence[str], str] | None
    kind: str | None
    status: str | None
    parked: bool | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class Runnable:
    """A flow that somebody gave up; `to_run`: another worker is to run it now."""

    id: str
    kind: str
    to_run: bool


@dataclass(frozen=True, slots=True)
class Given:
    """A flow that a session was given, whose it is, and for how long it was to be run before."""

    flow: LeasedFlow
    ref: FlowRef
    requestor: str
    waited: timedelta


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """`generation` counts how often it was taken."""

    id: str
    recipient: str
    body: bytes
    generation: int


class FlowViews:
    """Every method raises Unavailable while the database cannot be reached.

    `broker` is the name of this process in the database: that of the connection it writes by.
    """

    def __init__(self, reader: Reader, views: Views, broker: str) -> None:
        self._reader = reader
        self._views = views
        self._broker = broker

    async def key_holder(self, space: str, key: str) -> Mapping[str, object] | None:
        return await self._views.key_holder(space, key)

    async def flow(self, id: str) -> Flow | None:
        row = await self._reader.row("flow", id)
        return None if row is None else _decode(row["state"])

    async def content(self, id: str) -> FlowContent | None:
        row = await self._reader.fetch_one("flow_detail", id)
        if row is None:
            return None
        return FlowContent(
            _shown(_decode(row["state"]), row["wake"], row["seen"]),
            _raw(row["input"]), _raw(row["cursor"]), _raw(row["result"]), row["wake"],
        )  # fmt: skip

    async def cursor(self, flow_id: str) -> Raw:
        row = await self._reader.fetch_one("flow_cursor", flow_id)
        return NULL if row is None else _raw(row["cursor"])

    async def open_waits(self, flow_id: str) -> list[OpenWait]:
        rows = await self._reader.fetch("flow_open_waits", flow_id)
        return [OpenWait(row["id"], WaitKind(row["kind"]), row["name"]) for row in rows]

    async def waiting(self, flow_id: str) -> list[WaitView]:
        return [_wait(row) for row in await self._reader.fetch("flow_waiting", flow_id)]

    async def waits(self, since: Mapping[str, int]) -> dict[str, list[WaitView]]:
        """By flow, the waits settled after the count of wakes given for it; -1: all of it."""
        rows = await self._reader.fetch("flow_waits", list(since), list(since.values()))
        found: dict[str, list[WaitView]] = {}
        for row in rows:
            found.setdefault(row["flow_id"], []).append(_wait(row))
        return found

    async def steps(self, flow_id: str, after: int) -> tuple[list[StepView], bool]:
        """The steps after this one, and whether there are more."""
        rows = await self._reader.fetch("flow_steps", flow_id, after, MOST_STEPS + 1)
        steps = [
            StepView(
                n=row["n"], key=row["key"], digest=row["digest"], result=_raw(row["result"]),
                at=row["at"],
            )
            for row in rows[:MOST_STEPS]
        ]  # fmt: skip
        return steps, len(rows) > MOST_STEPS

    async def listed(self, where: FlowFilter, before: str | None, limit: int) -> list[Flow]:
        owners, sub = where.mine or (None, None)
        rows = await self._reader.fetch(
            "list_flows", None if owners is None else list(owners), sub, where.kind, where.status,
            where.parked, where.owner, before, limit,
        )  # fmt: skip
        return [_shown(_decode(row["state"]), row["wake"], row["seen"]) for row in rows]

    async def timeline(self, flow_id: str, after: int, limit: int) -> list[TimelineItem]:
        rows = await self._reader.fetch("flow_timeline", flow_id, after, limit)
        return [TimelineItem(**dict(row)) for row in rows]

    async def open_session(
        self, id: str, sub: str, kinds: bytes, lasts: timedelta, served: bool
    ) -> datetime:
        """When it ends. `served`: its worker has a connection to this broker."""
        by = self._broker if served else None
        row = await self._reader.fetch_one("open_session", id, sub, kinds.decode(), lasts, None, by)
        assert row is not None
        expires_at: datetime = row["expires_at"]
        return expires_at

    async def renew_session(self, id: str, sub: str, lasts: timedelta) -> datetime | None:
        """When it ends now; None: it has ended."""
        row = await self._reader.fetch_one("renew_session", id, sub, lasts, None)
        return None if row is None else row["expires_at"]

    async def serve_session(self, id: str, sub: str) -> None:
        """Its worker has a connection to this broker now."""
        await self._reader.fetch("serve_session", id, sub, self._broker)

    async def leave_sessions(self, ids: Sequence[str]) -> None:
        """Their workers' connections to this broker are closed."""
        await self._reader.fetch("leave_sessions", list(ids), self._broker)

    async def session_kinds(self, id: str, sub: str) -> bytes | None:
        row = await self._reader.fetch_one("session_kinds", id, sub)
        return None if row is None else row["kinds"].encode()

    async def end_sessions(self, id: str | None) -> list[Runnable]:
        """End this session, and those that have expired."""
        return [_runnable(row) for row in await self._reader.fetch("end_sessions", id, None)]

    async def hand_back(self, session: str, flows: Sequence[str]) -> list[Runnable]:
        return [
            _runnable(row) for row in await self._reader.fetch("hand_back", session, list(flows))
        ]

    async def lease(
        self, session: str, sub: str, kinds: Mapping[str, int], limit: int
    ) -> list[Given]:
        """Give flows to a live session, with the outcomes that each lacks."""
        rows = await self._reader.fetch(
            "lease_flows", session, sub, list(kinds), list(kinds.values()), limit
        )
        return [_given(row) for row in rows]

    async def reclaim(self, session: str, held: Mapping[str, int]) -> None:
        """Have what this session was given without knowing of it given to it again. `held` are the
        flows that it knows of, with the count of wakes that it has seen of each."""
        await self._reader.fetch("reclaim_flows", session, list(held), list(held.values()))

    async def held(self, session: str, flows: Sequence[str]) -> set[str]:
        """Those of these flows that the session has."""
        return {row["id"] for row in await self._reader.fetch("held_flows", session, list(flows))}

    async def tally(self) -> dict[str, dict[str, int]]:
        """How many flows there are, by kind and by `running`, `waiting` or `parked`; the cost does
        not grow with them."""
        counts: dict[str, dict[str, int]] = {}
        for row in await self._reader.fetch("tally_flows"):
            counts.setdefault(row["kind"], {})[row["state"]] = row["n"]
        return counts

    async def take_messages(self, most: int, invisible: timedelta) -> list[TakenMessage]:
        rows = await self._reader.fetch("take_messages", most, invisible)
        return [
            TakenMessage(str(row["id"]), row["recipient"], row["body"].encode(), row["attempts"])
            for row in rows
        ]

    async def parked_messages(self) -> int:
        row = await self._reader.fetch_one("parked_messages")
        assert row is not None
        n: int = row["n"]
        return n


def _shown(flow: Flow, wake: int, seen: int) -> Flow:
    """A flow that an outcome has woken runs, though nobody has written that yet (F2)."""
    waits = flow.status in (FlowStatus.WAITING_INPUT, FlowStatus.SUSPENDED)
    return replace(flow, status=FlowStatus.RUNNING) if waits and wake > seen else flow


def _given(row: asyncpg.Record) -> Given:
    flow = _decode(row["state"])
    outcomes = [] if row["outcomes"] is None else _decode_waits(row["outcomes"])
    return Given(_leased(flow, row, outcomes), flow.ref, flow.requestor, row["waited"])


def _leased(flow: Flow, row: asyncpg.Record, outcomes: list[WaitView]) -> LeasedFlow:
    assert flow.kind_version is not None, "workers run no external flows"
    return LeasedFlow(
        flow_id=flow.id,
        kind=flow.kind,
        version=flow.kind_version,
        status=flow.status,
        fence=row["fence"],
        wake=row["wake"],
        revision=flow.revision,
        steps=flow.steps,
        compensations=flow.compensations,
        resident=row["resident"],
        input=_raw(row["input"]),
        cursor=_raw(row["cursor"]),
        outcomes=outcomes,
    )


def _wait(row: asyncpg.Record) -> WaitView:
    outcome = row["outcome"]
    return WaitView(
        id=row["id"],
        key=row["key"],
        kind=WaitKind(row["kind"]),
        name=row["name"],
        digest=row["digest"],
        due_at=row["due_at"],
        opened_at=row["opened_at"],
        outcome=None if outcome is None else WaitOutcome(outcome),
        settled_at=row["settled_at"],
        wake=row["wake"],
        detail=_raw(row["detail"]),
        payload=_raw(row["payload"]),
    )


def _runnable(row: asyncpg.Record) -> Runnable:
    return Runnable(row["id"], row["kind"], row["runnable"])


def _raw(text: Any) -> Raw:
    return NULL if text is None else Raw(text.encode())
