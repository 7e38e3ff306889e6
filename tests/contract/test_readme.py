"""`schemas/README.md` against what it tells of."""

from __future__ import annotations

import json
import re

import pytest

import schemas
from pxbox.domain import flow
from pxbox.domain.request import ALLOWED, Answer, Cancel, Decline, Release, TakeClaim
from pxbox.model.flow import FlowStatus
from pxbox.model.principal import SCOPES
from pxbox.model.request import Status
from tests.contract.documents import SCHEMAS, planned, read, validator

README = schemas.read("README.md").decode()
COLUMNS = {"claim": TakeClaim, "release": Release, "answer": Answer, "decline": Decline,
           "cancel": Cancel}  # fmt: skip

FLOW_COLUMNS = {"checkpoint": flow.Checkpoint, "signal": flow.Give, "cancel": flow.Cancel,
                "retry": flow.Retry}  # fmt: skip


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, its head row first."""
    section = README.split(f"\n## {heading}\n")[1]
    lines = re.findall(r"^\|(.+)\|$", section.split("\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def test_table_of_a_requests_life_has_every_status() -> None:
    assert [row[0] for row in rows("A request's life")[2:]] == [status.value for status in Status]


@pytest.mark.parametrize("status", Status)
def test_table_of_a_requests_life_allows_what_the_broker_allows(status: Status) -> None:
    head, _, *body = rows("A request's life")
    (row,) = [row for row in body if row[0] == status.value]
    for column, command in COLUMNS.items():
        cell = row[head.index(column)]
        refused = cell == "409" or cell.endswith("else 409") or cell == "200" or "by who" in cell
        assert (command not in ALLOWED[status]) is refused, (status, column)


def test_table_of_a_flows_life_has_every_status() -> None:
    assert [row[0] for row in rows("A flow's life")[2:]] == [status.value for status in FlowStatus]


@pytest.mark.parametrize("status", FlowStatus)
def test_table_of_a_flows_life_allows_what_the_broker_allows(status: FlowStatus) -> None:
    head, _, *body = rows("A flow's life")
    (row,) = [row for row in body if row[0] == status.value]
    for column, command in FLOW_COLUMNS.items():
        refused = row[head.index(column)] in ("409", "200")
        assert (command not in flow.ALLOWED[status]) is refused, (status, column)


def test_table_of_access_has_every_scope() -> None:
    named = {scope for row in rows("Access")[2:] for scope in re.findall(r"`(\w+)`", row[0])}
    assert named == SCOPES


def test_every_type_of_event_is_named() -> None:
    listed = README.split("\nTypes: ")[1].split("\n\n")[0]
    for one in SCHEMAS["Event"]["oneOf"]:
        event = SCHEMAS[one["$ref"].removesuffix(".json")]
        kind = event["allOf"][1]["properties"]["type"]["const"]
        assert kind.removeprefix("request") in listed or kind in listed, kind


def test_every_file_that_it_lists_is_there() -> None:
    for name in ("openapi.json", "asyncapi.json", "errors.json", "limits.json"):
        assert f"| `{name}` |" in README
        assert read(name)


def test_its_examples_are_valid() -> None:
    problem, *frames = (
        json.loads(one) for one in re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    )
    validator("Problem").validate(problem)
    assert frames
    for frame in frames:
        validator("ClientFrame").validate(frame)


def test_it_says_of_planned_parts_how_they_are_marked() -> None:
    assert any(planned(one) for one in SCHEMAS["CreateRequest"]["properties"].values())
    assert "`x-pxbox-status: planned`" in README
