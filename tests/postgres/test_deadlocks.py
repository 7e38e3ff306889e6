"""Batches that want the same things in opposite orders: none deadlocks, no commit is lost (E1)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from actors.journal import (
    Alarm,
    AlarmClear,
    AlarmFired,
    AlarmSet,
    Commit,
    Committed,
    Event,
    Key,
    Row,
)
from tests.postgres.sessions import Session, Sessions, request_row, with_sessions

DUE = datetime(2030, 1, 1, tzinfo=UTC)
THINGS = 8
ROUNDS = 100
ORDERS = ("forward", "backward", "shuffled")


@dataclass
class Tally:
    """What was committed: the events by channel, and how often each row."""

    events: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)


def update(number: int, versions: dict[str, int], chance: random.Random) -> Commit:
    """A new version of a request and of an entity, with an alarm, keys and shared channels."""
    request, entity = f"r{number}", f"e{number}"
    keys = [Key("address", f"{uuid4()}", {}), Key("address", f"k{chance.randrange(50)}", {})]
    chance.shuffle(keys)
    alarm: Alarm = AlarmClear(f"a{number}")
    if chance.random() < 0.7:
        alarm = AlarmSet(alarm.id, DUE, "request:x")
    others = chance.sample([f"c{n}" for n in range(THINGS)], 2)
    return Commit(
        uuid4(),
        rows=(
            request_row(request, versions[request] + 1),
            Row("entity", entity, versions[entity] + 1, {"state": "{}"}),
        ),
        keys=tuple(keys[: chance.choice([0, 0, 1, 2])]),
        events=(Event(f"{uuid4()}", ("shared", *others), b"{}"),),
        alarms=(alarm,),
    )


def firing(number: int) -> Commit:
    """A late firing, which takes part in the locking and has nothing else to write."""
    return Commit(uuid4(), alarms=(AlarmFired(f"a{number}", -1),))


async def work(sessions: Sessions, session: Session, order: str, tally: Tally) -> None:
    chance = random.Random(order)
    for _ in range(ROUNDS):
        rows = await session.fetch(
            "select id, version from request union all select id, version from entity"
        )
        versions: dict[str, int] = dict(rows)
        numbers = list(range(THINGS))
        if order == "backward":
            numbers.reverse()
        elif order == "shuffled":
            chance.shuffle(numbers)
        split = chance.randrange(THINGS)
        commits = [update(n, versions, chance) for n in numbers[:split]]
        commits += [firing(n) for n in numbers[split:]]
        chance.shuffle(commits)
        for commit, outcome in zip(commits, await session.whole(*commits), strict=True):
            if isinstance(outcome, Committed):
                tally.rows.update(row.id for row in commit.rows)
                tally.events.update(name for e in commit.events for name in e.channels)
            else:
                tally.lost[outcome.guard] += 1


def test_batches_in_opposite_orders_never_deadlock(database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        workers = [await sessions.open() for _ in ORDERS]
        first = [
            Commit(
                uuid4(),
                rows=(request_row(f"r{n}", 1), Row("entity", f"e{n}", 1, {"state": "{}"})),
                alarms=(AlarmSet(f"a{n}", DUE, "request:x"),),
            )
            for n in range(THINGS)
        ]
        await workers[0].whole(*first)
        tally = Tally()
        # A deadlock would be raised here, and end the test.
        await asyncio.gather(
            *[
                work(sessions, worker, order, tally)
                for worker, order in zip(workers, ORDERS, strict=True)
            ]
        )
        assert tally.lost["version"] > 0, "they got into each other's way"
        assert tally.lost["key"] > 0
        rows = await sessions.eye.fetch(
            "select id, version from request union all select id, version from entity"
        )
        assert {id: version - 1 for id, version in rows if version > 1} == tally.rows
        for channel in ("shared", *[f"c{n}" for n in range(THINGS)]):
            log = await sessions.log(channel)
            assert [seq for seq, _ in log] == list(range(1, tally.events[channel] + 1))
            assert len({id for _, id in log}) == len(log)

    with_sessions(database_url, body)
