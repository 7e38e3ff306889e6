"""Two transactions interleaved by hand for every guard of a commit (S2, S6, S8, S10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from actors.journal import (
    AlarmFired,
    AlarmSet,
    Commit,
    Committed,
    Conflict,
    Event,
    Key,
    Link,
    Row,
)
from tests.postgres.sessions import Session, Sessions, request_row, with_sessions

DUE = datetime(2030, 1, 1, tzinfo=UTC)
ENTITY = '{"v":%d}'


def entity_row(id: str, version: int) -> Row:
    return Row("entity", id, version, {"state": ENTITY % version})


def mark_row(entity: str, version: int) -> Row:
    values = {"request_id": "r", "entity_id": entity, "read": True, "snoozed_until": None,
              "deleted": False}  # fmt: skip
    return Row("mark", f"r:{entity}", version, values)


def tracing(name: str, guarded: Commit) -> Commit:
    """`guarded` with something of `name` in every table that a commit can write."""
    return replace(
        guarded,
        id=uuid4(),
        rows=(
            *guarded.rows,
            request_row(f"trace {name}", 1),
            entity_row(f"trace {name}", 1),
            mark_row(f"trace {name}", 1),
        ),
        keys=(*guarded.keys, Key("trace", name, {})),
        events=(Event(name, ("shared", f"own {name}"), b"{}"),),
        alarms=(*guarded.alarms, AlarmSet(f"trace {name}", DUE, "request:x")),
        links=(Link("addressee", f"trace {name}", "someone"),),
    )


async def traces(sessions: Sessions) -> set[str]:
    """Whose traces are there: every table has the same, or this fails."""
    found = []
    for table, column in [
        ("request", "id"),
        ("entity", "id"),
        ("alarm", "id"),
        ("inquiry", "request_id"),
        ("mark", "entity_id"),
    ]:
        rows = await sessions.eye.fetch(
            f"select substr({column}, 7) from {table} where {column} like 'trace %'"
        )
        found.append({name for (name,) in rows})
    keys = await sessions.eye.fetch("select key from unique_key where space = 'trace'")
    found.append({key for (key,) in keys})
    log = await sessions.log("shared")
    assert [seq for seq, _ in log] == list(range(1, len(log) + 1))
    assert len({id for _, id in log}) == len(log)
    found.append({id for _, id in log})
    for _, name in log:
        assert await sessions.log(f"own {name}") == [(1, name)]
    assert all(names == found[0] for names in found), found
    return found[0]


@dataclass(frozen=True)
class Race:
    """Two commits of which only one can be so, after `before`; `loser` is what the second hears."""

    before: Commit
    first: Commit
    second: Commit
    loser: tuple[str, dict[str, object]]


RACES = {
    "version of a request": Race(
        Commit(uuid4(), rows=(request_row("r", 1),)),
        Commit(uuid4(), rows=(request_row("r", 2),)),
        Commit(uuid4(), rows=(request_row("r", 2),)),
        ("version", {"table": "request", "id": "r", "version": 2}),
    ),
    "version of a mark": Race(
        Commit(uuid4(), rows=(mark_row("m", 1),)),
        Commit(uuid4(), rows=(mark_row("m", 2),)),
        Commit(uuid4(), rows=(mark_row("m", 2),)),
        ("version", {"table": "mark", "id": "r:m", "version": 2}),
    ),
    "version of an entity": Race(
        Commit(uuid4(), rows=(entity_row("e", 1),)),
        Commit(uuid4(), rows=(entity_row("e", 2),)),
        Commit(uuid4(), rows=(entity_row("e", 2),)),
        ("version", {"table": "entity", "id": "e", "version": 2}),
    ),
    "key": Race(
        Commit(uuid4()),
        Commit(uuid4(), keys=(Key("address", "ada", {"entityId": "1"}),)),
        Commit(uuid4(), keys=(Key("address", "ada", {"entityId": "2"}),)),
        ("key", {"space": "address", "key": "ada", "entityId": "1"}),
    ),
    "key among free ones": Race(
        Commit(uuid4()),
        Commit(uuid4(), keys=(Key("address", "m", {"entityId": "1"}),)),
        Commit(uuid4(), keys=tuple(Key("address", key, {"entityId": "2"}) for key in "amz")),
        ("key", {"space": "address", "key": "m", "entityId": "1"}),
    ),
    "fence": Race(
        Commit(uuid4(), alarms=(AlarmSet("a", DUE, "request:r"),)),
        Commit(uuid4(), alarms=(AlarmFired("a", 1),)),
        Commit(uuid4(), alarms=(AlarmFired("a", 1),)),
        ("fence", {"alarm": "a"}),
    ),
    "fence of an alarm set anew": Race(
        Commit(uuid4(), rows=(request_row("r", 1),), alarms=(AlarmSet("a", DUE, "request:r"),)),
        Commit(uuid4(), rows=(request_row("r", 2),), alarms=(AlarmSet("a", DUE, "request:r"),)),
        Commit(uuid4(), alarms=(AlarmFired("a", 1),)),
        ("fence", {"alarm": "a"}),
    ),
}


async def race(
    sessions: Sessions, first: Commit, second: Commit, *, lands: bool
) -> Committed | Conflict:
    """Hold `first` back until `second` waits for it, then end it; say what the second is told."""
    a, b = await sessions.pair()
    await a.begin()
    assert isinstance((await a.put(first))[0], Committed)
    waiting = asyncio.ensure_future(b.whole(second))
    await sessions.blocked(b, waiting)
    await (a.commit() if lands else a.rollback())
    [outcome] = await waiting
    return outcome


@pytest.mark.parametrize("name", RACES)
def test_the_second_of_two_waits_and_is_told_what_won(database_url: str, name: str) -> None:
    given = RACES[name]

    async def body(sessions: Sessions) -> None:
        await (await sessions.open()).whole(given.before)
        first, second = tracing("first", given.first), tracing("second", given.second)
        outcome = await race(sessions, first, second, lands=True)
        assert isinstance(outcome, Conflict)
        assert (outcome.guard, dict(outcome.holds)) == given.loser
        assert await traces(sessions) == {"first"}
        keys = await sessions.eye.fetch("select key from unique_key where space = 'address'")
        assert {key for (key,) in keys} == {key.key for key in given.first.keys}

    with_sessions(database_url, body)


@pytest.mark.parametrize("name", RACES)
def test_the_second_of_two_wins_where_the_first_is_rolled_back(
    database_url: str, name: str
) -> None:
    given = RACES[name]

    async def body(sessions: Sessions) -> None:
        await (await sessions.open()).whole(given.before)
        first, second = tracing("first", given.first), tracing("second", given.second)
        outcome = await race(sessions, first, second, lands=False)
        assert isinstance(outcome, Committed)
        assert outcome.seqs == {"shared": (1,), "own second": (1,)}
        assert await traces(sessions) == {"second"}

    with_sessions(database_url, body)


TWICE = {
    "update": Commit(uuid4(), rows=(request_row("r", 2),)),
    "creation": Commit(uuid4(), rows=(request_row("new", 1),)),
    "creation of an entity": Commit(uuid4(), rows=(entity_row("new", 1),)),
    "creation with a key": Commit(
        uuid4(), rows=(entity_row("new", 1),), keys=(Key("address", "ada", {"entityId": "new"}),)
    ),
}


async def _retried(session: Session, commit: Commit) -> Committed | Conflict:
    """As the journal does: a serialization failure is tried again."""
    try:
        [outcome] = await session.whole(commit)
    except asyncpg.SerializationError:
        [outcome] = await session.whole(commit)
    return outcome


@pytest.mark.parametrize("name", TWICE)
def test_the_same_commit_sent_twice_at_once_lands_once(database_url: str, name: str) -> None:
    async def body(sessions: Sessions) -> None:
        a, b = await sessions.pair()
        await a.whole(Commit(uuid4(), rows=(request_row("r", 1),)))
        commit = replace(TWICE[name], events=(Event("once", ("shared",), b"{}"),))
        await a.begin()
        [first] = await a.put(commit)
        again = asyncio.ensure_future(_retried(b, commit))
        await sessions.blocked(b, again)
        await a.commit()
        assert isinstance(first, Committed)
        assert first.seqs == {"shared": (1,)}
        second = await again
        assert isinstance(second, Committed), second
        assert second.seqs == {}
        assert await sessions.log("shared") == [(1, "once")]

    with_sessions(database_url, body)


@pytest.mark.parametrize("name", TWICE)
def test_the_same_commit_sent_again_later_lands_once(database_url: str, name: str) -> None:
    async def body(sessions: Sessions) -> None:
        a, b = await sessions.pair()
        await a.whole(Commit(uuid4(), rows=(request_row("r", 1),)))
        commit = replace(TWICE[name], events=(Event("once", ("shared",), b"{}"),))
        await a.whole(commit)
        [second] = await b.whole(commit)
        assert isinstance(second, Committed), second
        assert await sessions.log("shared") == [(1, "once")]

    with_sessions(database_url, body)


@pytest.mark.parametrize("row", [request_row, entity_row])
def test_of_two_that_insert_one_row_at_once_the_second_is_told_its_version(
    database_url: str, row: Callable[[str, int], Row]
) -> None:
    async def body(sessions: Sessions) -> None:
        a, b = await sessions.pair()
        first, second = (
            Commit(uuid4(), rows=(row("new", 1),), events=(Event(name, ("shared",), b"{}"),))
            for name in ("first", "second")
        )
        await a.begin()
        await a.put(first)
        losing = asyncio.ensure_future(_retried(b, second))
        await sessions.blocked(b, losing)
        await a.commit()
        outcome = await losing
        assert isinstance(outcome, Conflict)
        assert (outcome.guard, outcome.holds["version"]) == ("version", 1)
        assert await sessions.log("shared") == [(1, "first")]

    with_sessions(database_url, body)


@pytest.mark.parametrize(
    ("guard", "wins"), [("not_after", False), ("not_before", True), ("both", False)]
)
def test_the_clock_is_read_after_the_locks(database_url: str, guard: str, wins: bool) -> None:
    """A decision that waited behind another is judged by the time at which it goes on (S8)."""

    async def body(sessions: Sessions) -> None:
        a, b = await sessions.pair()
        await a.whole(Commit(uuid4(), rows=(request_row("r", 1),)))
        moment = await sessions.now() + timedelta(milliseconds=300)
        await a.begin()
        await a.put(Commit(uuid4(), rows=(request_row("r", 2),)))
        guarded = Commit(
            uuid4(),
            rows=(request_row("r", 2),),
            not_before=moment if guard != "not_after" else None,
            not_after=moment if guard != "not_before" else None,
        )
        commit = tracing("second", guarded)
        waiting = asyncio.ensure_future(b.whole(commit))
        await sessions.blocked(b, waiting)
        await sessions.passed(moment)
        await a.rollback()
        [outcome] = await waiting
        assert outcome.now >= moment
        if wins:
            assert isinstance(outcome, Committed)
        else:
            assert outcome == Conflict("time", outcome.now, {})
        assert await traces(sessions) == ({"second"} if wins else set())

    with_sessions(database_url, body)


def test_each_commit_of_a_batch_stands_or_falls_alone(database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        session = await sessions.open()
        now = await sessions.now()
        await session.whole(
            Commit(uuid4(), rows=(request_row("r", 1),), keys=(Key("address", "taken", {}),))
        )
        losing = {
            "stale": Commit(uuid4(), rows=(request_row("r", 3),)),
            "absent": Commit(uuid4(), rows=(entity_row("gone", 2),)),
            "taken": Commit(uuid4(), keys=(Key("address", "taken", {}),)),
            "late": Commit(uuid4(), not_after=now),
            "fired": Commit(uuid4(), alarms=(AlarmFired("none", 7),)),
        }
        winning = {name: Commit(uuid4()) for name in ("one", "two", "three")}
        # Each loser stands between winners that share its channel.
        names = ["one", "stale", "absent", "two", "taken", "late", "fired", "three"]
        commits = [tracing(name, (losing | winning)[name]) for name in names]
        outcomes = await session.whole(*commits)
        told = {
            name: outcome.guard
            for name, outcome in zip(names, outcomes, strict=True)
            if isinstance(outcome, Conflict)
        }
        assert told == {
            "stale": "version",
            "absent": "version",
            "taken": "key",
            "late": "time",
            "fired": "fence",
        }
        assert await traces(sessions) == {"one", "two", "three"}
        assert await sessions.log("shared") == [(1, "one"), (2, "two"), (3, "three")]

    with_sessions(database_url, body)


def test_of_two_in_one_batch_that_reserve_one_key_the_first_wins(database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        session = await sessions.open()
        key = Key("address", "ada", {"entityId": "1"})
        commits = [tracing(name, Commit(uuid4(), keys=(key,))) for name in ("first", "second")]
        first, second = await session.whole(*commits)
        assert isinstance(first, Committed)
        assert isinstance(second, Conflict)
        assert second.holds == {"space": "address", "key": "ada", "entityId": "1"}
        assert await traces(sessions) == {"first"}

    with_sessions(database_url, body)


def test_a_key_whose_reserver_lost_is_free_again(database_url: str) -> None:
    """Who was second in that batch is told of the key without a holder, and can try again."""

    async def body(sessions: Sessions) -> None:
        session = await sessions.open()
        key = Key("address", "ada", {"entityId": "1"})
        stale = Commit(uuid4(), rows=(request_row("absent", 2),), keys=(key,))
        second = tracing("second", Commit(uuid4(), keys=(key,)))
        outcomes = await session.whole(stale, second)
        assert [outcome.guard for outcome in outcomes if isinstance(outcome, Conflict)] == [
            "version",
            "key",
        ]
        assert isinstance(outcomes[1], Conflict)
        assert outcomes[1].holds == {"space": "address", "key": "ada"}
        assert isinstance((await session.whole(second))[0], Committed)
        assert await traces(sessions) == {"second"}

    with_sessions(database_url, body)


def test_an_idempotency_key_is_free_again_after_a_day(database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        session = await sessions.open()
        for space, free in [("idempotency", True), ("address", False)]:
            key = Key(space, "k", {"bodyHash": "x"})
            await session.whole(Commit(uuid4(), keys=(key,)))
            await session.fetch(
                "update unique_key set reserved_at = clock_timestamp() - interval '24 hours 1 s'"
            )
            [outcome] = await session.whole(Commit(uuid4(), keys=(key,)))
            assert isinstance(outcome, Committed if free else Conflict)

    with_sessions(database_url, body)
