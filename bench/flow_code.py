"""The flow that is measured: it asks, is answered, and is over."""

from __future__ import annotations

from typing import Any

from pxbox.flows import Context, flow


@flow("bench", version=1)
async def bench(ctx: Context, responder: str) -> Any:
    """Ask the entity `responder` once; the answer is the result."""
    asked = await ctx.ask("approval", to=responder, schema={"type": "object", "title": "Approve?"})
    return asked.data
