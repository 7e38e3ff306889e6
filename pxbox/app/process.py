"""One broker process, from its start to its end."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib import import_module
from threading import Thread

import trio

from pxbox.app.berth import Berth
from pxbox.app.storage import open_storage
from pxbox.auth.keys import derive, fingerprint, signing_secret
from pxbox.blobs.links import Links
from pxbox.domain.inbox import Thresholds
from pxbox.embedded import logged, open_missing
from pxbox.jobs import open_residents
from pxbox.model.file import MEGABYTE
from pxbox.model.ids import new_uuid
from pxbox.observe import Log, configure_log
from pxbox.postgres.installation import Installation, install
from pxbox.postgres.migrate import migrate
from pxbox.postgres.probe import FAILURES, why_unreachable
from pxbox.postgres.reader import Reader
from pxbox.references.fetcher import Fetcher
from pxbox.settings import OperatorError, Settings, raise_operators

OnListening = Callable[[int, str], None]


def run(
    settings: Settings,
    on_listening: OnListening,
    berth: Berth | None = None,
    before_draining: Callable[[], None] | None = None,
) -> None:
    """Run a broker until SIGTERM or SIGINT, then drain.

    `on_listening(port, secret)` is called once requests can be served; the secret signs tokens.
    `berth` is that of one worker among several. `before_draining` is called in a thread while
    everything is served still; a second signal does not wait for it. Raises OperatorError.
    """
    _allow_many_connections()
    try:
        trio.run(_serve, settings, on_listening, berth, before_draining)
    except BaseExceptionGroup as group:
        raise_operators(group)


def _allow_many_connections() -> None:
    """Each connection is an open file: take as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(
    settings: Settings,
    on_listening: OnListening,
    berth: Berth | None,
    before_draining: Callable[[], None] | None,
) -> None:
    log = configure_log(settings.log_level, settings.log_format)
    secret = signing_secret(settings)

    async with AsyncExitStack() as stack:
        database_url, redis_url = await _servers(stack, settings, log)
        from pxbox.app.core import Base, Choices, open_core
        from pxbox.app.transports import serve_transports

        residents = await stack.enter_async_context(open_residents())
        reader = await _database(database_url, residents, log)
        installation = await _installation(reader, secret)
        choices = Choices(
            _thresholds(settings),
            await open_storage(
                settings,
                Links(derive(secret, "files")),
                lambda why: log.warning("the object store fails", reason=why),
            ),
            settings.max_file_mb * MEGABYTE,
            Fetcher(settings.schema_allow),
        )
        base = Base(residents, reader, database_url, redis_url, installation, log)
        core = await stack.enter_async_context(open_core(base, choices))
        await serve_transports(
            settings, core, lambda port: on_listening(port, secret), berth, before_draining, log
        )


async def _servers(stack: AsyncExitStack, settings: Settings, log: Log) -> tuple[str, str]:
    """The URLs of both servers, those of its own being started.

    Their start and the import of most of the broker take about a second each: they go together.
    """
    imports = Thread(target=import_module, args=("pxbox.app.transports",))
    imports.start()
    try:
        return await stack.enter_async_context(
            open_missing(settings.data_dir, settings.database_url, settings.redis_url, logged(log))
        )
    finally:
        # After a refusal too: an import that the interpreter's end overtakes is a traceback.
        await trio.to_thread.run_sync(imports.join)


async def _database(url: str, residents: trio.Nursery, log: Log) -> Reader:
    """A reader of the database, which is brought up to date first."""
    try:
        # By asyncpg as it is: it runs on asyncio, in a thread.
        for name in await trio.to_thread.run_sync(lambda: asyncio.run(migrate(url))):
            log.info("migrated", migration=name)
    except FAILURES as error:
        raise OperatorError(f"the database cannot be used: {why_unreachable(error)}") from None
    reader = Reader(url)
    reader.open(residents)
    return reader


async def _installation(reader: Reader, secret: str) -> Installation:
    installation = await install(reader, new_uuid(), fingerprint(secret))
    if installation.secret_fingerprint != fingerprint(secret):
        raise OperatorError(
            "this database belongs to brokers with another secret; give this one the same "
            "PXBOX_SECRET, --secret-file or --data-dir"
        )
    return installation


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        timedelta(seconds=settings.inbox_attention_seconds),
        timedelta(seconds=settings.inbox_due_soon_seconds),
    )
