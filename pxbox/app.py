"""The only place where the parts are joined: one broker process, from its start to its end."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import trio

from actors import Address, Limits, System, open_system
from pxbox.auth import authenticator
from pxbox.auth.keys import derive, fingerprint, signing_secret
from pxbox.auth.links import link_key
from pxbox.behaviors.alarm import AlarmClock, DueAlarm
from pxbox.behaviors.channel import ChannelActor, Events, Watch
from pxbox.behaviors.courier import read_message
from pxbox.behaviors.entity import EntityActor
from pxbox.behaviors.epoch import EpochWatch
from pxbox.behaviors.flow import FlowActor, FlowSurroundings
from pxbox.behaviors.flow_messages import FireWait
from pxbox.behaviors.housekeeping import MOST_EVENTS_AT_ONCE, purge_at_times
from pxbox.behaviors.inbox import InboxActor
from pxbox.behaviors.relay import Relay
from pxbox.behaviors.request import Fire, RequestActor, Surroundings
from pxbox.behaviors.request_commit import alarm_kind
from pxbox.blobs.links import Links
from pxbox.blobs.local import LocalStorage
from pxbox.domain.inbox import Thresholds
from pxbox.edge import Edge, EdgeLimits, HttpHost, open_listeners
from pxbox.embedded import logged, open_missing
from pxbox.jobs import open_residents
from pxbox.listening import Share
from pxbox.model.errors import Draining, PxError
from pxbox.model.file import MEGABYTE
from pxbox.model.ids import new_uuid
from pxbox.observe import Log, Metrics, configure_log, said
from pxbox.ports import Entry, Era, LogUnavailable
from pxbox.postgres.acknowledged import Acknowledged
from pxbox.postgres.files import FileTable
from pxbox.postgres.flow_views import FlowViews, TakenMessage
from pxbox.postgres.inbox import Inbox
from pxbox.postgres.installation import Installation, Installations, install
from pxbox.postgres.jobs import Jobs
from pxbox.postgres.journal import PostgresJournal
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.logins import Logins
from pxbox.postgres.migrate import migrate
from pxbox.postgres.probe import FAILURES, why_unreachable
from pxbox.postgres.reach import Reaches
from pxbox.postgres.reader import Reader
from pxbox.postgres.registry import Registry
from pxbox.postgres.shelf import Shelf
from pxbox.postgres.trail import Trail
from pxbox.postgres.views import Views
from pxbox.readings import readings
from pxbox.references.fetcher import Fetcher
from pxbox.references.library import Library
from pxbox.rest.app import Surface, make_app
from pxbox.rest.routes import carries_file, carries_payload
from pxbox.service import jobs, workers
from pxbox.service.acknowledgements import Acknowledgements
from pxbox.service.channels import Channels
from pxbox.service.collecting import collect
from pxbox.service.core import ASK_SECONDS, Files, Parts
from pxbox.service.directory import Directory
from pxbox.service.epoch import Epoch
from pxbox.service.files import AnsweredFiles
from pxbox.service.flows import reply_to_keep as flow_reply_to_keep
from pxbox.service.reach import Deliveries
from pxbox.service.requests import reply_to_keep
from pxbox.service.room import Room
from pxbox.service.schemas import Schemas
from pxbox.settings import OperatorError, Settings, raise_operators
from pxbox.streams import OpenStreams, open_streams
from pxbox.validation.documents import Documents
from pxbox.validation.pool import open_validation_pool
from pxbox.validation.validator import Validator
from pxbox.web import read_site, with_page
from pxbox.ws.admission import AdmissionLimits
from pxbox.ws.endpoint import Endpoint, Pulse, Terms
from pxbox.ws.handover import WebSocketLimits
from pxbox.ws.live_token import TokenTimes
from pxbox.ws.messages import EventEncoder
from pxbox.ws.parts import PartsLimits
from pxbox.ws.session import Observers

OnListening = Callable[[int, str], None]

# Channel actors live as long as somebody watches, and end by themselves (A5).
_CHANNEL_LIMITS = Limits(mailbox=10_000, max_resident=1_000_000, idle_seconds=math.inf)
_WORKERS_SECONDS = 2.0
# The last acknowledgements are no reason to end late.
_LAST_WRITE_SECONDS = 2.0
_FILES_AT_ONCE = 200
_REQUEST_LIMITS = Limits(mailbox=128, max_resident=4_096, idle_seconds=30.0)


class Berth(Protocol):
    """The place of a worker among several that one supervisor has started."""

    def listeners(self) -> list[socket.socket]: ...

    def share(self) -> Share:
        """From now on this process counts among those that accept."""
        ...

    async def run(self, figures: Callable[[], bytes]) -> None:
        """Converse with the supervisor, this process being able to serve now."""
        ...

    async def figures(self, mine: bytes) -> bytes:
        """The figures of all workers."""
        ...


def run(settings: Settings, on_listening: OnListening, berth: Berth | None = None) -> None:
    """Run a broker until SIGTERM or SIGINT, then drain.

    `on_listening(port, secret)` is called once requests can be served; the secret signs tokens.
    `berth` is that of one worker among several. Raises OperatorError.
    """
    _allow_many_connections()
    try:
        trio.run(serve, settings, on_listening, berth)
    except BaseExceptionGroup as group:
        raise_operators(group)


def _allow_many_connections() -> None:
    """Each connection is an open file: take as many as this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@dataclass(frozen=True, slots=True)
class Core:
    """What is inside the transports."""

    parts: Parts
    journal: PostgresJournal
    relay: Relay
    streams: OpenStreams
    system: System


async def serve(settings: Settings, on_listening: OnListening, berth: Berth | None = None) -> None:
    """Serve until told to stop."""
    log = configure_log(settings.log_level, settings.log_format)
    secret = signing_secret(settings)

    async with AsyncExitStack() as stack:
        database_url, redis_url = await stack.enter_async_context(
            open_missing(settings.data_dir, settings.database_url, settings.redis_url, logged(log))
        )
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
            _core(
                residents,
                reader,
                database_url,
                redis_url,
                installation,
                log,
                _thresholds(settings),
                await _storage(settings, secret),
                settings.max_file_mb * MEGABYTE,
                Fetcher(settings.schema_allow),
            )
        )
        await _serve_transports(settings, core, lambda port: on_listening(port, secret), berth, log)


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        timedelta(seconds=settings.inbox_attention_seconds),
        timedelta(seconds=settings.inbox_due_soon_seconds),
    )


async def _storage(settings: Settings, secret: str) -> LocalStorage:
    """Where files are kept, ready for use."""
    directory = settings.files_dir or settings.data_dir / "files"
    storage = LocalStorage(directory, Links(derive(secret, "files")))
    try:
        await trio.to_thread.run_sync(storage.open)
    except OSError as error:
        raise OperatorError(
            f"files cannot be kept in {directory}: {error.strerror}; choose another --files-dir"
        ) from None
    return storage


async def _migrate(database_url: str) -> list[str]:
    """Bring the database up to date by asyncpg as it is: it runs on asyncio, in a thread."""
    return await trio.to_thread.run_sync(lambda: asyncio.run(migrate(database_url)))


@asynccontextmanager
async def _core(
    residents: trio.Nursery,
    reader: Reader,
    database_url: str,
    redis_url: str,
    installation: Installation,
    log: Log,
    thresholds: Thresholds,
    storage: LocalStorage,
    most_file_bytes: int,
    fetcher: Fetcher,
) -> AsyncIterator[Core]:
    """The actors and what they work with, running."""

    def crashed(address: Address, error: BaseException) -> None:
        log.error("actor failed", actor=f"{address.kind}:{address.id}", exc_info=error)

    views, log_of_events = Views(reader), PostgresLog(reader)
    epoch, encoder = Epoch(installation.epoch), EventEncoder(installation.epoch)

    def begin(era: Era) -> None:
        """All that is known here may be of a future that was lost: forget it, and tell all (E4)."""
        log.error("another epoch has begun", epoch=era.epoch, reason=era.reason)
        encoder.begin_epoch(era.epoch)
        relay.begin_epoch(era.epoch)
        schemas.forget()
        system.drop_all()
        epoch.begin(era.epoch)
        channels.end_waiting()

    watch_epoch = EpochWatch(
        Installations(reader, installation.secret_fingerprint),
        installation.epoch,
        begin,
        lambda error: log.warning("the epoch cannot be read", reason=str(error)),
    )
    async with (
        open_validation_pool() as pool,
        open_system(on_crash=crashed) as system,
        trio.open_nursery() as nursery,
    ):
        streams = open_streams(redis_url, installation.epoch)
        reaches = Reaches(reader)
        deliveries = Deliveries(reaches)

        def encode(channel: str, entry: Entry) -> bytes:
            deliveries.told(channel, entry.data)
            return encoder(channel, entry.seq, entry.data)

        events = Events(
            log_of_events,
            streams,
            encode,
            watch_epoch.sightings,
        )
        channels = Channels(system, events, epoch, watch_epoch.client_ahead)
        relay = Relay(
            log_of_events, streams, channels.deliver, channels.look,
            sightings=watch_epoch.sightings,
        )  # fmt: skip
        watch = Watch(relay.watch, relay.unwatch)
        journal = PostgresJournal(database_url, views, relay.logged, relay.relayed)
        await journal.open(residents)
        streams.open(residents, relay.wake)
        directory, schemas = Directory(views), Schemas(views, Validator(pool))
        acknowledgements = Acknowledgements(Acknowledged(reader), epoch)
        shelf, registry = Shelf(reader), Registry(reader)
        files = Files(FileTable(reader), storage, most_file_bytes, journal.now)
        answered_files = AnsweredFiles(files.table, storage, schemas)
        around = Surroundings(
            journal, directory, views, schemas, reply_to_keep, shelf, answered_files
        )
        refusals = (PxError, LogUnavailable)
        system.register("request", lambda a: RequestActor(a.id, around), _REQUEST_LIMITS, refusals)
        system.register("entity", lambda a: EntityActor(a.id, journal, views), refusals=refusals)
        system.register(
            "inbox", lambda a: InboxActor(a.id, journal, shelf, views), refusals=refusals
        )
        system.register(
            "channel",
            lambda a: ChannelActor(a.id, events, watch),
            _CHANNEL_LIMITS,
            refusals,
            prompt=True,
        )
        flow_views = FlowViews(reader, views)
        around_flows = FlowSurroundings(journal, flow_views, flow_reply_to_keep)
        system.register("flow", lambda a: FlowActor(a.id, around_flows), _REQUEST_LIMITS, refusals)
        parts = Parts(
            system, journal, views, log_of_events, directory, schemas,
            Library(fetcher, registry.text), registry, Documents(pool), channels, flow_views,
            acknowledgements, Room(), Inbox(reader), shelf, thresholds, Trail(reader), reaches,
            deliveries, Jobs(reader), Logins(reader), files,
        )  # fmt: skip
        nursery.start_soon(relay.run)
        nursery.start_soon(watch_epoch.run)
        nursery.start_soon(_alarm_clock(system, views, log).run)
        nursery.start_soon(_courier(system, flow_views, log).run)
        nursery.start_soon(_end_workers, parts, log)
        nursery.start_soon(
            acknowledgements.run,
            lambda error: log.warning("acknowledgements wait", reason=said(error)),
        )
        for keeping in (deliveries.run, deliveries.look):
            nursery.start_soon(
                keeping, lambda error: log.warning("delivery health waits", reason=said(error))
            )
        yield Core(parts, journal, relay, streams, system)
        with trio.move_on_after(_LAST_WRITE_SECONDS), suppress(PxError):
            await acknowledgements.write()
            await deliveries.write()
        await streams.aclose()
        nursery.cancel_scope.cancel()


def _keep_house(nursery: trio.Nursery, settings: Settings, parts: Parts, log: Log) -> None:
    def failed(error: Exception) -> None:
        log.warning("purging waits", reason=said(error))

    kept = timedelta(days=settings.event_days)
    acknowledgements = partial(parts.acknowledgements.purge, kept)
    for purge in (
        parts.views.purge_keys,
        parts.views.purge_tickets,
        parts.logins.purge,
        acknowledgements,
    ):
        nursery.start_soon(purge_at_times, purge, failed)
    answered, unanswered = (
        timedelta(days=days) if days else None
        for days in (settings.answered_days, settings.unanswered_days)
    )
    if answered or unanswered:
        requests = partial(jobs.purge, parts, answered, unanswered)
        nursery.start_soon(purge_at_times, requests, failed)
    nursery.start_soon(purge_at_times, partial(collect, parts.files), failed, _FILES_AT_ONCE)
    events = partial(parts.log.purge, kept)
    nursery.start_soon(purge_at_times, events, failed, MOST_EVENTS_AT_ONCE)


def _alarm_clock(system: System, views: Views, log: Log) -> AlarmClock[DueAlarm]:
    async def fire(alarm: DueAlarm) -> None:
        kind, _, id = alarm.subject.partition(":")
        last = alarm.id.rpartition(":")[2]
        message: object = FireWait(alarm.id, alarm.generation, last)
        if kind == "request":
            message = Fire(alarm.id, alarm.generation, alarm_kind(alarm.id), alarm.due)
        await system.ask(Address(kind, id), message, ASK_SECONDS)

    def failed(error: Exception) -> None:
        log.warning("alarms wait", reason=said(error))

    return AlarmClock(views.take_alarms, fire, failed)


def _courier(system: System, flows: FlowViews, log: Log) -> AlarmClock[TakenMessage]:
    async def deliver(message: TakenMessage) -> None:
        kind, _, id = message.recipient.partition(":")
        told = read_message(UUID(message.id), message.body)
        await system.ask(Address(kind, id), told, ASK_SECONDS)

    def failed(error: Exception) -> None:
        log.warning("messages wait", reason=str(error))

    return AlarmClock(flows.take_messages, deliver, failed)


async def _end_workers(parts: Parts, log: Log) -> None:
    """Give the flows of workers that went silent to others (F4)."""
    while True:
        await trio.sleep(_WORKERS_SECONDS * random.uniform(0.6, 1.4))
        try:
            ended = await workers.end_expired(parts)
        except PxError as error:
            log.warning("workers wait", reason=str(error))
        else:
            if ended:
                log.info("flows of lost workers", flows=ended)


async def _serve_transports(
    settings: Settings,
    core: Core,
    on_listening: Callable[[int], None],
    berth: Berth | None,
    log: Log,
) -> None:
    metrics, draining = Metrics(), trio.Event()
    who = authenticator(
        settings, lambda why: log.warning("the issuer's keys were not fetched", reason=why)
    )

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

    async def figures() -> bytes:
        mine = metrics.render()
        return mine if berth is None else await berth.figures(mine)

    surface = Surface(
        core.parts, who, settings.max_body_bytes, settings.max_payload_bytes, missing,
        figures, metrics.http, request_fault, link_key(signing_secret(settings)),
    )  # fmt: skip
    token_times = TokenTimes(settings.token_notice_seconds, settings.token_grace_seconds)
    terms = Terms(
        token_times,
        PartsLimits(settings.max_payload_bytes, settings.parts_seconds),
        AdmissionLimits(settings.max_connections_per_client),
        Pulse(settings.heartbeat_seconds, settings.answer_seconds),
    )
    endpoint = Endpoint(core.parts, who, Observers(fault, metrics.command), terms)
    edge = Edge(
        http=HttpHost(
            with_page(read_site(), make_app(surface)),
            connection_fault,
            carries_payload,
            carries_file,
        ),
        websocket=endpoint.serve,
        limits=_edge_limits(settings),
        share=None if berth is None else berth.share(),
    )
    metrics.read_from(
        lambda: readings(
            core.system, core.journal, core.relay, core.parts.deliveries, edge, endpoint
        )
    )
    listeners = await _listen(settings) if berth is None else berth.listeners()
    port = listeners[0].getsockname()[1]

    def drain() -> None:
        draining.set()
        core.parts.channels.drain()

    async with trio.open_nursery() as nursery:
        await nursery.start(_drain_on_signal, drain, log)
        nursery.start_soon(endpoint.run, draining)
        _keep_house(nursery, settings, core.parts, log)
        if who.issuer is not None:
            nursery.start_soon(who.issuer.run)
        async with trio.open_nursery() as serving:
            await serving.start(lambda task_status: edge.serve(
                listeners, draining=draining, task_status=task_status))  # fmt: skip
            _spare_the_collector()
            log.info("listening", host=settings.host, port=port)
            on_listening(port)
            if berth is not None:
                nursery.start_soon(berth.run, metrics.render)
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
        connections=settings.max_connections,
        body_bytes=settings.max_body_bytes,
        payload_bytes=settings.max_payload_bytes,
        file_bytes=settings.max_file_mb * MEGABYTE,
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
