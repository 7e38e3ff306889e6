"""`pxbox show`: one request."""

from __future__ import annotations

import msgspec

from pxbox.cli.calling import call
from pxbox.cli.exits import Exit
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import View, words_for
from pxbox.cli.terminal import put, put_json, put_pairs, put_table
from pxbox.cli.times import shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox, errors
from pxbox.model import wire
from pxbox.model.decoding import decode_json
from pxbox.model.request import Status

_MOST_OPTIONS = 8
_TIMELINE = ("AT", "WHAT", "BY", "CLIENT", "TOKEN", "DETAIL")


def show(
    id: str,
    /,
    *,
    timeline: Switch = False,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """Show a request: what it asks for, how it stands, and its answer if you may read that.

    Parameters
    ----------
    id
        The request's id.
    timeline
        Show who did what to it, and when, instead.
    json
        Print it as JSON, as getRequest gives it, with `response` beside it.
    """
    if timeline:
        return _timeline(where, id, json)
    request, response = call(where, lambda px: _read(px, id))
    if json:
        put_json({**msgspec.json.decode(msgspec.json.encode(request)), "response": response})
        return Exit.DONE
    put_pairs(_facts(request))
    put("\nasks for")
    put_pairs(_outline(request), indent="  ")
    if response is not None:
        put("\nanswer")
        put(msgspec.json.format(bytes(response.payload), indent=2).decode())
    return Exit.DONE


def _timeline(where: Where, id: str, json: bool) -> int:
    entries = call(where, lambda px: _entries(px, id))
    if json:
        put_json(entries)
    else:
        put_table(_TIMELINE, [_entry(one) for one in entries])
    return Exit.DONE


async def _entries(px: AsyncPxBox, id: str) -> list[wire.TimelineEntry]:
    page = await px.requests.timeline(id)
    entries = page.items
    while page.next_cursor is not None:
        page = await px.requests.timeline(id, cursor=page.next_cursor)
        entries += page.items
    return entries


def _entry(one: wire.TimelineEntry) -> tuple[str, ...]:
    detail: dict[str, object] = msgspec.json.decode(one.detail)
    told = ", ".join(f"{name} {_plain(value)}" for name, value in detail.items())
    return (
        f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}",
        one.type.removeprefix("request."),
        one.actor or "",
        one.client or "",
        one.token_id or "",
        told,
    )


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


async def _read(px: AsyncPxBox, id: str) -> tuple[wire.RequestDetail, wire.Response | None]:
    request = await px.requests.get(id)
    if request.status is not Status.ANSWERED:
        return request, None
    try:
        return request, await px.requests.response(id)
    except (errors.NotFound, errors.Forbidden):
        # Co-candidates see that it was answered, and not how.
        return request, None


def _facts(request: wire.RequestDetail) -> list[tuple[str, str]]:
    facts: list[tuple[str, str | None]] = [
        ("id", request.id),
        ("title", request.title),
        ("status", _status(request)),
        ("from", request.requestor),
        ("asked", shown(request.created_at)),
        ("deadline", shown(request.deadline_at) if request.deadline_at else None),
        ("reason", request.reason),
        ("why", request.why),
        ("reached", _reached(request)),
    ]
    return [(name, value) for name, value in facts if value]


def _reached(request: wire.RequestDetail) -> str | None:
    """Whether it has got to anybody, where that is told and matters."""
    if request.delivery is None or request.closed_at is not None:
        return None
    return {"none": "nobody yet"}.get(request.delivery.reached, request.delivery.reached)


def _status(request: wire.RequestDetail) -> str:
    status = request.status.lower()
    if request.claim is not None:
        return f"{status} by {request.claim.by} until {shown(request.claim.expires_at)}"
    if request.closed_at is not None:
        return f"{status} {shown(request.closed_at)}"
    return f"{status}, to be claimed first" if request.claim_required else status


def _outline(request: wire.RequestDetail) -> list[tuple[str, str]]:
    """What the answer consists of, at its first level."""
    sheet = Sheet(decode_json(bytes(request.schema_payload)))
    view = sheet.view(sheet.schema)
    found = []
    for name, schemas in view.properties.items():
        needed = ", required" if name in view.required else ""
        found.append((name, _kind(sheet.view(*schemas)) + needed))
    return found or [(_kind(view), "")]


def _kind(view: View) -> str:
    if view.options is not None:
        labels = [option.label for option in view.options[:_MOST_OPTIONS]]
        more = ", ..." if len(view.options) > _MOST_OPTIONS else ""
        return f"{'one of ' if len(labels) > 1 else ''}{', '.join(labels)}{more}"
    kinds = " or ".join(words_for(kind) for kind in sorted(view.kinds()))
    return kinds or ("one of several forms" if view.alternatives else "anything")
