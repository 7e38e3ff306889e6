"""Times, tables and exit codes, as a command reads and writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest

import schemas
from pxbox.cli.calling import exit_of
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.terminal import clean, put_json, put_table
from pxbox.cli.times import brief, distance, read_moment
from pxbox.client import errors

NOW = datetime(2031, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", timedelta(seconds=90)),
        ("2h", timedelta(hours=2)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("2w", timedelta(weeks=2)),
        ("2031-01-31T12:00:00Z", NOW),
        ("2031-01-31T14:00+02:00", NOW),
        ("2031-01-31T12:00", datetime(2031, 1, 31, 12).astimezone()),
        ("2031-01-31 12:00:30", datetime(2031, 1, 31, 12, 0, 30).astimezone()),
    ],
)
def test_a_time_is_from_now_or_a_moment(text: str, moment: timedelta | datetime) -> None:
    assert read_moment(text, "--deadline") == moment


@pytest.mark.parametrize(
    "text",
    ["", "2", "h", "0s", "2 h", "-2h", "1.5h", "522w", "2031-01-31", "20310131", "25:00", "1:30"],
)
def test_a_time_that_cannot_be_is_a_wrong_call(text: str) -> None:
    with pytest.raises(CommandFailed, match="--deadline") as refused:
        read_moment(text, "--deadline")
    assert refused.value.exit is Exit.WRONG_CALL


@pytest.mark.parametrize(("text", "day"), [("12:01", 30), ("12:00", 31), ("09:30", 31)])
def test_a_time_of_day_is_the_next_one(text: str, day: int) -> None:
    noon = datetime(2031, 1, 30, 12).astimezone()
    moment = read_moment(text, "--until", noon)
    assert isinstance(moment, datetime)
    assert f"{moment:%d %H:%M}" == f"{day} {text}"


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(hours=1, minutes=59, seconds=59), "in 1h59m"),
        (timedelta(minutes=12, seconds=59), "in 12m"),
        (timedelta(minutes=9, seconds=59), "in 9m59s"),
        (timedelta(days=3, minutes=5), "in 3d"),
        (-timedelta(minutes=5, seconds=1), "5m ago"),
        (timedelta(), "now"),
    ],
)
def test_a_column_has_a_distance_in_few_letters(away: timedelta, words: str) -> None:
    assert brief(NOW + away, NOW) == words


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(hours=1, minutes=59, seconds=59), "in 1 h 59 min"),
        (timedelta(hours=2), "in 2 h"),
        (timedelta(days=3, minutes=5), "in 3 d"),
        (-timedelta(seconds=5), "5 s ago"),
        (-timedelta(minutes=5, seconds=1), "5 min 1 s ago"),
        (timedelta(), "now"),
    ],
)
def test_a_distance_is_told_in_its_two_largest_units(away: timedelta, words: str) -> None:
    assert distance(NOW + away, NOW) == words


def test_no_escape_sequence_of_a_strangers_reaches_a_terminal() -> None:
    assert clean("a\x1b[2Jb\x9b31m\r\nc\u202ed") == "a [2Jb 31m c d"


def test_a_table_that_is_piped_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    put_table(("ID", "TITLE"), [("1", "a\tb"), ("2", "")])
    assert capsys.readouterr().out == "ID\tTITLE\n1\ta b\n2\t\n"


def test_json_that_is_piped_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    put_json({"a": [1, {"b": NOW}]})
    assert capsys.readouterr().out == '{"a":[1,{"b":"2031-01-31T12:00:00Z"}]}\n'


BY_STATUS = {
    400: {Exit.INVALID, Exit.WRONG_CALL, Exit.CONFLICT, Exit.PROBLEM},
    401: {Exit.AUTH}, 403: {Exit.AUTH}, 404: {Exit.NOT_FOUND}, 409: {Exit.CONFLICT},
    410: {Exit.CONFLICT}, 422: {Exit.INVALID, Exit.NOT_FOUND, Exit.CONFLICT},
    503: {Exit.UNREACHABLE},
}  # fmt: skip
CODES = json.loads((resources.files(schemas) / "errors.json").read_text())


@pytest.mark.parametrize("code", CODES)
def test_every_error_has_an_exit_code(code: str) -> None:
    status = CODES[code]["status"]
    error = errors.from_problem({"code": code, "status": status, "detail": "so it is"})
    exit = exit_of(error)
    assert exit not in (Exit.DONE, Exit.INTERRUPTED)
    if status in BY_STATUS:
        assert exit in BY_STATUS[status]


@pytest.mark.parametrize(
    ("error", "exit"),
    [
        (errors.Expired("", request_id="x"), Exit.TOO_LATE),
        (errors.Declined("", request_id="x"), Exit.PROBLEM),
        (errors.Cancelled("", request_id="x"), Exit.PROBLEM),
        (errors.Unreachable(""), Exit.UNREACHABLE),
        (errors.from_problem({"code": "wrong_status", "status": 409, "requestStatus": "EXPIRED"}),
         Exit.TOO_LATE),
        (errors.from_problem({"code": "unknown_addressee", "status": 422}), Exit.NOT_FOUND),
        (errors.from_problem({"code": "invalid_answer", "status": 422}), Exit.INVALID),
        (errors.from_problem({"code": "something_new", "status": 418}), Exit.PROBLEM),
    ],
)  # fmt: skip
def test_an_outcome_has_the_exit_code_that_is_documented(
    error: errors.PxBoxError, exit: Exit
) -> None:
    assert exit_of(error) is exit
