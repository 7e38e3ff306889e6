"""Absurd's worker in a process of its own, spoken to in lines: `start LANE`, `answer LANE ID JSON`;
it says `waits LANE ID` and `ended LANE`. What is asked is a step, so that it is asked once."""

# It runs where its engine is installed, which is not where this is checked.
# mypy: disable-error-code="import-not-found, untyped-decorator"

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import uuid
from typing import Any

from absurd_sdk import AsyncAbsurd, AsyncTaskContext

URL = os.environ["PEER_DATABASE_URL"]
QUEUE = "bench"
# A client of Absurd has one connection, on which one statement runs at a time.
AT_ONCE = 4
writer: asyncio.StreamWriter | None = None


def say(line: str) -> None:
    assert writer is not None
    writer.write(f"{line}\n".encode())


async def bench(params: dict[str, str], ctx: AsyncTaskContext) -> Any:
    lane, id = params["lane"], params["id"]

    async def ask() -> None:
        say(f"waits {lane} {id}")

    await ctx.step("ask", ask)
    answer = await ctx.await_event(f"approval:{id}")
    say(f"ended {lane}")
    return answer


async def perform(client: AsyncAbsurd, lines: asyncio.Queue[str]) -> None:
    while True:
        word, lane, *rest = (await lines.get()).split(" ", 3)
        if word == "start":
            await client.spawn("bench", {"lane": lane, "id": uuid.uuid4().hex}, queue=QUEUE)
        else:
            await client.emit_event(f"approval:{rest[0]}", json.loads(rest[1]))


async def main() -> None:
    env = {**os.environ, "ABSURD_DATABASE_URL": URL}
    for command in (["init"], ["create-queue", QUEUE]):
        subprocess.run(["absurdctl", *command], env=env, check=True)
    lines: asyncio.Queue[str] = asyncio.Queue()

    async def connected(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        global writer
        writer = to
        while line := (await reader.readline()).decode():
            lines.put_nowait(line.rstrip("\n"))

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            app = AsyncAbsurd(URL, queue_name=QUEUE)
            app.register_task("bench")(bench)
            group.create_task(app.start_worker(concurrency=100, batch_size=50, poll_interval=0.005))
            group.create_task(perform(AsyncAbsurd(URL, queue_name=QUEUE), lines))
        await asyncio.start_server(connected, "127.0.0.1", int(os.environ["PEER_PORT"]))


if __name__ == "__main__":
    asyncio.run(main())
