"""What a log says of a fault: what happened and where, not what was sent (X5)."""

from __future__ import annotations

import json
from collections.abc import Callable

import asyncpg
import msgspec
import pytest

from pxbox.model.errors import OutcomeUnknown
from pxbox.observe import configure_log, said

SECRET = "what-was-sent"


def from_a_driver() -> None:
    raise asyncpg.InvalidTextRepresentationError(f'invalid input: "{SECRET}"')


def from_a_library() -> None:
    msgspec.json.decode(json.dumps(SECRET).encode(), type=dict[str, int])
    raise AssertionError


def from_python() -> None:
    int(SECRET)


def beneath_another() -> None:
    try:
        from_a_driver()
    except asyncpg.PostgresError as error:
        raise OutcomeUnknown("repeat it") from error


def in_a_group() -> None:
    raise BaseExceptionGroup(SECRET, [ValueError(SECRET), KeyError(SECRET)])


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        (from_a_driver, ["InvalidTextRepresentationError: SQLSTATE 22P02"]),
        (from_a_library, ["ValidationError"]),
        (from_python, ["ValueError"]),
        (beneath_another, ["SQLSTATE 22P02", "which led to", "OutcomeUnknown: repeat it"]),
        (in_a_group, ["ExceptionGroup", "  | ValueError", "  | KeyError"]),
    ],
)
def test_a_logged_fault_quotes_nothing_that_was_sent(
    fail: Callable[[], None], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    log = configure_log("info", "json")
    with pytest.raises(BaseException) as caught:
        fail()
    log.error("fault", operation="createRequest", exc_info=caught.value)
    logged = json.loads(capsys.readouterr().err)["exception"]
    assert SECRET not in logged
    assert "Traceback" in logged
    assert f"in {fail.__name__}" in logged
    for words in told:
        assert words in logged


def test_the_words_of_the_broker_and_of_the_system_are_kept() -> None:
    assert said(OutcomeUnknown("repeat it")) == "OutcomeUnknown: repeat it"
    assert said(FileNotFoundError(2, "No such file")) == "FileNotFoundError: [Errno 2] No such file"
