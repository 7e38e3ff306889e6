"""What is inside the transports, joined: the actors and what they work with."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import trio

from actors import Address, Limits, System, open_system
from pxbox.app.upkeep import alarm_clock, courier, end_lost_workers
from pxbox.behaviors.channel import ChannelActor, Events, Watch
from pxbox.behaviors.entity import EntityActor
from pxbox.behaviors.epoch import EpochWatch
from pxbox.behaviors.flow import FlowActor, FlowSurroundings
from pxbox.behaviors.inbox import InboxActor
from pxbox.behaviors.relay import Relay
from pxbox.behaviors.request import RequestActor, Surroundings
from pxbox.blobs.local import LocalStorage
from pxbox.blobs.resumable import Drafts
from pxbox.blobs.storage import Storage
from pxbox.domain.inbox import Thresholds
from pxbox.model.errors import PxError
from pxbox.observe import Log, said
from pxbox.ports import Entry, Era, LogUnavailable
from pxbox.postgres.acknowledged import Acknowledged
from pxbox.postgres.files import FileTable
from pxbox.postgres.flow_views import FlowViews
from pxbox.postgres.inbox import Inbox
from pxbox.postgres.installation import Installation, Installations
from pxbox.postgres.jobs import Jobs
from pxbox.postgres.journal import PostgresJournal
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.logins import Logins
from pxbox.postgres.reach import Reaches
from pxbox.postgres.reader import Reader
from pxbox.postgres.registry import Registry
from pxbox.postgres.shelf import Shelf
from pxbox.postgres.trail import Trail
from pxbox.postgres.views import Views
from pxbox.references.fetcher import Fetcher
from pxbox.references.library import Library
from pxbox.service.acknowledgements import Acknowledgements
from pxbox.service.adopting import Adoptions
from pxbox.service.channels import Channels
from pxbox.service.core import Files, Parts
from pxbox.service.directory import Directory
from pxbox.service.entrusted import Entrusted
from pxbox.service.epoch import Epoch
from pxbox.service.files import AnsweredFiles
from pxbox.service.flow_figures import FlowFigures
from pxbox.service.flows import reply_to_keep as flow_reply_to_keep
from pxbox.service.reach import Deliveries
from pxbox.service.requests import reply_to_keep
from pxbox.service.room import Room
from pxbox.service.schemas import Schemas
from pxbox.service.served import Served
from pxbox.streams import OpenStreams, open_streams
from pxbox.validation.documents import Documents
from pxbox.validation.pool import ValidationPool, open_validation_pool
from pxbox.validation.validator import Validator
from pxbox.ws.messages import EventEncoder

# Channel actors live as long as somebody watches, and end by themselves (A5).
_CHANNEL_LIMITS = Limits(mailbox=10_000, max_resident=1_000_000, idle_seconds=math.inf)
# The last acknowledgements are no reason to end late.
_LAST_WRITE_SECONDS = 2.0
_REQUEST_LIMITS = Limits(mailbox=128, max_resident=4_096, idle_seconds=30.0)


@dataclass(frozen=True, slots=True)
class Core:
    """What is inside the transports."""

    parts: Parts
    journal: PostgresJournal
    relay: Relay
    streams: OpenStreams
    system: System


@dataclass(frozen=True, slots=True)
class Base:
    """What the core stands on. `residents` hold the connections: they end last."""

    residents: trio.Nursery
    reader: Reader
    database_url: str
    redis_url: str
    installation: Installation
    log: Log


@dataclass(frozen=True, slots=True)
class Choices:
    """What the operator has a say in."""

    thresholds: Thresholds
    storage: Storage
    most_file_bytes: int
    fetcher: Fetcher


@asynccontextmanager
async def open_core(base: Base, choices: Choices) -> AsyncIterator[Core]:
    """The actors and what they work with, running."""

    def crashed(address: Address, error: BaseException) -> None:
        base.log.error("actor failed", actor=f"{address.kind}:{address.id}", exc_info=error)

    async with (
        open_validation_pool() as pool,
        open_system(on_crash=crashed) as system,
        trio.open_nursery() as nursery,
    ):
        views = Views(base.reader)
        telling = _join_telling(base, system, views, Schemas(views, Validator(pool)))
        await telling.journal.open(base.residents)
        telling.streams.open(base.residents, telling.relay.wake)
        parts = _join_parts(base, choices, system, telling, pool)
        _register_actors(system, telling, parts)
        _start(nursery, telling, parts, base.log)
        yield Core(parts, telling.journal, telling.relay, telling.streams, system)
        with trio.move_on_after(_LAST_WRITE_SECONDS), suppress(PxError):
            await parts.acknowledgements.write()
            await parts.deliveries.write()
        await telling.streams.aclose()
        nursery.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class _Telling:
    """The way of an event, from its commit to its subscribers."""

    journal: PostgresJournal
    views: Views
    log: PostgresLog
    streams: OpenStreams
    relay: Relay
    events: Events
    channels: Channels
    deliveries: Deliveries
    watch_epoch: EpochWatch
    schemas: Schemas


def _join_telling(base: Base, system: System, views: Views, schemas: Schemas) -> _Telling:
    reader, installation = base.reader, base.installation
    epoch, encoder = Epoch(installation.epoch), EventEncoder(installation.epoch)
    deliveries = Deliveries(Reaches(reader))

    def begin(era: Era) -> None:
        """All that is known here may be of a future that was lost: forget it, and tell all (E4)."""
        base.log.error("another epoch has begun", epoch=era.epoch, reason=era.reason)
        encoder.begin_epoch(era.epoch)
        relay.begin_epoch(era.epoch)
        schemas.forget()
        system.drop_all()
        channels.crowds.forget()
        epoch.begin(era.epoch)
        channels.end_waiting()

    def encode(channel: str, entry: Entry) -> bytes:
        deliveries.told(channel, entry.data)
        return encoder(channel, entry.seq, entry.data)

    watch_epoch = EpochWatch(
        Installations(reader, installation.secret_fingerprint),
        installation.epoch,
        begin,
        lambda error: base.log.warning("the epoch cannot be read", reason=str(error)),
    )
    log = PostgresLog(reader)
    streams = open_streams(base.redis_url, installation.epoch)
    events = Events(log, streams, encode, watch_epoch.sightings)
    channels = Channels(system, events, epoch, watch_epoch.client_ahead)
    relay = Relay(log, streams, channels.deliver, channels.look, sightings=watch_epoch.sightings)
    journal = PostgresJournal(base.database_url, views, relay.logged, relay.relayed)
    return _Telling(
        journal, views, log, streams, relay, events, channels, deliveries, watch_epoch, schemas
    )


def _join_parts(
    base: Base, choices: Choices, system: System, telling: _Telling, pool: ValidationPool
) -> Parts:
    reader, views, journal = base.reader, telling.views, telling.journal
    registry, flows = Registry(reader), FlowViews(reader, views, journal.name)
    table, storage = FileTable(reader), choices.storage
    adoptions = Adoptions(table, storage)
    # A bucket has nothing that could be added to.
    drafts = Drafts(storage) if isinstance(storage, LocalStorage) else None
    return Parts(
        system=system,
        journal=journal,
        views=views,
        log=telling.log,
        directory=Directory(views),
        schemas=telling.schemas,
        library=Library(choices.fetcher, registry.text),
        registry=registry,
        documents=Documents(pool),
        channels=telling.channels,
        flows=flows,
        flow_figures=FlowFigures(flows),
        entrusted=Entrusted(),
        served=Served(telling.channels),
        acknowledgements=Acknowledgements(Acknowledged(reader), telling.channels.epoch),
        room=Room(),
        inbox=Inbox(reader),
        shelf=Shelf(reader),
        thresholds=choices.thresholds,
        trail=Trail(reader),
        reaches=Reaches(reader),
        deliveries=telling.deliveries,
        jobs=Jobs(reader),
        logins=Logins(reader),
        files=Files(table, storage, adoptions, choices.most_file_bytes, journal.now, drafts),
    )


def _register_actors(system: System, telling: _Telling, parts: Parts) -> None:
    journal, views, shelf, files = telling.journal, telling.views, parts.shelf, parts.files
    refusals = (PxError, LogUnavailable)
    requests = Surroundings(
        journal, parts.directory, views, parts.schemas, reply_to_keep, shelf,
        AnsweredFiles(files.table, parts.schemas),
    )  # fmt: skip
    flows = FlowSurroundings(journal, parts.flows, flow_reply_to_keep)
    watch = Watch(telling.relay.watch, telling.relay.unwatch)
    system.register("request", lambda a: RequestActor(a.id, requests), _REQUEST_LIMITS, refusals)
    system.register("flow", lambda a: FlowActor(a.id, flows), _REQUEST_LIMITS, refusals)
    system.register("entity", lambda a: EntityActor(a.id, journal, views), refusals=refusals)
    system.register("inbox", lambda a: InboxActor(a.id, journal, shelf, views), refusals=refusals)
    system.register(
        "channel",
        lambda a: ChannelActor(a.id, telling.events, watch),
        _CHANNEL_LIMITS,
        refusals,
        prompt=True,
    )


def _start(nursery: trio.Nursery, telling: _Telling, parts: Parts, log: Log) -> None:
    def waits(event: str) -> Callable[[Exception], None]:
        return lambda error: log.warning(event, reason=said(error))

    nursery.start_soon(telling.relay.run)
    nursery.start_soon(telling.channels.crowds.run)
    nursery.start_soon(telling.watch_epoch.run)
    nursery.start_soon(
        parts.files.adoptions.run,
        lambda error: log.error("fault", operation="files", exc_info=error),
    )
    nursery.start_soon(alarm_clock(parts.system, parts.views, log).run)
    nursery.start_soon(courier(parts.system, parts.flows, log).run)
    nursery.start_soon(end_lost_workers, parts, log)
    nursery.start_soon(parts.acknowledgements.run, waits("acknowledgements wait"))
    nursery.start_soon(telling.deliveries.run, waits("delivery health waits"))
    nursery.start_soon(telling.deliveries.look, waits("delivery health waits"))
    nursery.start_soon(parts.flow_figures.look, waits("flows are not counted"))
