"""Somebody new: papers, an account, a laptop, and a talk after the first month.

pxbox worker onboarding
pxbox flows start onboarding@1 --input '{"person": "ada", "manager": "grace", "laptop": true}'
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from pxbox.flows import Context, Retry, flow

DIRECTORY: dict[str, str] = {}
"""Stands for the company's directory."""


class Newcomer(msgspec.Struct):
    """Who comes; `manager` and `it` are whom to ask."""

    person: str
    manager: str
    it: str = "it-desk"
    laptop: bool = True


class Papers(msgspec.Struct):
    full_name: str
    iban: str


class Laptop(msgspec.Struct):
    serial: str


def open_account(person: str, full_name: str, idempotency_key: str) -> str:
    """Make the account; asked again with the same key, it is the same account."""
    return DIRECTORY.setdefault(idempotency_key, f"{person}@example.org")


def close_account(account: str) -> None:
    """Undo it: whoever does not come has no account."""
    for key in [key for key, value in DIRECTORY.items() if value == account]:
        del DIRECTORY[key]


@flow("onboarding", version=1)
async def onboarding(ctx: Context, newcomer: Newcomer) -> dict[str, object]:
    ctx.status("waiting for the papers")
    papers = await ctx.ask("papers", to=newcomer.person, schema=Papers, deadline=timedelta(days=14))
    if not papers.answered:
        return {"joined": False, "why": papers.outcome}

    account = await ctx.step(
        "account", open_account, newcomer.person, papers.data.full_name, retry=Retry(attempts=5)
    )
    ctx.compensate("account", close_account, account)

    serial = None
    if newcomer.laptop:
        ctx.status("waiting for the laptop")
        laptop = await ctx.ask("laptop", to=newcomer.it, schema=Laptop)
        if not laptop.answered:
            # What was done is undone: the account is closed again.
            raise RuntimeError(f"no laptop: {laptop.outcome}")
        serial = laptop.data.serial

    ctx.status("in the first month")
    await ctx.sleep("first month", timedelta(days=30))
    talk = await ctx.ask(
        "talk", to=newcomer.manager, schema={"type": "string", "title": "How did it go?"},
        deadline=timedelta(days=7),
    )  # fmt: skip
    return {
        "joined": True, "account": account, "laptop": serial,
        "talk": talk.data if talk.answered else None,
    }  # fmt: skip
