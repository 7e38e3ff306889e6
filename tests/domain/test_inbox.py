"""What a responder may make of an inquiry."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.inbox import Touch, snoozed, touched
from pxbox.model.mark import Mark

NEW = Mark("r", "ada")
LATER = datetime(2030, 1, 1, tzinfo=UTC)
READ, DELETED = Mark("r", "ada", 1, read=True), Mark("r", "ada", 1, deleted=True)


@pytest.mark.parametrize(
    ("before", "touch", "after"),
    [
        (NEW, Touch.MARK_READ, READ),
        (NEW, Touch.MARK_UNREAD, None),
        (NEW, Touch.DELETE, DELETED),
        (NEW, Touch.RESTORE, None),
        (READ, Touch.MARK_READ, None),
        (READ, Touch.MARK_UNREAD, Mark("r", "ada", 2)),
        (READ, Touch.DELETE, Mark("r", "ada", 2, read=True, deleted=True)),
        (DELETED, Touch.DELETE, None),
        (DELETED, Touch.RESTORE, Mark("r", "ada", 2)),
    ],
)
def test_each_touch_changes_its_own_and_nothing_where_its_goal_holds(
    before: Mark, touch: Touch, after: Mark | None
) -> None:
    assert touched(before, touch) == after


def test_snoozing_and_waking_are_new_versions() -> None:
    asleep = snoozed(READ, LATER)
    assert asleep == Mark("r", "ada", 2, read=True, snoozed_until=LATER)
    assert snoozed(asleep, None) == Mark("r", "ada", 3, read=True)


@given(st.lists(st.sampled_from(Touch)))
def test_the_last_touch_of_a_kind_counts_and_each_change_is_one_version(
    touches: list[Touch],
) -> None:
    mark, changes = NEW, 0
    for touch in touches:
        after = touched(mark, touch)
        if after is not None:
            mark, changes = after, changes + 1
            assert touched(mark, touch) is None
    reading = [t for t in touches if t in (Touch.MARK_READ, Touch.MARK_UNREAD)]
    lying = [t for t in touches if t in (Touch.DELETE, Touch.RESTORE)]
    assert mark.read is (reading[-1:] == [Touch.MARK_READ])
    assert mark.deleted is (lying[-1:] == [Touch.DELETE])
    assert mark.version == changes
