"""The examples as stories: the flow, what it is given, and what the people in it say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from examples import agent, approval, onboarding
from pxbox.flows import FlowKind

PEOPLE = ("ada", "grace", "it-desk", "boss", "carol")
FINANCE = "finance"
"""A role, which carol has."""


@dataclass(frozen=True, slots=True)
class Says:
    """What somebody answers; None: declines. `asked` is whom the question is for."""

    asked: str
    payload: Any
    by: str | None = None

    @property
    def speaker(self) -> str:
        return self.by or self.asked


@dataclass(frozen=True, slots=True)
class Story:
    """A flow and its script: `answers` by the name of the ask. Whoever is not in it is silent."""

    kind: FlowKind
    input: Any
    answers: Mapping[str, Says] = field(default_factory=dict)


_PAPERS = {"full_name": "Ada Lovelace", "iban": "GB00"}
_NEWCOMER = onboarding.Newcomer("ada", "grace")

STORIES = {
    "onboarding": Story(
        onboarding.onboarding,
        _NEWCOMER,
        {
            "papers": Says("ada", _PAPERS),
            "laptop": Says("it-desk", {"serial": "X1"}),
            "talk": Says("grace", "well"),
        },
    ),
    "onboarding undone": Story(
        onboarding.onboarding,
        _NEWCOMER,
        {"papers": Says("ada", _PAPERS), "laptop": Says("it-desk", None)},
    ),
    "approval": Story(
        approval.approval,
        approval.Expense("ada", 120, "a chair"),
        {
            "approve": Says("boss", None),
            "role:finance": Says("role:finance", {"approve": True, "remark": "ok"}, by="carol"),
        },
    ),
    "agent": Story(
        agent.agent,
        agent.Task("clean up", "ada"),
        {"permission": Says("ada", {"allow": False, "instead": "archive old.txt"})},
    ),
}
