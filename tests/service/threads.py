"""Brokers in a thread, for code that is not async itself, such as hypothesis's state machines."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import asyncpg
import trio

from tests.postgres.sessions import run_asyncio
from tests.service.brokers import open_broker

T = TypeVar("T")

_START_SECONDS = 30.0

_LAPSE = """
with moved as (
    update request
       set state = jsonb_set(state::jsonb, '{claim,expiresAt}', to_jsonb($2::text))::json
     where id = $1
)
update alarm set due_at = $3, visible_at = $3 where id = 'request:' || $1 || ':claim'
"""
_EXPIRE = """
with moved as (
    update request
       set deadline_at = $3,
           state = jsonb_set(state::jsonb, '{deadlineAt}', to_jsonb($2::text))::json
     where id = $1
)
update alarm set due_at = $3, visible_at = $3 where id = 'request:' || $1 || ':deadline'
"""


class BrokerThread:
    """Two brokers on one database in a thread with a trio loop of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(_START_SECONDS), "the brokers do not start"
        if self._error is not None:
            raise self._error

    def call(self, act: Callable[[], Awaitable[T]]) -> T:
        """Run an async function beside the brokers, to its end."""

        async def awaited() -> T:
            return await act()

        return trio.from_thread.run(awaited, trio_token=self._token)

    def let_lapse(self, id: str) -> None:
        """Let the claim of a request have lapsed a second ago."""
        self._move(_LAPSE, id)

    def let_expire(self, id: str) -> None:
        """Let the deadline of a request have passed a second ago."""
        self._move(_EXPIRE, id)

    def close(self) -> None:
        """Stop the brokers. Raises what they failed with."""
        trio.from_thread.run_sync(self._stop.set, trio_token=self._token)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            trio.run(self._main)
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stop = trio.Event()
        async with open_broker(self._url) as one, open_broker(self._url) as other:
            self.brokers = (one, other)
            self._ready.set()
            await self._stop.wait()

    def _move(self, statement: str, id: str) -> None:
        """Move a time, not the clock, which is the database's; nobody may remember the old one."""
        run_asyncio(lambda: _move(self._url, statement, id))
        for broker in self.brokers:
            drop = broker.core.system.drop_all
            trio.from_thread.run_sync(drop, "request", trio_token=self._token)


async def _move(url: str, statement: str, id: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        past: datetime = await connection.fetchval("select clock_timestamp() - interval '1 s'")
        text = past.isoformat(timespec="microseconds").replace("+00:00", "Z")
        assert await connection.execute(statement, id, text, past) == "UPDATE 1"
    finally:
        await connection.close()
