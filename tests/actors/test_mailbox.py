"""A letter has one outcome, the first."""

from __future__ import annotations

import pytest

from actors.mailbox import Letter
from tests.actors.behaviors import Refused


def test_a_reply_is_not_replaced_by_a_later_failure() -> None:
    letter = Letter("hello", told=False)
    letter.reply("first")
    letter.fail(Refused("second"))
    letter.reply("third")
    assert letter.result() == "first"


def test_a_failure_is_not_replaced_by_a_later_one() -> None:
    letter = Letter("hello", told=False)
    letter.fail(Refused("first"))
    letter.fail(LookupError("second"))
    letter.reply("third")
    with pytest.raises(Refused, match="first"):
        letter.result()


def test_nothing_is_kept_of_a_told_message() -> None:
    letter = Letter("hello", told=True)
    assert letter.open() == "hello"
    letter.fail(Refused("no"))
    assert (letter.message, letter.error) == (None, None)
