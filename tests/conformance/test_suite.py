"""The official JSON-Schema-Test-Suite, through admission and checking as a user has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pxbox.domain.dialect import Draft
from pxbox.model.schema_errors import SchemaRefused
from tests.conformance.differences import DECIDED_OTHERWISE, REFUSED, Case, Test
from tests.conformance.oracle import broker_accepts, broker_compiles, oracle_accepts

FOLDERS = {
    Draft.D2020_12: "draft2020-12",
    Draft.D2019_09: "draft2019-09",
    Draft.D7: "draft7",
}


def cases(suite: Path, draft: Draft) -> Iterator[tuple[Case, dict[str, Any]]]:
    folder = suite / "tests" / FOLDERS[draft]
    for path in sorted(folder.rglob("*.json")):
        file = path.relative_to(folder).with_suffix("").as_posix()
        for case in json.loads(path.read_text(encoding="utf-8")):
            yield Case(draft, file, case["description"]), case


@pytest.mark.parametrize("draft", Draft)
def test_suite_is_passed_but_for_the_known_differences(suite: Path, draft: Draft) -> None:
    refused: dict[Case, str] = {}
    otherwise: set[Test] = set()
    passed = 0
    for name, case in cases(suite, draft):
        try:
            compiled = broker_compiles(case["schema"], draft)
        except SchemaRefused as refusal:
            refused[name] = refusal.code
            continue
        for test in case["tests"]:
            if broker_accepts(compiled, test["data"]) is test["valid"]:
                passed += 1
            else:
                otherwise.add(Test(name, test["description"]))
    assert refused == {name: code for name, code in REFUSED.items() if name.draft is draft}
    assert otherwise == {test for test in DECIDED_OTHERWISE if test.case.draft is draft}
    assert passed > 1_300


@pytest.mark.parametrize("draft", Draft)
def test_oracle_agrees_on_every_required_case(suite: Path, draft: Draft) -> None:
    differing = []
    for name, case in cases(suite, draft):
        if name.file.startswith("optional/") or name.file == "format" or name in REFUSED:
            continue
        compiled = broker_compiles(case["schema"], draft)
        for test in case["tests"]:
            value = test["data"]
            if broker_accepts(compiled, value) is not oracle_accepts(case["schema"], value, draft):
                differing.append(Test(name, test["description"]))
    assert differing == []
