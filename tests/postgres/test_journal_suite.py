"""PostgreSQL's journal does what every journal does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from actors.journal import Journal, Key, Link, Row
from pxbox.model.ids import new_ulid
from tests.postgres.conftest import OpenJournal, open_journal
from tests.suites.journal import JournalSuite
from tests.suites.journal_fixtures import (
    LoadedValues,
    MakeKey,
    MakeLink,
    MakeRow,
    NewId,
    ReadAlarm,
    ReadLinks,
    ReadLog,
    ReadMessages,
    ReadOutcome,
)

_CREATED: dict[str, object] = {
    "requestor": "asker",
    "created_at": datetime(2030, 1, 1, tzinfo=UTC),
    "schema_hash": "hash",
    "ui_hints": "null",
    "prefill": "null",
    "meta": "{}",
}
_STARTED: dict[str, object] = {
    "kind": "expense",
    "kind_version": 1,
    "owner": None,
    "requestor": "asker",
    "created_at": datetime(2030, 1, 1, tzinfo=UTC),
    "input": "null",
    "cursor": "null",
}
_STATUS = ("PENDING", "CLAIMED", "ANSWERED")


def _row(table: str, id: str, version: int) -> Row:
    """The columns of a request that its creation alone gives come with version 1."""
    state = msgspec.json.encode({"n": version, "is": str(uuid4())}).decode()
    if table == "entity":
        return Row(table, id, version, {"state": state})
    if table == "flow":
        started = _STARTED if version == 1 else {}
        values = {"status": "RUNNING", "parked": False, "state": state, "runnable": None}
        return Row(table, id, version, {**values, **started})
    created = _CREATED if version == 1 else {}
    status = _STATUS[(version - 1) % len(_STATUS)]
    return Row(table, id, version, {"status": status, "state": state, **created})


class TestPostgresJournal(JournalSuite):
    @pytest.fixture
    async def opened(self, shared_database_url: str) -> AsyncIterator[OpenJournal]:
        async with open_journal(shared_database_url) as opened:
            yield opened

    @pytest.fixture
    def journal(self, opened: OpenJournal) -> Journal:
        return opened.journal

    @pytest.fixture
    def make_row(self) -> MakeRow:
        return _row

    @pytest.fixture
    def loaded_values(self) -> LoadedValues:
        return lambda row: {"state": row.values["state"]} if "state" in row.values else {}

    @pytest.fixture
    def make_key(self) -> MakeKey:
        return lambda key: Key("address", key, {"entityId": key})

    @pytest.fixture
    def make_link(self) -> MakeLink:
        return lambda left, right: Link("member", left, right)

    @pytest.fixture
    def new_id(self) -> NewId:
        return lambda table: new_ulid()

    @pytest.fixture
    def read_log(self, opened: OpenJournal) -> ReadLog:
        async def read(channel: str) -> list[tuple[int, str, bytes]]:
            rows = await opened.query(
                "select seq, id, data from event where channel = $1 order by seq", channel
            )
            return [(row["seq"], row["id"], row["data"].encode()) for row in rows]

        return read

    @pytest.fixture
    def read_alarm(self, opened: OpenJournal) -> ReadAlarm:
        async def read(id: str) -> tuple[int, datetime, str] | None:
            rows = await opened.query(
                "select generation, due_at, subject from alarm where id = $1", id
            )
            return tuple(rows[0]) if rows else None

        return read

    @pytest.fixture
    def read_outcome(self, opened: OpenJournal) -> ReadOutcome:
        async def read(wait: str) -> str | None:
            rows = await opened.query("select outcome from flow_wait where id = $1", wait)
            return rows[0]["outcome"] if rows else None

        return read

    @pytest.fixture
    def read_messages(self, opened: OpenJournal) -> ReadMessages:
        async def read(to: str) -> list[UUID]:
            rows = await opened.query("select id from message where recipient = $1", to)
            return [UUID(str(row["id"])) for row in rows]

        return read

    @pytest.fixture
    def read_links(self, opened: OpenJournal) -> ReadLinks:
        async def read(link: Link) -> set[str]:
            return set(await opened.views.members_of([link.left]))

        return read
