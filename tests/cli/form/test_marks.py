"""What is known of an answer, as more of it comes to be known."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.cli.form.marks import Known


@pytest.mark.parametrize(
    ("known", "pointer", "then"),
    [
        ({}, "/a", {"a": 1}),
        ([], "/0", [1]),
        ([5, 6], "/1", [5, 1]),
        ([], "/0/b", [{"b": 1}]),
        ([], "/b", {"b": 1}),
        ({"a": []}, "/a/b/c", {"a": {"b": {"c": 1}}}),
        ({"a": 5}, "/a/b", {"a": {"b": 1}}),
    ],
)
def test_what_comes_to_be_known_is_known_there(known: Any, pointer: str, then: Any) -> None:
    """Also where what was known is of another shape."""
    assert Known(known).with_value(pointer, 1).value == then
