"""The only place where the parts are joined: one broker process, from its start to its end."""

from __future__ import annotations

import asyncio
import gc
import math
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import trio

from actors import Address, Limits, System, open_system
from pxbox.auth import authenticator
from pxbox.auth.keys import fingerprint, signing_secret
from pxbox.behaviors.alarm import AlarmClock, DueAlarm
from pxbox.behaviors.channel import ChannelActor, Events, Watch
from pxbox.behaviors.entity import EntityActor
from pxbox.behaviors.housekeeping import purge_at_times
from pxbox.behaviors.relay import Relay
from pxbox.behaviors.request import Fire, RequestActor, Surroundings
from pxbox.domain.alarms import AlarmKind
from pxbox.edge import Edge, EdgeLimits, HttpHost, open_listeners
from pxbox.embedded import open_servers
from pxbox.jobs import open_residents
from pxbox.model.errors import Draining, PxError
from pxbox.model.ids import new_uuid
from pxbox.observe import Log, Metrics, configure_log
from pxbox.ports import LogUnavailable
from pxbox.postgres.installation import install
from pxbox.postgres.journal import PostgresJournal
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.migrate import migrate
from pxbox.postgres.probe import FAILURES, why_unreachable
from pxbox.postgres.reader import Reader
from pxbox.postgres.views import Views
from pxbox.readings import readings
from pxbox.rest.app import Surface, make_app
from pxbox.service.channels import Channels
from pxbox.service.core import ASK_SECONDS, Parts
from pxbox.service.directory import Directory
from pxbox.service.requests import reply_to_keep
from pxbox.service.schemas import Schemas
from pxbox.settings import OperatorError, Settings
from pxbox.streams import OpenStreams, open_streams
from pxbox.validation.pool import open_validation_pool
from pxbox.validation.validator import Validator
from pxbox.ws.endpoint import Endpoint
from pxbox.ws.handover import WebSocketLimits
from pxbox.ws.messages import EventEncoder

OnListening = Callable[[int, str], None]

# Channel actors live as long as somebody watches, and end by themselves (A5).
_CHANNEL_LIMITS = Limits(mailbox=10_000, max_resident=1_000_000, idle_seconds=math.inf)
_REQUEST_LIMITS = Limits(mailbox=128, max_resident=4_096, idle_seconds=30.0)


def run(settings: Settings, on_listening: OnListening) -> None:
    """Run a broker until SIGTERM or SIGINT, then drain.

    `on_listening(port, secret)` is called once requests can be served; the secret signs tokens.
    Raises OperatorError.
    """
    _allow_many_connections()
    try:
        trio.run(serve, settings, on_listening)
    except BaseExceptionGroup as group:
        # Nurseries wrap what ends them; whoever runs the broker is to read a sentence.
        mine = group.subgroup(OperatorError)
        if mine is None:
            raise
        raise _first(mine) from None


def _allow_many_connections() -> None:
    """Each connection is an open file: take as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _first(group: BaseExceptionGroup[OperatorError]) -> OperatorError:
    found = group.exceptions[0]
    return found if isinstance(found, OperatorError) else _first(found)


@dataclass(frozen=True, slots=True)
class Core:
    """What is inside the transports."""

    parts: Parts
    journal: PostgresJournal
    relay: Relay
    streams: OpenStreams
    system: System


async def serve(settings: Settings, on_listening: OnListening) -> None:
    """Serve until told to stop."""
    log = configure_log(settings.log_level, settings.log_format)
    secret = signing_secret(settings)
    async with AsyncExitStack() as stack:
        database_url, redis_url = await _servers(stack, settings)
        residents = await stack.enter_async_context(open_residents())
        try:
            for name in await _migrate(database_url):
                log.info("migrated", migration=name)
        except FAILURES as error:
            raise OperatorError(f"the database cannot be used: {why_unreachable(error)}") from None
        reader = Reader(database_url)
        reader.open(residents)
        installation = await install(reader, new_uuid(), fingerprint(secret))
        if installation.secret_fingerprint != fingerprint(secret):
            raise OperatorError(
                "this database belongs to brokers with another secret; give this one the same "
                "PXBOX_SECRET, --secret-file or --data-dir"
            )
        core = await stack.enter_async_context(
            _core(residents, reader, database_url, redis_url, installation.epoch, log)
        )
        await _serve_transports(settings, core, lambda port: on_listening(port, secret), log)


async def _migrate(database_url: str) -> list[str]:
    """Bring the database up to date by asyncpg as it is: it runs on asyncio, in a thread."""
    return await trio.to_thread.run_sync(lambda: asyncio.run(migrate(database_url)))


async def _servers(stack: AsyncExitStack, settings: Settings) -> tuple[str, str]:
    """The URLs to use, those of embedded servers where none was given."""
    servers = (
        await stack.enter_async_context(
            open_servers(
                settings.data_dir,
                postgres=settings.database_url is None,
                valkey=settings.redis_url is None,
            )
        )
        if settings.database_url is None or settings.redis_url is None
        else None
    )
    database_url = settings.database_url or (servers.database_url if servers else None)
    redis_url = settings.redis_url or (servers.redis_url if servers else None)
    assert database_url is not None
    assert redis_url is not None
    return database_url, redis_url


@asynccontextmanager
async def _core(
    residents: trio.Nursery, reader: Reader, database_url: str, redis_url: str, epoch: str, log: Log
) -> AsyncIterator[Core]:
    """The actors and what they work with, running."""

    def crashed(address: Address, error: BaseException) -> None:
        log.error("actor failed", actor=f"{address.kind}:{address.id}", exc_info=error)

    views, log_of_events = Views(reader), PostgresLog(reader)
    encoder = EventEncoder(epoch)
    async with (
        open_validation_pool() as pool,
        open_system(on_crash=crashed) as system,
        trio.open_nursery() as nursery,
    ):
        streams = open_streams(redis_url, epoch)
        events = Events(
            log_of_events, streams, lambda channel, entry: encoder(channel, entry.seq, entry.data)
        )
        channels = Channels(system, events, epoch)
        relay = Relay(log_of_events, streams, channels.deliver, channels.look)
        watch = Watch(relay.watch, relay.unwatch)
        journal = PostgresJournal(database_url, views, relay.logged, relay.relayed)
        await journal.open(residents)
        streams.open(residents, relay.wake)
        directory, schemas = Directory(views), Schemas(views, Validator(pool))
        around = Surroundings(journal, directory, views, schemas, reply_to_keep)
        refusals = (PxError, LogUnavailable)
        system.register("request", lambda a: RequestActor(a.id, around), _REQUEST_LIMITS, refusals)
        system.register("entity", lambda a: EntityActor(a.id, journal, views), refusals=refusals)
        system.register(
            "channel",
            lambda a: ChannelActor(a.id, events, watch),
            _CHANNEL_LIMITS,
            refusals,
            prompt=True,
        )
        parts = Parts(system, journal, views, log_of_events, directory, schemas, channels, epoch)
        nursery.start_soon(relay.run)
        nursery.start_soon(_alarm_clock(system, views, log).run)
        nursery.start_soon(
            purge_at_times,
            views.purge_keys,
            lambda error: log.warning("purging waits", reason=str(error)),
        )
        yield Core(parts, journal, relay, streams, system)
        await streams.aclose()
        nursery.cancel_scope.cancel()


def _alarm_clock(system: System, views: Views, log: Log) -> AlarmClock:
    async def fire(alarm: DueAlarm) -> None:
        kind, _, id = alarm.subject.partition(":")
        message = Fire(
            alarm.id, alarm.generation, AlarmKind(alarm.id.rpartition(":")[2]), alarm.due
        )
        await system.ask(Address(kind, id), message, ASK_SECONDS)

    def failed(error: Exception) -> None:
        log.warning("alarms wait", reason=str(error))

    return AlarmClock(views.take_alarms, fire, failed)


async def _serve_transports(
    settings: Settings, core: Core, on_listening: Callable[[int], None], log: Log
) -> None:
    metrics, draining = Metrics(), trio.Event()
    who = authenticator(settings)

    def fault(operation: str, error: Exception) -> None:
        log.error("fault", operation=operation, exc_info=error)

    def connection_fault(peer: str, error: BaseException) -> None:
        log.error("fault on a connection", peer=peer, exc_info=error)

    def request_fault(operation: str, request_id: str, error: Exception) -> None:
        log.error("fault", operation=operation, request_id=request_id, exc_info=error)

    async def missing() -> PxError | None:
        if draining.is_set():
            return Draining("this broker is shutting down")
        try:
            await core.parts.views.now()
        except PxError as error:
            return error
        return None

    surface = Surface(
        core.parts, who, settings.max_body_bytes, missing, metrics.render, metrics.http,
        request_fault,
    )  # fmt: skip
    endpoint = Endpoint(core.parts, who, fault, metrics.command)
    edge = Edge(
        http=HttpHost(make_app(surface), connection_fault),
        websocket=endpoint.serve,
        limits=_edge_limits(settings),
    )
    metrics.read_from(lambda: readings(core.system, core.journal, core.relay, edge, endpoint))
    listeners = await _listen(settings)
    port = listeners[0].getsockname()[1]

    def drain() -> None:
        draining.set()
        core.parts.channels.drain()

    async with trio.open_nursery() as nursery:
        await nursery.start(_drain_on_signal, drain, log)
        nursery.start_soon(endpoint.beat)
        async with trio.open_nursery() as serving:
            await serving.start(lambda task_status: edge.serve(
                listeners, draining=draining, task_status=task_status))  # fmt: skip
            _spare_the_collector()
            log.info("listening", host=settings.host, port=port)
            on_listening(port)
        abandoned = await core.system.drain(settings.grace_seconds)
        log.info("drained", abandoned=abandoned)
        nursery.cancel_scope.cancel()


def _spare_the_collector() -> None:
    """Look for cycles seldom, and never again in what was made for good: some 8% of the CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _listen(settings: Settings) -> list[socket.socket]:
    try:
        return await open_listeners(settings.host, settings.port)
    except OSError as error:
        raise OperatorError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; choose another --port"
        ) from None


def _edge_limits(settings: Settings) -> EdgeLimits:
    return EdgeLimits(
        body_bytes=settings.max_body_bytes,
        grace_seconds=settings.grace_seconds,
        websocket=WebSocketLimits(message_bytes=settings.max_body_bytes),
    )


async def _drain_on_signal(
    drain: Callable[[], None],
    log: Log,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            log.info("draining", signal=signal.Signals(number).name)
            drain()
