"""An agent that works by itself, and asks a person before it does what cannot be undone.

`plan_next` stands for a call of a language model: it is given what has happened, and says what to
do next. Each call is a step, so that a restart neither pays for it again nor gets another answer.

    cd examples && pxbox worker agent
    pxbox flows start agent@1 --input '{"goal": "clean up", "person": "ada"}'
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from pxbox.flows import Context, Retry, flow

DONE: list[str] = []
"""Stands for the world that the agent acts on."""
MOST_TURNS = 20


class Task(msgspec.Struct):
    goal: str
    person: str


class Permission(msgspec.Struct):
    allow: bool
    instead: str = ""


async def plan_next(goal: str, history: list[str]) -> dict[str, Any]:
    """What the model wants to do now."""
    told = [line.removeprefix("told: ") for line in history if line.startswith("told: ")]
    for action in told:
        if f"did: {action}" not in history:
            return {"action": action, "risky": False}
    for action in ("list files", "delete old.txt"):
        if not {f"did: {action}", f"refused: {action}"} & set(history):
            return {"action": action, "risky": action.startswith("delete")}
    return {"action": "done", "risky": False}


async def act(action: str, idempotency_key: str) -> str:
    """Do it."""
    DONE.append(action)
    return f"did: {action}"


@flow("agent", version=1)
async def agent(ctx: Context, task: Task) -> list[str]:
    history: list[str] = []
    for _ in range(MOST_TURNS):
        ctx.status(history[-1] if history else "thinking")
        plan = await ctx.step("think", plan_next, task.goal, history, retry=Retry(attempts=5))
        if plan["action"] == "done":
            break
        if plan["risky"]:
            asked = await ctx.ask(
                "permission", to=task.person, schema=Permission, meta={"action": plan["action"]},
                deadline=timedelta(hours=8),
            )  # fmt: skip
            if not asked.answered or not asked.data.allow:
                history.append(f"refused: {plan['action']}")
                if asked.answered and asked.data.instead:
                    history.append(f"told: {asked.data.instead}")
                continue
        history.append(await ctx.step("act", act, plan["action"]))
    return history
