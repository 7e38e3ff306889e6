"""A wrong call says what is wrong and what to type next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pxbox.cli import main
from pxbox.cli.exits import Exit, problem_of
from tests.cli.conftest import ROOT


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == Exit.WRONG_CALL
    output, errors = capsys.readouterr()
    assert output == ""
    return errors.splitlines()


@pytest.mark.parametrize(
    ("arguments", "first", "usage"),
    [
        (["aks"], "Did you mean `pxbox ask`?", "pxbox COMMAND"),
        (["list"], "Did you mean `pxbox inbox`?", "pxbox COMMAND"),
        (["--url", "x", "inbox"], "Options come after the command", "pxbox COMMAND"),
        (["entities", "make"], "It has: create, show", "pxbox entities COMMAND"),
        (["entities", "creat"], "`pxbox entities create`", "pxbox entities COMMAND"),
        (["ask"], "SCHEMA is missing", "pxbox ask --to WHO"),
        (["ask", "{}"], "--to WHO is missing", "pxbox ask --to WHO"),
        (["ask", "{}", "--to"], "--to wants a value: --to WHO", "pxbox ask --to WHO"),
        (["ask", "{}", "--too", "ana"], "Did you mean --to?", "pxbox ask --to WHO"),
        (["inbox", "ana"], "'ana' is one word too many", "pxbox inbox [OPTIONS]"),
        (["inbox", "--limit", "x"], "--limit must be a whole number", "pxbox inbox"),
        (["inbox", "--section", "du-soon"], 'Did you mean "due-soon"?', "pxbox inbox"),
        (["inbox", "--unred"], "Did you mean `--unread`?", "pxbox inbox"),
        (["inbox", "--limit", "1", "--limit", "2"], "--limit", "pxbox inbox"),
        (["delegate", "x"], "TO is missing", "pxbox delegate"),
    ],
)
def test_each_kind_of_mistake_is_named_and_the_usage_shown(
    capsys: pytest.CaptureFixture[str], arguments: list[str], first: str, usage: str
) -> None:
    lines = said(capsys, *arguments)
    assert first in lines[0]
    assert lines[1].startswith(f"Usage: {usage}")
    assert lines[2].startswith(("For example: pxbox ", "All of it: pxbox "))
    assert len(lines) == 3


def test_the_examples_are_calls_that_can_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = [line for line in said(capsys, "ask") if line.startswith("For example")]
    schema = example.partition("'")[2].partition("'")[0]
    assert json.loads(schema) == {"title": "Lunch?", "type": "boolean"}


def problem_schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / "schemas/v1/Problem.json").read_text())
    # What only the broker's own problems bring is in other files.
    for name in ("errors", "holder", "requestStatus", "flowStatus"):
        del schema["properties"][name]
    return schema


def test_with_json_it_is_a_problem_document(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys, "inbox", "--unred", "--json")
    problem = json.loads(line)
    Draft202012Validator(problem_schema()).validate(problem)
    assert (problem["code"], problem["status"]) == ("invalid_request", 400)
    assert problem["usage"].startswith("pxbox inbox")


@pytest.mark.parametrize("exit", [exit for exit in Exit if exit is not Exit.DONE])
def test_every_way_to_fail_has_a_problem_document(exit: Exit) -> None:
    Draft202012Validator(problem_schema()).validate(problem_of("why", exit))
