"""Catching up from a position: whole, or refused with the reason (E5)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.domain.resume import Refused, Replay, plan_resume


@pytest.mark.parametrize(
    ("since", "same_epoch", "floor", "head", "expected"),
    [
        (0, True, 0, 0, Replay(0, 0)),
        (0, True, 0, 7, Replay(0, 7)),
        (7, True, 0, 7, Replay(7, 7)),
        (6, True, 0, 7, Replay(6, 7)),
        (3, True, 3, 7, Replay(3, 7)),
        (2, True, 3, 7, Refused("trimmed")),
        (0, True, 7, 7, Refused("trimmed")),
        (7, True, 7, 7, Replay(7, 7)),
        (8, True, 0, 7, Refused("future")),
        (1, True, 0, 0, Refused("future")),
        (7, False, 0, 7, Refused("epoch")),
        (0, False, 0, 0, Refused("epoch")),
        (8, False, 9, 7, Refused("epoch")),
    ],
)
def test_a_position_is_replayed_from_or_refused_with_the_reason(
    since: int, same_epoch: bool, floor: int, head: int, expected: Replay | Refused
) -> None:
    assert plan_resume(since, same_epoch, floor, head) == expected


numbers = st.integers(0, 2**63 - 1) | st.integers(0, 12)


@settings(deadline=None)
@given(numbers, st.booleans(), numbers, numbers)
def test_it_is_recovered_only_if_the_log_has_everything_after_the_position(
    since: int, same_epoch: bool, one: int, other: int
) -> None:
    floor, head = sorted((one, other))
    plan = plan_resume(since, same_epoch, floor, head)
    # The log holds floor + 1 to head: nothing between the position and these may be missing, and
    # the position must be one that this log has had.
    contiguous = same_epoch and floor <= since <= head
    assert isinstance(plan, Replay) == contiguous
    if isinstance(plan, Replay):
        assert (plan.after, plan.to) == (since, head)
