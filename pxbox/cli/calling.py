"""Carrying out a call to a broker, and what its errors mean to a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

from pxbox.cli.exits import CommandFailed, Exit, problem_of
from pxbox.cli.names import Names, names_of
from pxbox.cli.terminal import clean
from pxbox.cli.where import Where, find
from pxbox.client import AsyncPxBox, errors

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
"""How long a person waits for a broker that is not there; long enough for one that restarts."""
MOST_SHOWN = 10

_EXITS: tuple[tuple[type[errors.PxBoxError], Exit], ...] = (
    (errors.AuthError, Exit.AUTH),
    (errors.Forbidden, Exit.AUTH),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Expired, Exit.TOO_LATE),
    (errors.Conflict, Exit.CONFLICT),
    (errors.ValidationFailed, Exit.INVALID),
    (errors.Overloaded, Exit.UNREACHABLE),
    (errors.Unreachable, Exit.UNREACHABLE),
)
_NO_ENTITY = "this token acts as no entity"
_OPTIONS = {
    "deadlineAt": "--deadline", "attentionAt": "--attention", "defaultAnswer": "--default",
    "escalate": "--escalate", "remindAt": "--until", "subjectKey": "--subject",
}  # fmt: skip
_BY_CODE = {
    "unknown_addressee": Exit.NOT_FOUND,
    "invalid_request": Exit.WRONG_CALL,
    "invalid_cursor": Exit.WRONG_CALL,
}


def call(
    where: Where,
    action: Callable[[AsyncPxBox], Awaitable[T]],
    patience: float = PATIENCE_SECONDS,
) -> T:
    """What the action returns, with a client that is open meanwhile. Raises CommandFailed for every
    error of the client's."""
    try:
        return attempt(where, action, patience)
    except errors.ValidationFailed as error:
        raise failure(error, where) from None


def attempt(
    where: Where,
    action: Callable[[AsyncPxBox], Awaitable[T]],
    patience: float = PATIENCE_SECONDS,
) -> T:
    """The same, but for ValidationFailed of an answer: its caller may mend that."""
    url, token = find(where)
    names: Names = {}

    async def run() -> T:
        async with AsyncPxBox(url, token, patience=patience) as px:
            try:
                return await action(px)
            except errors.Conflict as error:
                names.update(await names_of(px, [error.problem.get("holder")]))
                raise

    try:
        # A loop of asyncio's own, whatever policy a library has set.
        return anyio.run(run, backend_options={"loop_factory": asyncio.SelectorEventLoop})
    except errors.PxBoxError as error:
        if error.code == "invalid_answer":
            raise
        raise failure(error, where, names) from None


def failure(error: errors.PxBoxError, where: Where, names: Names | None = None) -> CommandFailed:
    """The error as a command reports it: one line, what to do, and where something is wrong."""
    exit = exit_of(error)
    problem = error.problem or {**problem_of(error.detail, exit), **_known(error)}
    return CommandFailed(_message(error, where, names or {}), exit, problem)


def _known(error: errors.PxBoxError) -> dict[str, Any]:
    """What the client knows of an error that comes without a problem document."""
    if not error.code:
        return {}
    return {"type": f"urn:pxbox:problem:{error.code}", "code": error.code}


def exit_of(error: errors.PxBoxError) -> Exit:
    if error.problem.get("requestStatus") == "EXPIRED":
        return Exit.TOO_LATE
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    return next((exit for kind, exit in _EXITS if isinstance(error, kind)), Exit.PROBLEM)


def _message(error: errors.PxBoxError, where: Where, names: Names) -> str:
    if isinstance(error, errors.Unreachable):
        what = f"No broker answers at {find(where)[0]}."
        return f"{what} `pxbox serve` starts one; --url or PXBOX_URL names another."
    if error.detail.startswith(_NO_ENTITY) and not where.token:
        return _nobody(where.acting_as)
    if isinstance(error, errors.Conflict) and (status := error.problem.get("requestStatus")):
        lines = [f"The request is {clean(str(status)).lower()} already."]
    else:
        detail = in_options(clean(error.detail))
        said = detail[:1].upper() + detail[1:].rstrip(".")
        lines = [f"{said}. {_advice(error, names)}".strip()]
    if isinstance(error, errors.ValidationFailed):
        found = error.errors
        for each in found[:MOST_SHOWN]:
            lines.append(f"  {clean(each.pointer) or '(whole)'}: {clean(each.message)}")
        if len(found) > MOST_SHOWN:
            lines.append(f"  and {len(found) - MOST_SHOWN} more")
    return "\n".join(lines)


def _nobody(acting_as: str | None) -> str:
    """What to do where the command's own token names nobody that is there."""
    if acting_as is None:
        return "Say whom you act as: --as NAME, or PXBOX_AS=NAME for all that follows."
    name = clean(acting_as)
    return f"Nobody here is called {name!r}. `pxbox entities create user {name}` makes one."


def _advice(error: errors.PxBoxError, names: Names) -> str:
    match error.code:
        case "claimed_by_other" if (holder := str(error.problem.get("holder"))) in names:
            return f"It is {names[holder]} who holds it."
        case "claim_required":
            return "`pxbox claim ID` does."
        case "unauthenticated" | "token_expired":
            return "Set PXBOX_TOKEN to a token of this broker; `pxbox token create` makes one."
        case "unknown_addressee":
            return _no_addressee(clean(str(error.problem.get("address", ""))))
    return ""


def _no_addressee(address: str) -> str:
    if "," in address:
        return "Several are given one by one."
    if ":" in address or not address:
        return "`pxbox entities create` makes somebody who can be asked."
    made = f"`pxbox entities create user {address}` makes somebody called so."
    return f"{made} A group is group:{address}, a role role:{address}."


def in_options(detail: str) -> str:
    """What the contract calls by its members, by the options of commands."""
    for member, option in _OPTIONS.items():
        detail = detail.replace(f"`{member}`", option)
    return detail
