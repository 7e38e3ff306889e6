"""One connection, made again when it is lost, every use of it bounded in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import trio

from pxbox.postgres.driver import connect, is_up

R = TypeVar("R")

# The server gives up on a statement before we give up on the server, so that what we drop has
# usually been rolled back already.
STATEMENT_SECONDS = 4.0
CALL_SECONDS = 5.0
CONNECT_SECONDS = 2.0
# How long a failed connect is believed before the next try.
RETRY_SECONDS = 0.25

# 08 connection, 53 resources, 57 operator intervention, 25006 read only (a demoted primary).
_LOST_CLASSES = ("08", "53", "57")
_READ_ONLY = "25006"
# The last is what asyncpg raises on a connection that ended in the middle of its own doings.
_BROKEN = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class NotConnected(Exception):
    """No connection could be made: nothing was sent."""


class ConnectionLost(Exception):
    """The connection broke with a statement under way: it may have been committed."""


def means_lost(error: asyncpg.PostgresError) -> bool:
    """Does the server's own error say that this connection is of no use any more?"""
    state = error.sqlstate or ""
    return state.startswith(_LOST_CLASSES) or state == _READ_ONLY


class Connection:
    """A connection to Postgres for one task, with what the server is told to do for it."""

    def __init__(self, dsn: str, name: str, **server_settings: str) -> None:
        self.name = f"pxbox {name}"
        self._dsn = dsn
        self._server_settings = server_settings
        self._connection: asyncpg.Connection | None = None
        self._failed_at = float("-inf")

    async def use(self, statement: Callable[[asyncpg.Connection], Awaitable[R]]) -> R:
        """Run `statement` on the connection.

        Raises NotConnected where nothing was sent, ConnectionLost where the outcome is unknown,
        and the server's own errors otherwise.
        """
        connection = await self._connected()
        try:
            with trio.move_on_after(CALL_SECONDS):
                return await statement(connection)
            raise TimeoutError("no answer in time")
        except trio.Cancelled:
            self.close()
            raise
        except asyncpg.DataError:
            # Refused by the library before it was sent: the connection is as good as before.
            raise
        except asyncpg.PostgresError as error:
            if not means_lost(error):
                raise
            self.close()
            raise ConnectionLost(str(error)) from error
        except _BROKEN as error:
            self.close()
            raise ConnectionLost(str(error)) from error

    def close(self) -> None:
        """Close at once; the next use connects anew."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is not None:
            if is_up(self._connection):
                return self._connection
            self.close()
        if trio.current_time() - self._failed_at < RETRY_SECONDS:
            raise NotConnected("the database cannot be reached")
        try:
            self._connection = await connect(
                self._dsn,
                CONNECT_SECONDS,
                server_settings={
                    "application_name": self.name,
                    "default_transaction_isolation": "read committed",
                    "statement_timeout": str(int(STATEMENT_SECONDS * 1000)),
                    "timezone": "UTC",
                    **self._server_settings,
                },
            )
        except (*_BROKEN, asyncpg.PostgresError) as error:
            self._failed_at = trio.current_time()
            reason = str(error) or "no answer in time"
            raise NotConnected(f"the database cannot be reached: {reason}") from error
        return self._connection
