"""A batch of commits as the arguments of `px_commit`, and its answer as outcomes.

What a commit may write is fixed here: rows of `request`, `entity`, `mark`, `response`, `flow` and
what hangs on it, `trail`, keys, links of `addressee` (rows of `inquiry`) and `member`, alarms,
settlements, messages, events. To write to one more table: a type beside those of
`migrations/0002_commit.sql`, a parameter of the function, which `migrations/0014_commit_plans.sql`
has as it is now, its name in `RELATIONS`, and whatever makes its tuples, in the order of the type's
attributes, in `_ROWS` or in `Batch._add`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

import asyncpg
import msgspec

from actors.journal import (
    AlarmClear,
    AlarmFired,
    AlarmSet,
    Commit,
    Committed,
    Conflict,
    Link,
    Row,
)  # fmt: skip

RELATIONS = (
    "request", "entity", "mark", "response", "key", "link", "alarm", "fired", "flow", "flow_step",
    "flow_wait", "settlement", "message", "received", "trail",
    "event",
)  # fmt: skip
"""The parameters of `px_commit` that are arrays of rows, each of the type `px_<name>`, in order."""

# Before them come the ids of the commits and their two times, after them the batches relayed.
_PARAMETERS = 3 + len(RELATIONS) + 1

CALL = f"select * from px_commit({', '.join(f'${n}' for n in range(1, _PARAMETERS + 1))})"  # noqa: S608

_encode = msgspec.json.encode


class Batch:
    """Commits of one transaction, in order; ordinals count from 1."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self.commits = commits
        self._ids: list[UUID] = [commit.id for commit in commits]
        self._not_before = [commit.not_before for commit in commits]
        self._not_after = [commit.not_after for commit in commits]
        # Tuples, not columns: asyncpg looks closely at each element of an array.
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in RELATIONS}
        for ordinal, commit in enumerate(commits, start=1):
            self._add(ordinal, commit)

    def arguments(self, relayed: Sequence[int]) -> list[object]:
        """The arguments of `CALL`; `relayed` are batches whose events have all been appended."""
        times = (self._not_before, self._not_after)
        return [self._ids, *times, *self._rows.values(), list(relayed)]

    def _add(self, ordinal: int, commit: Commit) -> None:
        rows = self._rows
        for row in commit.rows:
            rows[row.table].append(_ROWS[row.table](ordinal, row))
        for key in commit.keys:
            rows["key"].append((ordinal, key.space, key.key, _encode(key.values).decode()))
        for link in commit.links:
            present = isinstance(link, Link)
            rows["link"].append((ordinal, link.table, link.left, link.right, present))
        for alarm in commit.alarms:
            match alarm:
                case AlarmSet(id, due, subject):
                    rows["alarm"].append((ordinal, id, due, subject))
                case AlarmClear(id):
                    rows["alarm"].append((ordinal, id, None, None))
                case AlarmFired(id, generation):
                    rows["fired"].append((ordinal, id, generation))
        for one in commit.settlements:
            value = one.outcome
            rows["settlement"].append(
                (ordinal, one.owner, one.id, value["outcome"], value["data"], one.wakes)
            )
        for message in commit.messages:
            rows["message"].append((ordinal, message.id, message.to, message.body.decode()))
        for received in commit.received:
            rows["received"].append((ordinal, received))
        for event in commit.events:
            data = event.data.decode()
            rows["event"] += [(ordinal, channel, event.id, data) for channel in event.channels]

    def outcomes(
        self, answer: asyncpg.Record
    ) -> tuple[list[Committed | Conflict], dict[str, list[tuple[int, bytes]]]]:
        """What became of each commit, in order, and the events logged per channel.

        A commit that had landed before (a repeat after a lost connection) is Committed with no
        numbers: its events are in the log, and whoever sweeps relays them (E3).
        """
        now: datetime = answer["now"]
        lost = {
            ordinal: (guard, holds)
            for ordinal, guard, holds in zip(
                answer["lost"] or (), answer["lost_guard"] or (), answer["lost_holds"] or (),
                strict=True,
            )
        }  # fmt: skip
        seqs: list[dict[str, list[int]]] = [{} for _ in self.commits]
        logged: dict[str, list[tuple[int, bytes]]] = {}
        numbers = iter(answer["seqs"] or ())
        for ordinal, channel, _, data in self._rows["event"]:
            if ordinal in lost:
                continue
            seq = next(numbers)
            seqs[ordinal - 1].setdefault(channel, []).append(seq)
            logged.setdefault(channel, []).append((seq, data.encode()))
        results: list[Committed | Conflict] = []
        for ordinal in range(1, len(self.commits) + 1):
            guard, holds = lost.get(ordinal, ("landed", "{}"))
            if guard == "landed":
                mine = {channel: tuple(found) for channel, found in seqs[ordinal - 1].items()}
                results.append(Committed(now, mine))
            else:
                results.append(Conflict(_guard(guard), now, _held(holds)))
        return results, logged


def _held(text: str) -> dict[str, object]:
    """What holds instead; the values kept with a key stand beside its name."""
    held = msgspec.json.decode(text, type=dict[str, object])
    values = held.pop("holds", None)
    return held | values if isinstance(values, dict) else held


def _guard(name: str) -> Literal["version", "key", "time", "fence"]:
    return cast(Literal["version", "key", "time", "fence"], name)


def _request(ordinal: int, row: Row) -> tuple[object, ...]:
    value = row.values.get
    return (
        ordinal, row.id, row.version, value("status"), value("requestor"), value("deadline_at"),
        value("created_at"), value("state"), value("schema_hash"), value("ui_hints"),
        value("prefill"), value("meta"), value("declined"), value("search"), value("why"),
        value("context"), value("default_answer"),
    )  # fmt: skip


def _entity(ordinal: int, row: Row) -> tuple[object, ...]:
    return ordinal, row.id, row.version, row.values["state"]


def _mark(ordinal: int, row: Row) -> tuple[object, ...]:
    value = row.values
    return (
        ordinal, row.id, row.version, value["request_id"], value["entity_id"], value["read"],
        value["snoozed_until"], value["deleted"],
    )  # fmt: skip


def _response(ordinal: int, row: Row) -> tuple[object, ...]:
    value = row.values
    return (
        ordinal, row.id, value["request_id"], value["payload"], value["answered_by"],
        value["client"], value["answered_at"],
    )  # fmt: skip


def _trail(ordinal: int, row: Row) -> tuple[object, ...]:
    value = row.values
    return (
        ordinal, value["subject"], value["version"], value["type"], value["status"],
        value["actor"], value["client"], value["token_id"], value["on_behalf_of"],
        value["detail"],
    )  # fmt: skip


def _flow(ordinal: int, row: Row) -> tuple[object, ...]:
    value, expected = row.values.get, row.expects.get
    return (
        ordinal, row.id, row.version, value("status"), value("parked"), value("state"),
        value("runnable"), value("seen"), expected("session"), expected("fence"), expected("wake"),
        value("kind"), value("kind_version"), value("owner"), value("requestor"),
        value("created_at"), value("input"), value("cursor"), value("result"),
    )  # fmt: skip


def _step(ordinal: int, row: Row) -> tuple[object, ...]:
    value = row.values
    return ordinal, value["flow_id"], value["n"], value["key"], value["digest"], value["result"]


def _wait(ordinal: int, row: Row) -> tuple[object, ...]:
    value = row.values
    return (
        ordinal, row.id, value["flow_id"], value["key"], value["kind"], value["name"],
        value["digest"], value["due_at"],
    )  # fmt: skip


_ROWS: dict[str, Callable[[int, Row], tuple[object, ...]]] = {
    "request": _request,
    "entity": _entity,
    "mark": _mark,
    "response": _response,
    "trail": _trail,
    "flow": _flow,
    "flow_step": _step,
    "flow_wait": _wait,
}
