"""A million requests that wait for their deadlines, and a broker that has them, beside one that has
none: what they cost while they wait. Run it by `python -m pytest -s
tests/long/test_a_million_alarms.py`; it prints what it measures.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import trio

from pxbox.postgres.statements import sql
from tests.brokers import Broker, Brokers
from tests.inspection import Database, open_database
from tests.processes.overdue import models
from tests.processes.people import People
from tests.servers import DisposableServers

MANY = 1_000_000
AT_ONCE = 100_000
FIRST = datetime(2041, 1, 1, tzinfo=UTC)
WATCHED_SECONDS = 60.0
# What differs by more than this is no noise.
MOST_MORE_BYTES = 8 << 20
MOST_MORE_CPU_SECONDS = 0.6
MOST_TOUCHED = 30
LATE_SECONDS = 3.0
# What works for the broker alone: the database tidies up in processes of its own.
_BACKENDS = """
select pid from pg_stat_activity
 where backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one broker: its CPU until it listened; then its memory, its CPU and that of the database's
    processes for it, while nobody asked for anything; what a look for what is due touches of the
    database's memory, in pages of 8 KiB; and how late an alarm was that fell due."""

    start_cpu_seconds: float
    rss_bytes: int
    cpu_seconds: float
    database_cpu_seconds: float
    touched: int
    late_seconds: float


async def test_a_million_pending_alarms_cost_nothing_while_they_wait(
    disposable_servers: Callable[[], DisposableServers], tmp_path: Path
) -> None:
    none = await measured(disposable_servers(), tmp_path / "none", 0)
    many = await measured(disposable_servers(), tmp_path / "many", MANY)
    print(f"\nwith none: {none}\nwith {MANY:,}: {many}")
    assert many.start_cpu_seconds - none.start_cpu_seconds < MOST_MORE_CPU_SECONDS
    assert many.rss_bytes - none.rss_bytes < MOST_MORE_BYTES
    assert many.cpu_seconds - none.cpu_seconds < MOST_MORE_CPU_SECONDS
    assert many.database_cpu_seconds - none.database_cpu_seconds < MOST_MORE_CPU_SECONDS
    assert max(many.touched, none.touched) < MOST_TOUCHED
    assert max(many.late_seconds, none.late_seconds) < LATE_SECONDS


async def measured(servers: DisposableServers, directory: Path, alarms: int) -> Cost:
    """Set so many alarms, start a broker, and watch it."""
    brokers = Brokers(servers.database_url, servers.redis_url, directory)
    people = People()
    try:
        first = brokers()
        await people.enter(first, 1)
        with open_database(servers.database_url) as database:
            deadline, *_ = await models(first, database, people)
            first.stop()
            database.fetch("delete from alarm")
            for begin in range(0, alarms, AT_ONCE):
                numbers = range(begin, begin + AT_ONCE)
                due = [FIRST + timedelta(seconds=n) for n in numbers]
                deadline.copy(database, [f"00VERDVE00{n:016}" for n in numbers], due)
            database.fetch("analyze")
            database.fetch("checkpoint")
            return await _watched(brokers, database, people)
    finally:
        brokers.close()


async def _watched(brokers: Brokers, database: Database, people: People) -> Cost:
    broker = brokers()
    process = psutil.Process(broker.pid)
    start = _cpu_seconds(process)
    backends = [psutil.Process(row["pid"]) for row in database.fetch(_BACKENDS)]
    before, database_before = _cpu_seconds(process), _cpu_seconds(*backends)
    # Nothing is waited for: this is the idle time that is measured.
    await trio.sleep(WATCHED_SECONDS)
    cpu = _cpu_seconds(process) - before
    database_cpu = _cpu_seconds(*backends) - database_before
    rss = process.memory_info().rss
    touched = _touched(database)
    return Cost(start, rss, cpu, database_cpu, touched, await _late(broker, people))


def _cpu_seconds(*processes: psutil.Process) -> float:
    times = [process.cpu_times() for process in processes]
    return float(sum(one.user + one.system for one in times))


def _touched(database: Database) -> int:
    """Of a look for due alarms, which goes by an index however many wait."""
    text = database.value(
        f"explain (analyze, buffers, format json) {sql('take_alarms')}",
        100, timedelta(seconds=10), None,
    )  # fmt: skip
    (found,) = json.loads(text)
    plan: dict[str, Any] = found["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def _late(broker: Broker, people: People) -> float:
    """How late a request of now has expired."""
    async with broker.websocket(broker.token(people.asker)) as socket:
        await socket.subscribe(people.channel)
        await people.ask(broker, deadlineIn=1)
        await socket.until(lambda: any("lateBy" in event["data"] for event in socket.events))
        (late,) = [event["data"]["lateBy"] for event in socket.events if "lateBy" in event["data"]]
    return float(late)
