"""Several workers behind one port: evenly loaded, watched together, replaced when they die."""

from __future__ import annotations

import signal

import psutil
import trio

from tests.inspection import eventually
from tests.processes.people import People
from tests.supervisor.conftest import WORKERS, Supervised

SUPERVISOR_BYTES = 70 * 1024 * 1024


async def test_any_worker_serves_any_request_and_any_channel(supervised: Supervised) -> None:
    people = People()
    await people.enter(supervised.broker, 0)
    many = 2 * WORKERS
    async with supervised.sockets(many, people.asker) as sockets:
        for socket in sockets:
            await socket.subscribe(people.channel)
        for _ in range(many):
            # A connection each: they come to different workers.
            await people.ask(supervised.broker)
        for socket in sockets:
            await socket.until(lambda socket=socket: len(socket.events) == many)  # type: ignore[misc]
            assert [event["seq"] for event in socket.events] == list(range(1, many + 1))


async def test_websockets_are_spread_evenly(supervised: Supervised) -> None:
    async with supervised.sockets(30):
        counts = await supervised.figures("pxbox_websockets")
    assert sum(counts.values()) == 30
    assert all(8 <= count <= 12 for count in counts.values()), counts


async def test_one_reading_of_the_metrics_has_the_figures_of_all(supervised: Supervised) -> None:
    assert await supervised.figures("pxbox_worker_up") == dict.fromkeys(range(WORKERS), 1)
    assert set(await supervised.figures("pxbox_commits_total")) == set(range(WORKERS))


async def test_a_frozen_worker_takes_no_connections_and_its_figures_are_left_out(
    supervised: Supervised,
) -> None:
    frozen = supervised.processes()[0]
    frozen.suspend()
    try:
        async with supervised.sockets(10):
            up = await supervised.figures("pxbox_worker_up")
            assert sorted(up.values()) == [0, 1, 1]
    finally:
        frozen.resume()


async def test_a_worker_that_was_killed_takes_only_its_own_clients_along(
    supervised: Supervised,
) -> None:
    async with supervised.sockets(30) as sockets:
        victim = supervised.processes()[0]
        victim.kill()
        assert await supervised.healthy()
        await eventually(lambda: len(supervised.processes()) == WORKERS, "there are three again")
        assert victim.pid not in [process.pid for process in supervised.processes()]
        dropped = [socket for socket in sockets if socket.closed.is_set()]
        assert 5 <= len(dropped) <= 15
        for socket in sockets:
            if socket not in dropped:
                assert (await socket.ask(type="ping"))["op"] == "pong"
    starts = await supervised.figures("pxbox_worker_starts_total")
    assert sum(starts.values()) == WORKERS + 1


async def test_hangup_replaces_every_worker_and_nobody_is_refused(supervised: Supervised) -> None:
    before = {process.pid for process in supervised.processes()}

    def replaced() -> bool:
        now = {process.pid for process in supervised.processes()}
        return len(now) == WORKERS and not now & before

    served: list[bool] = []

    async def knock() -> None:
        while True:
            served.append(await supervised.healthy())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(knock)
        supervised.broker.process.send_signal(signal.SIGHUP)
        await eventually(replaced, "all are others")
        nursery.cancel_scope.cancel()
    assert all(served)
    assert served


async def test_a_worker_that_keeps_dying_is_told_loudly(supervised: Supervised) -> None:
    for _ in range(3):
        (victim, *_) = sorted(supervised.processes(), key=lambda process: process.cmdline()[-1])
        victim.kill()
        await eventually(
            lambda pid=victim.pid: len([  # type: ignore[misc]
                process for process in supervised.processes() if process.pid != pid
            ]) == WORKERS,
            "another takes its place",
        )  # fmt: skip
    assert '"event": "worker keeps dying", "level": "error"' in supervised.broker.log.read_text()


async def test_the_supervisor_is_small(supervised: Supervised) -> None:
    assert psutil.Process(supervised.broker.pid).memory_info().rss < SUPERVISOR_BYTES
