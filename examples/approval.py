"""An expense that needs approval: the boss first, everybody in charge later, and money at the end.

pxbox worker approval
pxbox flows start approval@1 --input '{"who": "ada", "amount": 120, "what": "a chair"}'
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from pxbox.flows import Context, Raced, Retry, flow

PAID: list[tuple[str, int, str]] = []
"""Stands for the bank."""
SMALL = 50


class Expense(msgspec.Struct):
    who: str
    amount: int
    what: str
    boss: str = "boss"
    finance: str = "role:finance"


class Decision(msgspec.Struct):
    approve: bool
    remark: str = ""


class Verdict(msgspec.Struct):
    paid: bool
    by: str
    remark: str = ""


def pay(who: str, amount: int, idempotency_key: str) -> str:
    """Pay once: the bank knows the key."""
    if (who, amount, idempotency_key) not in PAID:
        PAID.append((who, amount, idempotency_key))
    return idempotency_key


@flow("approval", version=1, retry=Retry(attempts=3))
async def approval(ctx: Context, expense: Expense) -> Verdict:
    if expense.amount <= SMALL:
        await ctx.step("pay", pay, expense.who, expense.amount)
        return Verdict(True, "rule")

    ctx.status(f"waiting for {expense.boss}")
    first = await ctx.ask(
        "approve", to=expense.boss, schema=Decision, prefill={"approve": False},
        deadline=timedelta(days=2),
    )  # fmt: skip
    by = expense.boss
    if first.answered:
        decision = first.data
    else:
        # The boss is away, or wants no part in it: whoever is in charge, the first to answer.
        ctx.status("escalated")
        raced = await _escalate(ctx, expense)
        if raced.won == "too late" or not raced.result.answered:
            return Verdict(False, "nobody", "nobody answered")
        by, decision = raced.won, raced.result.data

    if not decision.approve:
        return Verdict(False, by, decision.remark)
    await ctx.step("pay", pay, expense.who, expense.amount, retry=Retry(attempts=10))
    ctx.status("paid")
    return Verdict(True, by, decision.remark)


async def _escalate(ctx: Context, expense: Expense) -> Raced:
    return await ctx.race({
        expense.finance: ctx.asking(to=expense.finance, schema=Decision),
        expense.boss: ctx.asking(to=expense.boss, schema=Decision),
        "too late": ctx.sleeping(timedelta(days=5)),
    })  # fmt: skip
