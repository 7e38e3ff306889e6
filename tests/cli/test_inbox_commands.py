"""The inbox, handing on and operators' jobs by command, as a responder and an operator use them."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from pxbox.cli.calling import call
from pxbox.cli.exits import Exit
from pxbox.cli.where import Where
from tests.cli.asking import Shell

YES: dict[str, Any] = {"title": "Lunch", "type": "boolean"}


def listed(shell: Shell, *how: str) -> list[dict[str, Any]]:
    page = json.loads(shell.good("inbox", "--json", *how))
    return list(page["items"])


def test_marks_change_what_the_inbox_shows(shell: Shell, ana: str) -> None:
    one, two = sorted(shell.ask(YES, ana) for _ in range(2))
    mine = shell.acting(ana)
    mine.good("read", one)
    assert [item["id"] for item in listed(mine, "--unread")] == [two]
    mine.good("unread", one)
    assert len(listed(mine, "--unread")) == 2
    mine.good("snooze", one, "--until", "2h")
    assert [item["id"] for item in listed(mine)] == [two]
    assert [item["id"] for item in listed(mine, "--snoozed")] == [one]
    mine.good("wake", one)
    mine.good("delete", one, two)
    assert listed(mine) == []
    assert len(listed(mine, "--deleted")) == 2
    outcome = json.loads(mine.good("restore", one, two, "--json"))
    assert (outcome["updated"], outcome["failed"]) == (2, 0)
    gone = mine.run("read", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert gone.returncode == Exit.NOT_FOUND
    said = mine.run("inbox").stderr
    assert "2 open" in said
    assert "2 unread" in said


def test_what_is_closed_is_listed_newest_first_with_who_closed_it_and_when(
    shell: Shell, ana: str
) -> None:
    mine = shell.acting(ana)
    ids = [shell.ask(YES, ana, "--deadline", deadline) for deadline in ("1h", "2h")]
    for id in ids:
        mine.good("answer", id, "--json", "true")
    lines = [line.split("\t") for line in mine.good("inbox", "--status", "answered").splitlines()]
    assert [line[0] for line in lines] == ["ID", *ids[::-1]]
    assert lines[1][3].startswith(f"answered by {ana} ")
    assert (lines[1][4], lines[1][6]) == ("", "")
    assert [
        item["id"] for item in listed(mine, "--status", "answered", "--sort", "deadline")
    ] == ids


def test_filters_by_asker_and_by_deadline(shell: Shell, ana: str) -> None:
    near, far = (shell.ask(YES, ana, "--deadline", deadline) for deadline in ("1h", "3h"))
    mine = shell.acting(ana)
    assert [item["id"] for item in listed(mine, "--due", "2h")] == [near]
    assert [item["id"] for item in listed(mine, "--from", "admin")] == [near, far]
    assert listed(mine, "--from", "somebody-else") == []


def test_what_a_person_has_looked_at_is_new_no_more(shell: Shell, ana: str) -> None:
    id = shell.ask(YES, ana)
    mine = shell.acting(ana)
    mine.good("show", id)
    assert len(listed(mine, "--unread")) == 1
    with mine.terminal("show", id) as seen:
        code, _, screen = seen.end()
    assert (code, f"pxbox answer {id}" in screen) == (0, True)
    assert listed(mine, "--unread") == []


def test_a_request_is_handed_on_and_its_timeline_tells(shell: Shell, ana: str) -> None:
    ben = f"ben-{uuid4().hex[:8]}"
    shell.good("entities", "create", "user", ben)
    id = shell.ask(YES, ana)
    shell.acting(ana).good("claim", id)
    shell.acting(ana).good("reassign", id, ben, "--reason", "on leave")
    shell.acting(ben).good("claim", id)
    shell.acting(ben).good("answer", id, "--json", "true")
    told = shell.good("show", id, "--timeline").splitlines()
    assert [line.split("\t")[1] for line in told] == [
        "WHAT", "created", "claimed", "reassigned", "claimed", "answered",
    ]  # fmt: skip
    assert "on leave" in told[3]
    entries = json.loads(shell.good("show", id, "--timeline", "--json"))
    assert {entry["client"] for entry in entries} == {"admin"}


def test_requests_are_exported_with_their_answers(shell: Shell, ana: str) -> None:
    tag = uuid4().hex
    schema = {"title": "=1+1", "type": "string"}
    for answer in ('"a"', '"b"', None):
        made = {"schema": schema, "to": ana, "tags": [tag]}
        id = _create(shell, made)
        if answer is not None:
            shell.acting(ana).good("answer", id, "--json", answer)
    rows = [json.loads(line) for line in shell.good("export", "--tag", tag).splitlines()]
    assert [row["answer"] and row["answer"]["payload"] for row in rows] == ["a", "b", None]
    table = csv.DictReader(io.StringIO(shell.good("export", "--tag", tag, "--format", "csv")))
    cells = list(table)
    assert [cell["answer"] for cell in cells] == ['"a"', '"b"', ""]
    assert {cell["title"] for cell in cells} == {"'=1+1"}, "no formula for a spreadsheet"
    answered = shell.good("export", "--tag", tag, "--status", "answered")
    assert len(answered.splitlines()) == 2


def _create(shell: Shell, made: dict[str, Any]) -> str:
    with patch.dict(os.environ, shell.environ, clear=True):
        where = Where(url=shell.environ["PXBOX_URL"])
        return str(call(where, lambda px: px.call("createRequest", made))["id"])


def test_a_person_is_erased_after_a_dry_run(shell: Shell, ana: str) -> None:
    id = shell.ask({"type": "string"}, ana)
    shell.acting(ana).good("answer", id, "--json", '"secret"')
    dry = json.loads(shell.good("erase", ana, "--dry-run", "--json"))
    assert dry["answers"] == 1
    assert json.loads(shell.good("show", id, "--json"))["response"]["payload"] == "secret"
    assert json.loads(shell.good("erase", ana, "--json"))["answers"] == 1
    assert json.loads(shell.good("show", id, "--json"))["response"]["payload"] is None
    assert shell.run("entities", "show", ana).returncode == Exit.NOT_FOUND


def test_retention_counts_before_it_deletes(shell: Shell, ana: str) -> None:
    id = shell.ask(YES, ana)
    shell.acting(ana).good("answer", id, "--json", "true")
    dry = json.loads(shell.good("retention", "--answered-days", "3650", "--dry-run", "--json"))
    assert (dry["answered"], dry["unanswered"], dry["dryRun"]) == (0, 0, True)
    shell.good("retention", "--answered-days", "3650")
    assert json.loads(shell.good("show", id, "--json"))["status"] == "ANSWERED"
    assert shell.run("retention", "--dry-run").returncode == Exit.WRONG_CALL
