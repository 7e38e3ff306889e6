"""The examples, in months of virtual time, and with a crash after each of their checkpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from examples import agent, approval, onboarding
from pxbox.testing.flows import Decline, Silence, crash_everywhere, run_flow

PAPERS = {"full_name": "Ada Lovelace", "iban": "GB00"}
NEW = onboarding.Newcomer("ada", "grace")


def test_somebody_new_has_an_account_and_a_laptop_and_is_talked_to_after_a_month() -> None:
    answers = {"papers": PAPERS, "laptop": {"serial": "X1"}, "talk": "well"}
    ended = run_flow(onboarding.onboarding, NEW, answers=answers)
    assert ended.result == {
        "joined": True, "account": "ada@example.org", "laptop": "X1", "talk": "well",
    }  # fmt: skip
    assert ended.lasted == timedelta(days=30)
    assert [question.request["to"] for question in ended.questions] == ["ada", "it-desk", "grace"]
    assert crash_everywhere(onboarding.onboarding, NEW, answers=answers) >= 5


def test_without_a_laptop_the_account_is_closed_again() -> None:
    onboarding.DIRECTORY.clear()
    answers = {"papers": PAPERS, "laptop": Decline("none left")}
    ended = run_flow(onboarding.onboarding, NEW, answers=answers)
    assert ended.status == "FAILED"
    assert "no laptop: declined" in str(ended.error)
    assert onboarding.DIRECTORY == {}
    crash_everywhere(onboarding.onboarding, NEW, answers=answers)
    assert onboarding.DIRECTORY == {}


def test_whoever_sends_no_papers_has_not_joined() -> None:
    ended = run_flow(onboarding.onboarding, NEW)
    assert ended.result == {"joined": False, "why": "expired"}
    assert ended.lasted == timedelta(days=14)


CHAIR = approval.Expense("ada", 120, "a chair")


@pytest.mark.parametrize(
    ("expense", "answers", "paid", "by"),
    [
        (approval.Expense("ada", 20, "tea"), {}, True, "rule"),
        (CHAIR, {"approve": {"approve": True}}, True, "boss"),
        (CHAIR, {"approve": {"approve": False, "remark": "no"}}, False, "boss"),
        (CHAIR, {"role:finance": {"approve": True}}, True, "role:finance"),
        (CHAIR, {"approve": Decline(), "boss": {"approve": True}}, True, "boss"),
        (CHAIR, {"role:finance": Decline(), "boss": Decline()}, False, "nobody"),
        (CHAIR, {}, False, "nobody"),
    ],
)
def test_an_expense_is_paid_once_or_not_at_all(
    expense: approval.Expense, answers: dict[str, Any], paid: bool, by: str
) -> None:
    approval.PAID.clear()
    ended = run_flow(approval.approval, expense, answers=answers)
    assert (ended.result["paid"], ended.result["by"]) == (paid, by)
    assert len(approval.PAID) == paid
    crash_everywhere(approval.approval, expense, effects=approval.PAID, answers=answers)


def test_what_nobody_answers_is_escalated_after_two_days() -> None:
    ended = run_flow(approval.approval, CHAIR, answers={"role:finance": {"approve": True}})
    assert ended.lasted == timedelta(days=2)
    assert ended.text == "paid"


TASK = agent.Task("clean up", "ada")


@pytest.mark.parametrize(
    ("answer", "done"),
    [
        ({"allow": True}, ["list files", "delete old.txt"]),
        ({"allow": False}, ["list files"]),
        ({"allow": False, "instead": "archive old.txt"}, ["list files", "archive old.txt"]),
        (Silence(), ["list files"]),
    ],
)
def test_an_agent_does_what_is_risky_only_if_it_may(answer: Any, done: list[str]) -> None:
    agent.DONE.clear()
    ended = run_flow(agent.agent, TASK, answers={"permission": answer})
    assert ended.status == "COMPLETED"
    assert done == agent.DONE
    assert [question.request["meta"] for question in ended.questions] == [
        {"action": "delete old.txt"}
    ]
    crash_everywhere(agent.agent, TASK, effects=agent.DONE, answers={"permission": answer})
