"""What is done to a request but answering it: `pxbox claim`, `release`, `decline`, `cancel`,
`reassign`, `delegate`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.rows import Id
from pxbox.cli.terminal import clean, note, put_json
from pxbox.cli.times import shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox
from pxbox.model import wire

Json = Annotated[Switch, Parameter(help="Print the request as JSON.")]
Reason = Annotated[str | None, Parameter(help="Why.", metavar="TEXT", show_default=False)]


def claim(id: Id, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Take a request: until the claim lapses, nobody else may answer it. Again to renew it."""
    request = _act(where, json, lambda px: px.requests.claim(id))
    if request.claim is not None:
        until = shown(request.claim.expires_at)
        note(f"{_title(request)} is yours until {until}. Answer it: pxbox answer {request.id}")
    return Exit.DONE


def release(id: Id, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Give a claim back, so that others may answer."""
    request = _act(where, json, lambda px: px.requests.release(id))
    note(f"{_title(request)} is released: others may answer it.")
    return Exit.DONE


def decline(id: Id, /, *, reason: Reason = None, json: Json = False, where: Where = NOWHERE) -> int:
    """Say that no answer will come from you."""
    request = _act(where, json, lambda px: px.requests.decline(id, reason))
    others = "" if request.closed_at is not None else " Others are still asked."
    note(f"You have declined {_title(request)}.{others}")
    return Exit.DONE


def cancel(id: Id, /, *, reason: Reason = None, json: Json = False, where: Where = NOWHERE) -> int:
    """Withdraw a request that you have made."""
    request = _act(where, json, lambda px: px.requests.cancel(id, reason))
    note(f"{_title(request)} is cancelled.")
    return Exit.DONE


def reassign(
    id: Id,
    /,
    *to: Annotated[str, Parameter(help="Whom to ask, by any address.", metavar="WHO...")],
    reason: Reason = None,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Have others asked instead; for who holds the claim, or has scope override."""
    if not to:
        raise CommandFailed(
            f"Say whom to ask instead: pxbox reassign {id} ben group:ops.", Exit.WRONG_CALL
        )
    request = _act(where, json, lambda px: px.requests.reassign(id, to, reason))
    note(f"{_title(request)} is now for {', '.join(map(clean, to))}.")
    return Exit.DONE


def delegate(
    id: Id,
    to: Annotated[str, Parameter(help="A user or bot, by any address.", metavar="WHO")],
    /,
    *,
    reason: Reason = None,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Have another hold your claim; with scope override, anybody's."""
    request = _act(where, json, lambda px: px.requests.delegate(id, to, reason))
    if request.claim is not None:
        note(f"{_title(request)} is {clean(to)}'s until {shown(request.claim.expires_at)}.")
    return Exit.DONE


def _title(request: wire.RequestSummary) -> str:
    """What it was done to: a row's number may have been mistyped."""
    return f"{clean(request.title)!r}" if request.title else request.id


def _act(
    where: Where, json: bool, action: Callable[[AsyncPxBox], Awaitable[wire.RequestSummary]]
) -> wire.RequestSummary:
    request = call(where, action)
    if json:
        put_json(request)
    return request
