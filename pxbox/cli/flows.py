"""`pxbox flows`: started, listed, shown, followed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import anyio
import msgspec
from cyclopts import Parameter

from pxbox.cli import timeline
from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.given import read_json
from pxbox.cli.names import Names, names_of
from pxbox.cli.terminal import clean, clean_lines, note, put, put_json, put_pairs, put_table
from pxbox.cli.times import distance, shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox
from pxbox.model.flow import OPEN_FLOW, FlowStatus
from pxbox.model.wire.flows import FlowDetail, FlowSummary, TimelineItem

_COLUMNS = ("ID", "KIND", "STATUS", "SAYS", "STEPS", "STARTED", "CHANGED")
_LOOK_SECONDS = 1.0
# Two things that happen at once may be told in either order.
_OVERLAP = 100

StatusName = Literal[
    "running", "waiting_input", "suspended", "completed", "cancelled", "failed"
]  # fmt: skip
Id = Annotated[str, Parameter(help="The flow's id.")]


def start(
    kind: Annotated[str, Parameter(metavar="KIND@VERSION")],
    /,
    *,
    input: Annotated[str | None, Parameter(metavar="JSON", show_default=False)] = None,
    cursor: Annotated[str | None, Parameter(metavar="JSON", show_default=False)] = None,
    owner: Annotated[str | None, Parameter(metavar="ADDRESS", show_default=False)] = None,
    key: Annotated[str | None, Parameter(metavar="TEXT", show_default=False)] = None,
    wait: Switch = False,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """Start a flow and print its id; with --wait, wait for its end and print its result.

    Parameters
    ----------
    kind
        What to run, such as expense@2; without a version, a flow that no worker runs.
    input
        What its code is given: JSON, @FILE, or @- for standard input.
    cursor
        The state of a flow that no worker runs, given in the same way.
    owner
        The entity that it belongs to; by default your own.
    key
        Start it once only with this key, however often this is called.
    wait
        Wait for its end, and print what it returned.
    json
        Print the flow as JSON, as getFlow gives it.
    """
    name, version = _named(kind)
    if version is None and input is not None:
        raise CommandFailed(
            f"Say which version of its code is to run, such as {name}@1; a flow that no worker "
            "runs takes a --cursor.",
            Exit.WRONG_CALL,
        )
    if version is not None and cursor is not None:
        raise CommandFailed("A flow with a version takes --input.", Exit.WRONG_CALL)
    given = read_json(input, "input") if input is not None else None
    state = read_json(cursor, "cursor") if cursor is not None else None

    async def go(px: AsyncPxBox) -> tuple[str, FlowDetail | None]:
        if version is None:
            handle = await px.flows.start_external(name, state, owner=owner, key=key)
        else:
            handle = await px.flows.start((name, version), given, owner=owner, key=key)
        if not wait:
            return handle.id, await handle.get() if json else None
        note(f"Started {handle.id}. Waiting for its end; Ctrl-C leaves it running.")
        ended = await handle.wait()
        if ended.status is not FlowStatus.COMPLETED:
            raise CommandFailed(_ended_badly(ended))
        return handle.id, ended

    id, flow = call(where, go)
    if json:
        put_json(flow)
    elif flow is not None:
        put_json(msgspec.json.decode(flow.result))
    else:
        put(id)
    return Exit.DONE


def list_flows(
    *,
    kind: Annotated[str | None, Parameter(metavar="KIND", show_default=False)] = None,
    status: Annotated[StatusName | None, Parameter(show_default=False)] = None,
    parked: Switch = False,
    owner: Annotated[str | None, Parameter(metavar="ADDRESS", show_default=False)] = None,
    limit: Annotated[int, Parameter(metavar="N")] = 50,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """List the flows that you may see, the newest first.

    Parameters
    ----------
    kind
        Only those of this kind.
    status
        Only those in this state.
    parked
        Only those that are parked.
    owner
        Only those of this entity.
    limit
        At most so many.
    json
        Print them as JSON.
    """
    if limit < 1:
        raise CommandFailed("--limit must be at least 1.", Exit.WRONG_CALL)

    async def read(px: AsyncPxBox) -> tuple[list[FlowSummary], bool]:
        found: list[FlowSummary] = []
        cursor: str | None = None
        while True:
            page = await px.flows.page(
                kind=kind, status=status and status.upper(), parked=parked or None, owner=owner,
                limit=min(limit - len(found), 200), cursor=cursor,
            )  # fmt: skip
            found += page.items
            cursor = page.next_cursor
            if cursor is None or len(found) >= limit:
                return found, cursor is not None

    found, more = call(where, read)
    if json:
        put_json(found)
        return Exit.DONE
    if found:
        put_table(_COLUMNS, [_row(flow) for flow in found])
    else:
        note("There is none.")
    if more:
        note(f"{len(found)} are shown; --limit shows more.")
    return Exit.DONE


def show(id: Id, /, *, json: Switch = False, where: Where = NOWHERE) -> int:
    """Show a flow: how it stands, and every step, wait and answer with its time and who gave it.

    Parameters
    ----------
    id
        The flow's id.
    json
        Print it as JSON, as getFlow gives it, with `timeline` beside it.
    """

    async def read(
        px: AsyncPxBox,
    ) -> tuple[FlowDetail, Sequence[TimelineItem], Names]:
        flow = await px.flows.get(id)
        items = await px.flows.timeline(id)
        return flow, items, {} if json else await names_of(px, [item.by for item in items])

    flow, items, names = call(where, read)
    if json:
        put_json({**msgspec.json.decode(msgspec.json.encode(flow)), "timeline": items})
        return Exit.DONE
    put_pairs(_facts(flow))
    put("")
    put_table(timeline.COLUMNS, timeline.rows(flow, items, names))
    if flow.error is not None and "\n" in flow.error:
        put(f"\nerror\n{clean_lines(flow.error)}")
    if flow.status is FlowStatus.COMPLETED:
        put("\nresult")
        put(msgspec.json.format(bytes(flow.result), indent=2).decode())
    return Exit.DONE


def tail(id: Id, /, *, json: Switch = False, where: Where = NOWHERE) -> int:
    """Print what happened to a flow, and what happens as it happens, until its end or Ctrl-C.

    Parameters
    ----------
    id
        The flow's id.
    json
        Print each as a line of JSON.
    """

    async def follow(px: AsyncPxBox) -> FlowDetail:
        flow = await px.flows.get(id)
        told: set[tuple[object, ...]] = set()
        _say_first(flow, json)
        while True:
            flow = await px.flows.get(id)
            items = await px.flows.timeline(id, after=max(0, len(told) - _OVERLAP))
            fresh = [item for item in items if (item.at, item.what, item.key) not in told]
            told |= {(item.at, item.what, item.key) for item in fresh}
            names = {} if json else await names_of(px, [item.by for item in fresh])
            for item in fresh:
                put_json(item) if json else put(_line(timeline.row(flow, item, names)))
            if flow.status not in OPEN_FLOW:
                return flow
            await anyio.sleep(_LOOK_SECONDS)

    try:
        flow = call(where, follow)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    note(f"The flow is {flow.status.lower()}.")
    return Exit.DONE


def _say_first(flow: FlowDetail, json: bool) -> None:
    if not json:
        put(_line(timeline.begun(flow)))


def _line(row: timeline.Row) -> str:
    at, after, what, name, by = map(clean, row)
    return f"{at}  {after:>14}  {what:20}  {name}{f'  by {by}' if by else ''}".rstrip()


def _named(kind: str) -> tuple[str, int | None]:
    name, at, version = kind.partition("@")
    if not at:
        return name, None
    if re.fullmatch(r"[0-9]{1,7}", version) is None:
        raise CommandFailed(f"{kind[:80]!r} is not KIND@VERSION, as in expense@2.", Exit.WRONG_CALL)
    return name, int(version)


def _row(flow: FlowSummary) -> tuple[str, ...]:
    return (
        flow.id, _kind(flow), _status(flow), flow.text or "", str(flow.steps),
        distance(flow.created_at), distance(flow.updated_at),
    )  # fmt: skip


def _kind(flow: FlowSummary) -> str:
    return flow.kind if flow.version is None else f"{flow.kind}@{flow.version}"


def _status(flow: FlowSummary) -> str:
    if flow.parked is not None:
        return f"parked: {flow.parked.code}"
    return flow.status.lower().replace("_", " ")


def _facts(flow: FlowDetail) -> list[tuple[str, str]]:
    waiting = ", ".join(wait.key for wait in flow.waiting)
    facts: list[tuple[str, str | None]] = [
        ("id", flow.id),
        ("kind", _kind(flow)),
        ("status", _status(flow)),
        ("says", flow.text),
        ("waits for", waiting or None),
        ("parked", flow.parked.reason if flow.parked else None),
        ("error", flow.error and flow.error.partition("\n")[0]),
        ("started", shown(flow.created_at)),
        ("ended", shown(flow.closed_at) if flow.closed_at else None),
    ]
    return [(name, value) for name, value in facts if value]


def _ended_badly(flow: FlowDetail) -> str:
    why = f": {clean(flow.error)}" if flow.error else ""
    return f"The flow {flow.id} is {flow.status.lower()}{why}"
