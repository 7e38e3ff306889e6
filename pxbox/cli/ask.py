"""`pxbox ask`: ask somebody for data."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.given import read_json
from pxbox.cli.terminal import clean, note, put, put_json
from pxbox.cli.times import read_moment
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import Answer, AsyncPxBox, RequestHandle


def ask(
    schema: str,
    /,
    *,
    to: Annotated[list[str], Parameter(metavar="WHO", negative=())],
    prefill: Annotated[str | None, Parameter(metavar="JSON", show_default=False)] = None,
    deadline: Annotated[str | None, Parameter(metavar="TIME", show_default=False)] = None,
    key: Annotated[str | None, Parameter(metavar="TEXT", show_default=False)] = None,
    claim_required: Switch = False,
    wait: Switch = False,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """Ask somebody for data, and print the id of the request; with --wait, the answer.

    Parameters
    ----------
    schema
        What the answer must be, a JSON Schema: a file, @- for standard input, or the JSON itself.
    to
        Whom to ask: a handle, group:NAME, role:NAME, an id or an alias. Several times for several:
        any one of them may answer.
    prefill
        What the form starts from: JSON, or @file.
    deadline
        When the request closes: 30m, 2h, 1d12h from now, or 2031-01-31T12:00:00Z.
    key
        Names the question for good: asking again with it finds the request that is there.
    claim_required
        Have it claimed before it can be answered.
    wait
        Wait for the answer and print it as JSON. Ctrl-C stops the waiting, not the request.
    json
        Print JSON: the request, or with --wait the whole response.
    """
    details: dict[str, Any] = {"claim_required": claim_required or None, "key": key}
    if prefill is not None:
        details["prefill"] = read_json(prefill, "prefill")
    if deadline is not None:
        details["deadline"] = read_moment(deadline, "--deadline")
    question = read_json(schema, "schema")
    if not isinstance(question, dict | bool):
        raise CommandFailed("A schema is a JSON object, or true or false.", Exit.INVALID)
    made: list[str] = []

    async def create(px: AsyncPxBox) -> RequestHandle[Any]:
        handle = await px.requests.create(question, to=to[0] if len(to) == 1 else to, **details)
        made.append(handle.id)
        return handle

    async def create_and_wait(px: AsyncPxBox) -> Answer[Any]:
        handle = await create(px)
        note(f"Asked {', '.join(map(clean, to))}: request {handle.id}. Waiting for the answer.")
        return await handle.wait()

    if not wait:
        request = call(where, create).request
        put_json(request) if json else put(request.id)
        return Exit.DONE
    try:
        answer = call(where, create_and_wait)
    except KeyboardInterrupt:
        if made:
            note(f"\nNo longer waiting. The request stays open: pxbox show {made[0]}")
        return Exit.INTERRUPTED
    put_json(answer if json else answer.data)
    return Exit.DONE
