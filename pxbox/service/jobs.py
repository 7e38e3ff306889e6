"""Operators' jobs: requests that are no longer kept, exports, a person's data."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from pxbox.behaviors.entity import EntityDone, EraseEntity, SetMember
from pxbox.domain import routing
from pxbox.model import wire
from pxbox.model.entity import COLLECTIVE, Entity
from pxbox.model.errors import InvalidCursor, InvalidRequest, NotFound
from pxbox.model.ids import is_ulid
from pxbox.model.request import Status
from pxbox.postgres.jobs import Exported, ExportFilter
from pxbox.service.asking import check_time
from pxbox.service.core import Call, Outcome, Parts, ask

LOOK_AT = 2_000
"""Requests that one round of retention looks at."""


async def retain(parts: Parts, call: Call) -> Outcome:
    """Let go of requests that were closed long enough ago, a round at a time; replies
    `RetentionRound`."""
    input = call.input
    assert isinstance(input, wire.RunRetention)
    if input.answered_days is None and input.unanswered_days is None:
        raise InvalidRequest("say how old: `answeredDays`, `unansweredDays`, or both")
    answered, unanswered = _days(input.answered_days), _days(input.unanswered_days)
    found = await parts.jobs.outdated(answered, unanswered, _after(input.cursor), LOOK_AT)
    if not input.dry_run:
        await parts.jobs.purge([*found.answered, *found.unanswered])
    return Outcome(
        wire.RetentionRound(
            dry_run=input.dry_run,
            answered=len(found.answered),
            unanswered=len(found.unanswered),
            next_cursor=found.upto,
        )
    )


async def purge(
    parts: Parts, answered: timedelta | None, unanswered: timedelta | None, most: int
) -> int:
    """Let go of all that is old enough, looking at `most` at a time; 0: nothing is left."""
    after: str | None = ""
    while after is not None:
        found = await parts.jobs.outdated(answered, unanswered, after, most)
        await parts.jobs.purge([*found.answered, *found.unanswered])
        after = found.upto
    return 0


async def export(parts: Parts, call: Call) -> Outcome:
    """Requests with their answers, in the order of their making; replies `ExportPage`."""
    input = call.input
    assert isinstance(input, wire.ExportRequests)
    for time in (input.created_after, input.created_before):
        if time is not None:
            check_time(time)
    statuses = list(Status) if input.status is None else [input.status]
    where = ExportFilter(
        statuses, input.requestor, input.tag, input.created_after, input.created_before
    )
    found = await parts.jobs.exported(where, _after(input.cursor), input.limit + 1)
    page = found[: input.limit]
    more = page[-1].request.id if len(found) > input.limit else None
    return Outcome(wire.ExportPage(items=[_exported(one) for one in page], next_cursor=more))


async def erase(parts: Parts, call: Call) -> Outcome:
    """Erase what a user or bot has left, and its names; replies `Erased`. It can be repeated, by
    the entity's id."""
    input = call.input
    assert isinstance(input, wire.EraseEntity)
    entity = await parts.directory.lookup(input.id)
    if entity is None:
        raise NotFound("no such entity")
    if entity.kind in COLLECTIVE:
        raise InvalidRequest(f"{entity.address!r} is a {entity.kind}: erase its members one by one")
    if input.dry_run:
        return Outcome(_erased(entity.id, True, await parts.jobs.personal(entity.id)))
    await _leave_groups(parts, call, entity)
    done = await ask(parts, "entity", entity.id, EraseEntity(call.author))
    assert isinstance(done, EntityDone)
    left = await parts.jobs.erase(entity.id, entity.handle, done.entity.handle)
    parts.directory.created(entity)
    return Outcome(_erased(entity.id, False, left))


async def _leave_groups(parts: Parts, call: Call, entity: Entity) -> None:
    for group in sorted(await parts.views.groups_of(entity.id)):
        message = SetMember(entity, False, call.caller.sub, None, b"", call.author)
        await ask(parts, "entity", group, message)
    parts.directory.membership_changed(entity.id)


def _erased(id: str, dry_run: bool, left: object) -> wire.Erased:
    return wire.Erased(id=id, dry_run=dry_run, **msgspec.to_builtins(left))


def _exported(one: Exported) -> wire.ExportedRequest:
    answer = None
    if one.payload is not None and one.answered_at is not None:
        answer = wire.ExportedAnswer(
            payload=one.payload, answered_by=one.answered_by, answered_at=one.answered_at
        )
    return wire.ExportedRequest(**routing.list_row(one.request), meta=one.meta, answer=answer)


def _days(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _after(cursor: str | None) -> str:
    if cursor is not None and not is_ulid(cursor):
        raise InvalidCursor("this cursor was not given out by this list")
    return cursor or ""
