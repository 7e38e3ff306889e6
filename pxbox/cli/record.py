"""`pxbox flows record`: a real flow's history, for `pxbox.testing.flows.replay`."""

from __future__ import annotations

import msgspec

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.flows import Id
from pxbox.cli.terminal import put_json
from pxbox.cli.where import NOWHERE, Where
from pxbox.client import AsyncPxBox
from pxbox.flows.history import Record
from pxbox.model.wire.flows import FlowHistory


def record(id: Id, /, *, where: Where = NOWHERE) -> int:
    """Print everything that is recorded of a flow, results and answers too, as JSON.

    Tests replay it against new code: pxbox.testing.flows.replay.
    """
    put_json(call(where, lambda px: _read(px, id)))
    return Exit.DONE


async def _read(px: AsyncPxBox, id: str) -> Record:
    flow = await px.flows.get(id)
    if flow.version is None:
        raise CommandFailed("No worker runs this flow: there is nothing to replay.", Exit.CONFLICT)
    history = await px.carry_out("getFlowHistory", {"id": id}, FlowHistory)
    while history.more:
        input = {"id": id, "afterStep": len(history.steps)}
        page = await px.carry_out("getFlowHistory", input, FlowHistory)
        history.steps += page.steps
        history.more = page.more
    state = (msgspec.json.decode(flow.cursor) or {}).get("state", {})
    return Record(flow.id, flow.version, flow.input, state, history.steps, history.waits)
