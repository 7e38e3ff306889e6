"""Flows: plain async Python that waits for people, over restarts, over machines, over months.

    @flow("expense", version=1)
    async def expense(ctx: Context, claim: Claim) -> Verdict:
        receipt = await ctx.ask("receipt", to=claim.who, schema=Receipt)
        ...

The guide is docs/flows.md.
"""

from pxbox.flows.context import Context
from pxbox.flows.errors import FlowError, NotDeterministic, StepFailed
from pxbox.flows.kinds import Cursor, FlowKind, flow, migrate
from pxbox.flows.results import Asked, ChildEnded, Raced, Signalled
from pxbox.flows.retry import Retry

__all__ = [
    "Asked", "ChildEnded", "Context", "Cursor", "FlowError", "FlowKind", "NotDeterministic",
    "Raced", "Retry", "Signalled", "StepFailed", "flow", "migrate",
]  # fmt: skip
