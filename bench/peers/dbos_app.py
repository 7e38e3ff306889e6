"""DBOS in a process of its own, spoken to in lines: `start LANE`, `answer LANE ID JSON`; it says
`waits LANE ID` and `ended LANE`. What is asked is a step, so that it is asked once."""

# It runs where its engine is installed, which is not where this is checked.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from dbos import DBOS, DBOSConfig

writer: asyncio.StreamWriter | None = None


def say(line: str) -> None:
    assert writer is not None
    writer.write(f"{line}\n".encode())


@DBOS.step()
async def ask(lane: str, id: str) -> None:
    say(f"waits {lane} {id}")


@DBOS.workflow()
async def bench(lane: str) -> Any:
    id = DBOS.workflow_id
    assert id is not None
    await ask(lane, id)
    return await DBOS.recv_async("approval", timeout_seconds=600)


async def run_flow(lane: str) -> None:
    handle = await DBOS.start_workflow_async(bench, lane)
    await handle.get_result()
    say(f"ended {lane}")


async def answer(id: str, text: str) -> None:
    await DBOS.send_async(id, json.loads(text), "approval")


async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    global writer
    writer = to
    tasks = set()
    while line := (await reader.readline()).decode():
        word, lane, *rest = line.rstrip("\n").split(" ", 3)
        task = asyncio.create_task(run_flow(lane) if word == "start" else answer(*rest))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def main() -> None:
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": os.environ["PEER_DATABASE_URL"],
        "sys_db_pool_size": 20,
        "max_executor_threads": 300,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    server = await asyncio.start_server(serve, "127.0.0.1", int(os.environ["PEER_PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
