"""`pxbox serve --flows`: the worker that lives and ends with its broker."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import trio

from tests.brokers import Broker, Brokers
from tests.flows.working import SCOPES

CODE = """
import os
from pxbox.flows import Context, flow

@flow("beside")
async def beside(ctx: Context) -> int:
    return await ctx.step("pid", os.getpid)
"""
SECONDS = 60.0


async def ended(broker: Broker) -> int:
    """The pid of the worker, as a flow tells it."""
    async with broker.rest(broker.token("admin", SCOPES)) as rest:
        made = (await rest.post("/v1/flows", json={"kind": "beside", "version": 1})).json()
        with trio.fail_after(SECONDS):
            while True:
                found = (await rest.get(f"/v1/flows/{made['id']}")).json()
                if found["status"] == "COMPLETED":
                    return int(found["result"])
                await trio.sleep(0.1)


async def test_the_worker_is_started_again_and_ends_with_its_broker(
    brokers: Brokers, tmp_path: Path
) -> None:
    (tmp_path / "beside_flows.py").write_text(CODE)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    broker = brokers("--flows", "beside_flows", environ={"PYTHONPATH": path})
    first = await ended(broker)
    psutil.Process(first).kill()
    second = await ended(broker)
    assert second != first
    worker = psutil.Process(second)
    broker.kill()
    await trio.to_thread.run_sync(lambda: worker.wait(SECONDS))
    assert not worker.is_running()
