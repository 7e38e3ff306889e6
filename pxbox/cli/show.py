"""`pxbox show`: one request."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from pxbox.cli.calling import call
from pxbox.cli.exits import Exit
from pxbox.cli.names import Names, names_of
from pxbox.cli.outline import outline
from pxbox.cli.rows import Id
from pxbox.cli.terminal import (
    interactive,
    note,
    put,
    put_json,
    put_pairs,
    put_prose,
    put_table,
)
from pxbox.cli.times import shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox, errors
from pxbox.model import wire
from pxbox.model.decoding import decode_json
from pxbox.model.request import OPEN, Status

_TIMELINE = ("AT", "WHAT", "BY", "CLIENT", "TOKEN", "DETAIL")


def show(
    id: Id,
    /,
    *,
    timeline: Switch = False,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """Show a request: what it asks for, how it stands, and its answer if you may read that.

    Parameters
    ----------
    timeline
        Show who did what to it, and when, instead.
    json
        Print it as JSON, as getRequest gives it, with `response` beside it.
    """
    if timeline:
        return _timeline(where, id, json)
    request, response, names = call(where, lambda px: _read(px, id, named=not json))
    if json:
        put_json({**msgspec.json.decode(msgspec.json.encode(request)), "response": response})
        return Exit.DONE
    put_pairs(_facts(request, names))
    for heading, text in (("why", request.why), ("context", request.context)):
        if text:
            put(f"\n{heading}")
            put_prose(text)
    put("\nasks for")
    put_pairs(outline(decode_json(bytes(request.schema_payload))), indent="  ")
    if response is not None:
        put(f"\nanswer{_by(response, names)}")
        put(msgspec.json.format(bytes(response.payload), indent=2).decode())
    _say_next(request)
    return Exit.DONE


def _by(response: wire.Response, names: Names) -> str:
    if response.answered_by is None:
        return " (the default, at the deadline)"
    return f" by {names.get(response.answered_by, response.answered_by)}"


def _say_next(request: wire.RequestDetail) -> None:
    """What a person may want to type now."""
    if request.status not in OPEN or not interactive():
        return
    if request.inquiry is not None:
        note(f"\nAnswer it: pxbox answer {request.id}")
    elif request.delivery is not None:
        note(f"\nWait for the answer: pxbox wait {request.id}")


def _timeline(where: Where, id: str, json: bool) -> int:
    entries, names = call(where, lambda px: _entries(px, id, named=not json))
    if json:
        put_json(entries)
    else:
        put_table(_TIMELINE, [_entry(one, names) for one in entries])
    return Exit.DONE


async def _entries(
    px: AsyncPxBox, id: str, *, named: bool
) -> tuple[list[wire.TimelineEntry], Names]:
    page = await px.requests.timeline(id)
    entries = page.items
    while page.next_cursor is not None:
        page = await px.requests.timeline(id, cursor=page.next_cursor)
        entries += page.items
    if not named:
        return entries, {}
    found = {word for one in entries for word in (one.actor, *_words(one))}
    return entries, await names_of(px, found)


def _entry(one: wire.TimelineEntry, names: Names) -> tuple[str, ...]:
    detail: dict[str, object] = msgspec.json.decode(one.detail)
    told = ", ".join(f"{name} {_plain(value, names)}" for name, value in detail.items())
    return (
        f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}",
        one.type.removeprefix("request."),
        names.get(one.actor or "", one.actor or ""),
        one.client or "",
        one.token_id or "",
        told,
    )


def _words(one: wire.TimelineEntry) -> list[str]:
    """What in its detail may be the id of somebody."""
    values: list[object] = list(msgspec.json.decode(one.detail).values())
    return [
        str(word) for value in values for word in (value if isinstance(value, list) else [value])
    ]


def _plain(value: object, names: Names) -> str:
    words = map(str, value) if isinstance(value, list) else [str(value)]
    return " ".join(names.get(word, word) for word in words)


async def _read(
    px: AsyncPxBox, id: str, *, named: bool
) -> tuple[wire.RequestDetail, wire.Response | None, Names]:
    request = await px.requests.get(id)
    response = await _response(px, request)
    holder = request.claim.by if request.claim is not None else None
    if named and interactive():
        await mark_opened(px, request)
    concerned = (*request.to, holder, request.closed_by) if named else ()
    return request, response, await names_of(px, concerned)


async def mark_opened(px: AsyncPxBox, request: wire.RequestDetail) -> None:
    """A person has it before the eyes: to a responder it is new no more."""
    if request.inquiry is not None and not request.inquiry.read:
        # That it cannot be marked now is no reason not to show it.
        with suppress(errors.PxBoxError):
            await px.marks.read(request.id)


async def _response(px: AsyncPxBox, request: wire.RequestDetail) -> wire.Response | None:
    if request.status is not Status.ANSWERED:
        return None
    try:
        return await px.requests.response(request.id)
    except (errors.NotFound, errors.Forbidden):
        # Co-candidates see that it was answered, and not how.
        return None


def _facts(request: wire.RequestDetail, names: Names) -> list[tuple[str, str]]:
    facts: list[tuple[str, str | None]] = [
        ("id", request.id),
        ("title", request.title),
        ("status", _status(request, names)),
        ("from", request.requestor),
        ("to", ", ".join(names.get(id, id) for id in request.to)),
        ("asked", shown(request.created_at)),
        ("deadline", shown(request.deadline_at) if request.deadline_at else None),
        ("attention", shown(request.attention_at) if request.attention_at else None),
        ("tags", ", ".join(request.tags)),
        ("reason", request.reason),
        ("reached", _reached(request)),
    ]
    return [(name, value) for name, value in facts if value]


def _reached(request: wire.RequestDetail) -> str | None:
    """Whether it has got to anybody, where that is told and matters."""
    if request.delivery is None or request.closed_at is not None:
        return None
    return {"none": "nobody yet"}.get(request.delivery.reached, request.delivery.reached)


def _status(request: wire.RequestDetail, names: Names) -> str:
    status = request.status.lower()
    if request.claim is not None:
        holder = names.get(request.claim.by, request.claim.by)
        return f"{status} by {holder} until {shown(request.claim.expires_at)}"
    if request.closed_at is not None:
        by = f"by {names[request.closed_by]} " if request.closed_by in names else ""
        return f"{status} {by}{shown(request.closed_at)}"
    return f"{status}, to be claimed first" if request.claim_required else status
