"""A flush that fails: what is bad fails alone, and a lost connection deceives nobody (S1, S6)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
import trio

from actors.journal import (
    AlarmSet,
    Commit,
    CommitRefused,
    Committed,
    Conflict,
    Event,
    JournalUnavailable,
    Key,
    OutcomeUnknown,
    Row,
)
from pxbox.postgres.journal import PostgresJournal
from pxbox.postgres.migrate import migrate
from tests.postgres.conftest import OpenJournal, open_journal
from tests.postgres.proxy import Cut, Proxy, open_proxy
from tests.postgres.sessions import request_row, run_asyncio
from tests.servers import DisposableServers

SHARED = "entity:shared"


def creation(name: str, *more: Row) -> Commit:
    """A commit that makes the request `name`, with an event of that id."""
    return Commit(
        uuid4(),
        rows=(request_row(name, 1), *more),
        events=(Event(name, (SHARED, f"request:{name}"), b"{}"),),
    )


@dataclass
class Told:
    """What became of each commit, by the name it was given."""

    outcomes: dict[str, Committed | Conflict | Exception] = field(default_factory=dict)

    async def commit(self, journal: PostgresJournal, name: str, commit: Commit) -> None:
        try:
            self.outcomes[name] = await journal.commit(commit)
        except Exception as error:
            self.outcomes[name] = error

    def of(self, kind: type) -> set[str]:
        return {name for name, outcome in self.outcomes.items() if isinstance(outcome, kind)}


async def all_at_once(journal: PostgresJournal, commits: dict[str, Commit]) -> Told:
    told = Told()
    async with trio.open_nursery() as nursery:
        for name, commit in commits.items():
            nursery.start_soon(told.commit, journal, name, commit)
    return told


async def logged(opened: OpenJournal, channel: str = SHARED) -> list[str]:
    """The ids of a channel's events; its numbers must be 1, 2, 3, ..."""
    rows = await opened.query("select seq, id from event where channel = $1 order by seq", channel)
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["id"] for row in rows]


def bad_row(**values: object) -> Row:
    return request_row("bad", 1, **values)


async def test_what_waits_is_sent_before_the_last_are_told(opened: OpenJournal) -> None:
    """The database works while callers are told."""
    session = await opened.session()
    await session.begin()
    await session.put(creation("held"))
    left: list[int] = []
    told = Told()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.commit, opened.journal, "first", creation("first"))
        await opened.until_writer_waits()
        nursery.start_soon(told.commit, opened.journal, "second", creation("second"))
        while not opened.journal.queued():
            await trio.lowlevel.checkpoint()
        opened.on_logged = lambda: left.append(opened.journal.queued())
        await session.commit()
    assert told.of(Committed) == {"first", "second"}
    assert left == [0, 0], "of the second nothing waited any more when the first was told"


POISON: dict[str, Callable[[], Commit]] = {
    "a NUL": lambda: Commit(uuid4(), rows=(bad_row(requestor="a\0b"),)),
    "a lone surrogate": lambda: Commit(uuid4(), rows=(bad_row(requestor="a\ud800b"),)),
    "no JSON": lambda: Commit(uuid4(), rows=(bad_row(meta="{"),)),
    "a version beyond 64 bits": lambda: Commit(uuid4(), rows=(request_row("bad", 2**63),)),
    "a time that no calendar has": lambda: Commit(
        uuid4(), alarms=(AlarmSet("a", _beyond_the_calendar(), "request:bad"),)
    ),
    "a NUL in a key": lambda: Commit(uuid4(), keys=(Key("address", "a\0b", {}),)),
    "a key too large for its index": lambda: Commit(
        uuid4(), keys=(Key("address", random.Random(1).randbytes(20_000).hex(), {}),)
    ),
    "a NUL in an event": lambda: Commit(uuid4(), events=(Event("bad", (SHARED,), b'"\0"'),)),
    "a column that is missing": lambda: Commit(uuid4(), rows=(bad_row(schema_hash=None),)),
    "an unknown table": lambda: Commit(uuid4(), rows=(Row("nothing", "bad", 1, {}),)),
    "bytes that are no text": lambda: Commit(uuid4(), events=(Event("bad", (SHARED,), b"\xff"),)),
}


def _beyond_the_calendar() -> datetime:
    return datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))


@pytest.mark.parametrize("poison", POISON)
async def test_one_bad_commit_fails_alone(opened: OpenJournal, poison: str) -> None:
    commits = {f"good {n}": creation(f"good {n}") for n in range(30)}
    commits = {**commits, "bad": POISON[poison](), "last": creation("last")}
    told = await all_at_once(opened.journal, commits)
    assert opened.journal.stats.largest_batch > 1, "they went together"
    assert told.of(Committed) == set(commits) - {"bad"}
    refusal = told.outcomes["bad"]
    assert isinstance(refusal, CommitRefused)
    # X5: a driver's words may quote what was to be written.
    assert len(str(refusal)) < 100
    assert "bad" not in str(refusal)
    assert set(await logged(opened)) == set(commits) - {"bad"}
    rows = await opened.query("select id from request where id = 'bad'")
    assert rows == []
    again = await all_at_once(opened.journal, {"after": creation("after")})
    assert again.of(Committed) == {"after"}


async def test_a_batch_that_met_a_serialization_failure_is_sent_again(
    opened: OpenJournal,
) -> None:
    """Another transaction has just made one of its requests."""
    other = await opened.session()
    await other.begin()
    await other.put(creation("raced"))
    told = Told()
    async with trio.open_nursery() as nursery:
        for name in ("a", "raced", "z"):
            nursery.start_soon(told.commit, opened.journal, name, creation(name))
        await opened.until_writer_waits()
        await other.commit()
    assert told.of(Committed) == {"a", "z"}
    lost = told.outcomes["raced"]
    assert isinstance(lost, Conflict)
    assert lost.holds == {"table": "request", "id": "raced", "version": 1}
    assert sorted(await logged(opened)) == ["a", "raced", "z"]


async def test_a_batch_that_met_a_deadlock_is_sent_again(opened: OpenJournal) -> None:
    """Somebody beside the brokers locks rows in another order; the batch is the victim."""
    await all_at_once(opened.journal, {name: creation(name) for name in ("a", "z")})
    other = await opened.session()
    await other.fetch("set deadlock_timeout = '60 s'")
    await other.begin()
    await other.fetch("select 1 from request where id = 'z' for update")
    told = Told()
    update = Commit(uuid4(), rows=(request_row("a", 2), request_row("z", 2)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(told.commit, opened.journal, "both", update)
        await opened.until_writer_waits()
        await other.fetch("select 1 from request where id = 'a' for update")
        await other.rollback()
    assert told.of(Committed) == {"both"}


# Cuts of one flush and of its repeat; whether it is durable then; what may be told of it.
CUTS: list[tuple[list[Cut], bool, type]] = [
    ([Cut.BEFORE], True, Committed),
    ([Cut.AFTER], True, Committed),
    ([Cut.BEFORE, Cut.BEFORE], False, OutcomeUnknown),
    ([Cut.AFTER, Cut.BEFORE], True, OutcomeUnknown),
    ([Cut.BEFORE, Cut.AFTER], True, OutcomeUnknown),
    ([Cut.AFTER, Cut.AFTER], True, OutcomeUnknown),
]


@pytest.mark.parametrize(("cuts", "durable", "told_as"), CUTS)
async def test_a_connection_cut_in_a_flush_has_no_double_effect_and_no_false_loser(
    database_url: str, cuts: list[Cut], durable: bool, told_as: type
) -> None:
    async with (
        open_proxy(database_url) as (proxy, url),
        open_journal(database_url, url) as opened,
    ):
        await warm(opened, proxy)
        proxy.cuts[:] = cuts
        commits = {
            "new": creation("new"),
            "keyed": Commit(
                uuid4(),
                rows=(Row("entity", "keyed", 1, {"state": "{}"}),),
                keys=(Key("address", "ada", {"entityId": "keyed"}),),
                events=(Event("keyed", (SHARED,), b"{}"),),
            ),
            "update": Commit(
                uuid4(), rows=(request_row("warm", 2),), events=(Event("update", (SHARED,), b"{}"),)
            ),
        }
        told = await all_at_once(opened.journal, commits)
        assert proxy.cuts == []
        assert told.of(told_as) == set(commits), told.outcomes
        expected = {"warm", *(commits if durable else ())}
        assert sorted(await logged(opened)) == sorted(expected)
        after = await all_at_once(opened.journal, {"after": creation("after")})
        assert after.of(Committed) == {"after"}


async def warm(opened: OpenJournal, proxy: Proxy) -> None:
    """Have the writer's connection prepare its statement."""
    told = await all_at_once(opened.journal, {"warm": creation("warm")})
    assert told.of(Committed) == {"warm"}
    assert proxy.connections == 1


@pytest.mark.parametrize("mine_landed", [True, False])
async def test_who_was_overtaken_while_cut_off_is_not_told_that_they_lost(
    database_url: str, mine_landed: bool
) -> None:
    """The row has moved on: it cannot be seen any more whether ours had landed before."""
    async with (
        open_proxy(database_url) as (proxy, url),
        open_journal(database_url, url) as opened,
        open_journal(database_url) as other,
    ):
        await warm(opened, proxy)

        async def overtake() -> None:
            version = 3 if mine_landed else 2
            outcome = await other.journal.commit(
                Commit(uuid4(), rows=(request_row("warm", version),))
            )
            assert isinstance(outcome, Committed)

        proxy.on_cut = overtake
        proxy.cuts[:] = [Cut.AFTER if mine_landed else Cut.BEFORE]
        mine = Commit(
            uuid4(), rows=(request_row("warm", 2),), events=(Event("mine", (SHARED,), b"{}"),)
        )
        told = await all_at_once(opened.journal, {"mine": mine, "beside": creation("beside")})
        assert told.of(OutcomeUnknown) == {"mine"}
        assert told.of(Committed) == {"beside"}
        assert ("mine" in await logged(opened)) == mine_landed
        assert (await logged(opened)).count("beside") == 1


async def test_while_nobody_answers_nothing_is_done_and_that_is_told(database_url: str) -> None:
    async with (
        open_proxy(database_url) as (proxy, url),
        open_journal(database_url, url) as opened,
    ):
        await warm(opened, proxy)
        proxy.accepting = False
        proxy.cuts[:] = [Cut.BEFORE]
        lost = await all_at_once(opened.journal, {"cut": creation("cut")})
        assert lost.of(OutcomeUnknown) == {"cut"}
        away = await all_at_once(opened.journal, {"away": creation("away")})
        assert away.of(JournalUnavailable) == {"away"}
        assert await logged(opened) == ["warm"]
        proxy.accepting = True
        back = Told()
        while not back.of(Committed):
            await back.commit(opened.journal, "back", creation("back"))
        assert await logged(opened) == ["warm", "back"]


async def test_a_frozen_database_holds_nobody_up_and_comes_back(
    disposable_servers: Callable[[], DisposableServers],
) -> None:
    servers = await trio.to_thread.run_sync(disposable_servers)
    await trio.to_thread.run_sync(run_asyncio, lambda: migrate(servers.database_url))
    async with open_journal(servers.database_url) as opened:
        told = await all_at_once(opened.journal, {"before": creation("before")})
        servers.freeze_postgres()
        try:
            with trio.fail_after(20):
                told = await all_at_once(
                    opened.journal, {f"frozen {n}": creation(f"frozen {n}") for n in range(20)}
                )
                assert told.of(OutcomeUnknown) | told.of(JournalUnavailable) == set(told.outcomes)
                later = await all_at_once(opened.journal, {"later": creation("later")})
                assert later.of(JournalUnavailable) == {"later"}
        finally:
            servers.thaw_postgres()
        with trio.fail_after(10):
            back = Told()
            while not back.of(Committed):
                await back.commit(opened.journal, "back", creation("back"))
        log = await logged(opened)
        assert len(set(log)) == len(log)
        assert {"before", "back"} <= set(log) <= {"before", "back", *told.outcomes}
