"""What a broker does by itself: fires alarms, delivers messages, ends lost workers, keeps house."""

from __future__ import annotations

import random
from datetime import timedelta
from functools import partial
from uuid import UUID

import trio

from actors import Address, System
from pxbox.behaviors.alarm import AlarmClock, DueAlarm
from pxbox.behaviors.courier import read_message
from pxbox.behaviors.flow_messages import FireWait
from pxbox.behaviors.housekeeping import MOST_EVENTS_AT_ONCE, purge_at_times
from pxbox.behaviors.request import Fire
from pxbox.behaviors.request_commit import alarm_kind
from pxbox.model.errors import PxError
from pxbox.observe import Log, said
from pxbox.postgres.flow_views import FlowViews, TakenMessage
from pxbox.postgres.views import Views
from pxbox.service import jobs, workers
from pxbox.service.collecting import Collector
from pxbox.service.core import ASK_SECONDS, Parts
from pxbox.settings import Settings

_WORKERS_SECONDS = 2.0
_FILES_AT_ONCE = 200


def keep_house(nursery: trio.Nursery, settings: Settings, parts: Parts, log: Log) -> None:
    """Start what removes, at its times, whatever has been kept long enough."""

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
    nursery.start_soon(purge_at_times, Collector(parts.files).collect, failed, _FILES_AT_ONCE)
    events = partial(parts.log.purge, kept)
    nursery.start_soon(purge_at_times, events, failed, MOST_EVENTS_AT_ONCE)


def alarm_clock(system: System, views: Views, log: Log) -> AlarmClock[DueAlarm]:
    """Tells requests and flows what is due."""

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


def courier(system: System, flows: FlowViews, log: Log) -> AlarmClock[TakenMessage]:
    """Delivers what actors tell each other by their commits (S5)."""

    async def deliver(message: TakenMessage) -> None:
        kind, _, id = message.recipient.partition(":")
        told = read_message(UUID(message.id), message.body)
        await system.ask(Address(kind, id), told, ASK_SECONDS)

    def failed(error: Exception) -> None:
        log.warning("messages wait", reason=str(error))

    return AlarmClock(flows.take_messages, deliver, failed)


async def end_lost_workers(parts: Parts, log: Log) -> None:
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
