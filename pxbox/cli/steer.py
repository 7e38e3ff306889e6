"""`pxbox flows retry | cancel | signal | resume`: one flow, several, or all that a filter finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from pxbox.cli.calling import call, exit_of
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.flows import StatusName
from pxbox.cli.given import read_json
from pxbox.cli.terminal import clean, note, put_json
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox, errors
from pxbox.model.flow import OPEN_FLOW, FlowStatus
from pxbox.model.wire.flows import FlowSummary

_WHICH = Group("Which, in place of ids", sort_key=1)

Json = Annotated[Switch, Parameter(help="Print each flow as a line of JSON.")]
Data = Annotated[
    str | None, Parameter(help="What goes with it: JSON or @FILE.", metavar="JSON")
]  # fmt: skip


@Parameter(name="*", group=_WHICH)
@dataclass(frozen=True, slots=True)
class Which:
    """Flows by what they have in common."""

    kind: Annotated[str | None, Parameter(help="Those of this kind.", metavar="KIND")] = None
    status: Annotated[StatusName | None, Parameter(help="Those in this state.")] = None
    parked: Annotated[Switch, Parameter(help="Those that are parked.")] = False
    owner: Annotated[str | None, Parameter(help="Those of this entity.", metavar="ADDRESS")] = None

    @property
    def given(self) -> bool:
        return bool(self.kind or self.status or self.parked or self.owner)


ANY = Which()
Action = Callable[[AsyncPxBox, str], Awaitable[FlowSummary]]


def retry(*ids: str, which: Which = ANY, json: Json = False, where: Where = NOWHERE) -> int:
    """Run flows that are parked or failed again, each from its last checkpoint."""
    do = _Doing("retried", lambda px, flow: px.flows.retry(flow), _stopped)
    return do.to(ids, which, json, where)


def cancel(
    *ids: str,
    reason: Annotated[str | None, Parameter(help="Why.", metavar="TEXT")] = None,
    which: Which = ANY,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Cancel flows, with everything they wait for."""
    do = _Doing("cancelled", lambda px, flow: px.flows.cancel(flow, reason), _open)
    return do.to(ids, which, json, where)


def signal(
    *ids: str,
    name: Annotated[str, Parameter(help="The signal's name.", metavar="TEXT")],
    data: Data = None,
    which: Which = ANY,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Send flows a signal; one that a flow does not wait for yet is kept until it does."""
    value = None if data is None else read_json(data, "data")
    do = _Doing("signalled", lambda px, flow: px.flows.signal(flow, name, value), _open)
    return do.to(ids, which, json, where)


def resume(
    *ids: str,
    event: Annotated[str, Parameter(help="What happened.", metavar="TEXT")],
    data: Data = None,
    which: Which = ANY,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Tell flows that something happened: those that no worker runs find it as the `lastEvent` of
    their cursor, the others get it as a signal."""
    value = None if data is None else read_json(data, "data")
    do = _Doing("resumed", lambda px, flow: px.flows.resume(flow, event, value), _open)
    return do.to(ids, which, json, where)


def _open(flow: FlowSummary) -> bool:
    return flow.status in OPEN_FLOW


def _stopped(flow: FlowSummary) -> bool:
    return flow.parked is not None or flow.status is FlowStatus.FAILED


@dataclass(frozen=True, slots=True)
class _Doing:
    """`done` names what was done; `wanted` says which of the flows found it can be done to."""

    done: str
    action: Action
    wanted: Callable[[FlowSummary], bool]

    def to(self, ids: tuple[str, ...], which: Which, json: bool, where: Where) -> int:
        if bool(ids) == which.given:
            raise CommandFailed(
                "Name flows by their ids, or say which by --kind, --status, --parked or --owner.",
                Exit.WRONG_CALL,
            )
        if len(ids) == 1:
            self._say(call(where, lambda px: self.action(px, ids[0])), json)
            return Exit.DONE
        return call(where, lambda px: self._all(px, ids, which, json))

    async def _all(self, px: AsyncPxBox, ids: tuple[str, ...], which: Which, json: bool) -> int:
        """Each by itself: one that cannot be steered holds up no other. The exit code is that of
        the first that could not."""
        exit = Exit.DONE
        chosen = list(ids) or await self._found(px, which)
        for id in chosen:
            try:
                self._say(await self.action(px, id), json)
            except (errors.NotFound, errors.Conflict, errors.Forbidden) as error:
                note(f"pxbox: {id}: {clean(error.detail)}")
                exit = exit or exit_of(error)
        if not chosen:
            note("There is none.")
        return exit

    async def _found(self, px: AsyncPxBox, which: Which) -> list[str]:
        # Read to the end before anything is done: what is done changes what is found.
        status = which.status and which.status.upper()
        parked = which.parked or None
        found = px.flows.list(kind=which.kind, status=status, parked=parked, owner=which.owner)
        return [flow.id async for flow in found if self.wanted(flow)]

    def _say(self, flow: FlowSummary, json: bool) -> None:
        if json:
            put_json(flow)
        else:
            note(f"{self.done.capitalize()}: {flow.id}.")
