"""A batch of commits as the arrays that `px_commit` takes, and its answer as outcomes.

What a commit may write is fixed here: rows of `request`, `entity` and `response`, keys, links of
`addressee` and `member`, alarms, events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, cast

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

_COMMITS = ("commit_ids", "not_before", "not_after")
_REQUEST = (
    "rq_ord", "rq_id", "rq_version", "rq_status", "rq_requestor", "rq_deadline", "rq_created",
    "rq_state", "rq_schema", "rq_hints", "rq_prefill", "rq_meta",
)  # fmt: skip
_ENTITY = ("en_ord", "en_id", "en_version", "en_state")
_RESPONSE = ("rs_ord", "rs_id", "rs_request", "rs_payload", "rs_by", "rs_client", "rs_at")
_KEY = ("ky_ord", "ky_space", "ky_key", "ky_holds")
_LINK = ("ln_ord", "ln_table", "ln_left", "ln_right", "ln_present")
_ALARM = ("al_ord", "al_id", "al_due", "al_subject")
_FIRED = ("fi_ord", "fi_id", "fi_generation")
_EVENT = ("ev_ord", "ev_channel", "ev_id", "ev_data")
_COUNT = sum(
    map(len, (_COMMITS, _REQUEST, _ENTITY, _RESPONSE, _KEY, _LINK, _ALARM, _FIRED, _EVENT))
)

CALL = f"select * from px_commit({', '.join(f'${n}' for n in range(1, _COUNT + 2))})"  # noqa: S608

# The columns of a table after (ord, id, version), by the names that a Row's values have.
_REQUEST_VALUES = (
    "status", "requestor", "deadline_at", "created_at", "state", "schema_hash", "ui_hints",
    "prefill", "meta",
)  # fmt: skip
_RESPONSE_VALUES = ("request_id", "payload", "answered_by", "client", "answered_at")

_encode = msgspec.json.encode


class Batch:
    """Commits of one transaction, in order; ordinals count from 1."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self.commits = commits
        self._relations: dict[str, list[list[Any]]] = {
            relation[0]: [[] for _ in relation]
            for relation in (
                _COMMITS, _REQUEST, _ENTITY, _RESPONSE, _KEY, _LINK, _ALARM, _FIRED, _EVENT,
            )
        }  # fmt: skip
        for ordinal, commit in enumerate(commits, start=1):
            self._add(ordinal, commit)

    def arguments(self, relayed: Sequence[int]) -> list[object]:
        """The arguments of `CALL`; `relayed` are batches whose events have all been appended."""
        columns: list[object] = [
            column for relation in self._relations.values() for column in relation
        ]
        return [*columns, list(relayed)]

    def _put(self, relation: str, *values: object) -> None:
        for column, value in zip(self._relations[relation], values, strict=True):
            column.append(value)

    def _add(self, ordinal: int, commit: Commit) -> None:
        self._put("commit_ids", commit.id, commit.not_before, commit.not_after)
        for row in commit.rows:
            _ROW_WRITERS[row.table](self._put, ordinal, row)
        for key in commit.keys:
            holds = _encode(key.values).decode()
            self._put("ky_ord", ordinal, key.space, key.key, holds)
        for link in commit.links:
            present = isinstance(link, Link)
            self._put("ln_ord", ordinal, link.table, link.left, link.right, present)
        for alarm in commit.alarms:
            match alarm:
                case AlarmSet(id, due, subject):
                    self._put("al_ord", ordinal, id, due, subject)
                case AlarmClear(id):
                    self._put("al_ord", ordinal, id, None, None)
                case AlarmFired(id, generation):
                    self._put("fi_ord", ordinal, id, generation)
        for event in commit.events:
            data = event.data.decode()
            for channel in event.channels:
                self._put("ev_ord", ordinal, channel, event.id, data)

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
        ordinals, channels, _, datas = self._relations["ev_ord"]
        for ordinal, channel, data in zip(ordinals, channels, datas, strict=True):
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


_Put = Callable[..., None]


def _put_request(put: _Put, ordinal: int, row: Row) -> None:
    values = [row.values.get(name) for name in _REQUEST_VALUES]
    put("rq_ord", ordinal, row.id, row.version, *values)


def _put_entity(put: _Put, ordinal: int, row: Row) -> None:
    put("en_ord", ordinal, row.id, row.version, row.values["state"])


def _put_response(put: _Put, ordinal: int, row: Row) -> None:
    put("rs_ord", ordinal, row.id, *[row.values[name] for name in _RESPONSE_VALUES])


_ROW_WRITERS: dict[str, Callable[[_Put, int, Row], None]] = {
    "request": _put_request,
    "entity": _put_entity,
    "response": _put_response,
}
