"""`pxbox serve --flows`: the worker that lives and ends with its broker (F4)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trio

from tests.brokers import Broker, Brokers
from tests.flows.working import SCOPES
from tests.inspection import Database

CODE = """
import os
import time
import anyio
from pxbox.flows import Context, flow


@flow("beside")
async def beside(ctx: Context) -> int:
    return await ctx.step("pid", os.getpid)


@flow("busy")
async def busy(ctx: Context) -> None:
    await ctx.step("begun", os.getpid)
    await ctx.step("long", anyio.sleep, 3600)


@flow("stubborn")
async def stubborn(ctx: Context) -> None:
    await ctx.step("begun", os.getpid)
    await ctx.step("long", time.sleep, 3600)
"""
SECONDS = 60.0


LET_GO = """
select f.session is null and f.runnable_at is not null as handed_back,
       exists (select from worker_session) as live
  from flow f where f.id = $1
"""


async def started(rest: httpx.AsyncClient, kind: str) -> str:
    made = await rest.post("/v1/flows", json={"kind": kind, "version": 1})
    return str(made.json()["id"])


async def until(rest: httpx.AsyncClient, id: str, **so: Any) -> dict[str, Any]:
    """The flow, once that is so of it."""
    with trio.fail_after(SECONDS):
        while True:
            found: dict[str, Any] = (await rest.get(f"/v1/flows/{id}")).json()
            if so.items() <= found.items():
                return found
            await trio.sleep(0.1)


async def ended(broker: Broker) -> int:
    """The pid of the worker, as a flow tells it."""
    async with broker.rest(broker.token("admin", SCOPES)) as rest:
        found = await until(rest, await started(rest, "beside"), status="COMPLETED")
    return int(found["result"])


async def busy(broker: Broker, kind: str = "busy") -> str:
    """The id of a flow that is in the middle of a step."""
    async with broker.rest(broker.token("admin", SCOPES)) as rest:
        id = await started(rest, kind)
        await until(rest, id, steps=1)
    return id


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Where the flows of this test are found."""
    (tmp_path / "beside_flows.py").write_text(CODE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path}


async def test_the_worker_is_started_again_and_ends_with_its_broker(
    brokers: Brokers, environ: dict[str, str]
) -> None:
    broker = brokers("--flows", "beside_flows", environ=environ)
    first = await ended(broker)
    psutil.Process(first).kill()
    second = await ended(broker)
    assert second != first
    worker = psutil.Process(second)
    broker.kill()
    await trio.to_thread.run_sync(lambda: worker.wait(SECONDS))
    assert not worker.is_running()


@pytest.mark.parametrize(
    ("flags", "told"),
    [((), signal.SIGTERM), ((), signal.SIGINT), (("--workers", "2"), signal.SIGTERM)],
)
async def test_a_broker_that_is_told_to_end_has_its_worker_hand_back_first(
    brokers: Brokers,
    database: Database,
    environ: dict[str, str],
    flags: tuple[str, ...],
    told: signal.Signals,
) -> None:
    """The worker ends its session while the broker serves still; only then the broker drains."""
    broker = brokers("--flows", "beside_flows", *flags, environ=environ)
    worker = psutil.Process(await ended(broker))
    id = await busy(broker)
    broker.process.send_signal(told)
    assert await trio.to_thread.run_sync(broker.wait) == 0
    assert not worker.is_running()
    (found,) = database.fetch(LET_GO, id)
    assert dict(found) == {"handed_back": True, "live": False}
    log = broker.log.read_text()
    assert "was not closed" not in log
    assert "it is killed" not in log


async def test_a_worker_that_does_not_end_holds_up_its_broker_for_so_long_only(
    brokers: Brokers, environ: dict[str, str]
) -> None:
    """A sync step that is under way is waited for, within `--grace-seconds` (A6)."""
    broker = brokers("--flows", "beside_flows", "--grace-seconds", "1", environ=environ)
    worker = psutil.Process(await ended(broker))
    await busy(broker, "stubborn")
    broker.process.send_signal(signal.SIGTERM)
    assert await trio.to_thread.run_sync(broker.wait) == 0
    assert not worker.is_running()
    assert "it is killed" in broker.log.read_text()
