"""Every known difference between what the broker does and what others say it should, with its
reason. The tests fail on one more, and on one that is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from pxbox.domain.dialect import Draft


@dataclass(frozen=True, slots=True)
class Case:
    """A case of the official suite: a schema with its tests. `file` is below the draft's folder."""

    draft: Draft
    file: str
    case: str


@dataclass(frozen=True, slots=True)
class Test:
    """A single test of a case."""

    __test__ = False

    case: Case
    test: str


NOT_FETCHED = "unresolvable_ref"
"""Needs a document from elsewhere, and the broker fetches none (X3)."""
OTHER_DIALECT = "unsupported_dialect"
"""Is written in a dialect of its own, by a meta-schema that is elsewhere."""

_REMOTE = {
    Draft.D7: """
        remote ref
        fragment within remote ref
        ref within remote ref
        base URI change
        base URI change - change folder
        base URI change - change folder in subschema
        root ref in remote ref
        remote ref with ref to definitions
        Location-independent identifier in remote ref
        retrieved nested refs resolve relative to their URI not $id
        $ref to $ref finds location-independent $id
    """,
    Draft.D2019_09: """
        remote ref
        fragment within remote ref
        anchor within remote ref
        ref within remote ref
        base URI change
        base URI change - change folder
        base URI change - change folder in subschema
        root ref in remote ref
        remote ref with ref to defs
        Location-independent identifier in remote ref
        retrieved nested refs resolve relative to their URI not $id
        remote HTTP ref with different $id
        remote HTTP ref with different URN $id
        remote HTTP ref with nested absolute ref
        $ref to $ref finds detached $anchor
    """,
}
_REMOTE[Draft.D2020_12] = _REMOTE[Draft.D2019_09]
_ELSEWHERE = {
    (Draft.D2020_12, "dynamicRef", NOT_FETCHED): """
        strict-tree schema, guards against misspelled properties
        tests for implementation dynamic anchor and reference link
        $ref and $dynamicAnchor are independent of order - $defs first
        $ref and $dynamicAnchor are independent of order - $ref first
        $ref to $dynamicRef finds detached $dynamicAnchor
    """,
    (Draft.D7, "optional/cross-draft", NOT_FETCHED): """
        refs to future drafts are processed as future drafts
    """,
    (Draft.D2019_09, "optional/cross-draft", NOT_FETCHED): """
        refs to future drafts are processed as future drafts
        refs to historic drafts are processed as historic drafts
    """,
    (Draft.D2020_12, "optional/cross-draft", NOT_FETCHED): """
        refs to historic drafts are processed as historic drafts
    """,
    (Draft.D2019_09, "vocabulary", OTHER_DIALECT): """
        schema that uses custom metaschema with with no validation vocabulary
        ignore unrecognized optional vocabulary
    """,
    (Draft.D2020_12, "vocabulary", OTHER_DIALECT): """
        schema that uses custom metaschema with with no validation vocabulary
        ignore unrecognized optional vocabulary
    """,
    (Draft.D2020_12, "optional/format-assertion", OTHER_DIALECT): """
        schema that uses custom metaschema with format-assertion: false
        schema that uses custom metaschema with format-assertion: true
    """,
} | {(draft, "refRemote", NOT_FETCHED): names for draft, names in _REMOTE.items()}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


REFUSED: dict[Case, str] = {
    Case(draft, file, name): code
    for (draft, file, code), names in _ELSEWHERE.items()
    for name in _lines(names)
}
"""The cases whose schema is refused, with the code of the error."""

_FORMATS = (
    "email", "idn-email", "regex", "ipv4", "ipv6", "idn-hostname", "hostname", "date", "date-time",
    "time", "json-pointer", "relative-json-pointer", "iri", "iri-reference", "uri", "uri-reference",
    "uri-template", "uuid", "duration",
)  # fmt: skip
DECIDED_OTHERWISE: frozenset[Test] = frozenset(
    # The suite has formats as annotations. The broker asserts them: that is what askers mean.
    Test(
        Case(Draft.D2020_12, "format", f"{name} format"),
        f"invalid {name} string is only an annotation by default",
    )
    for name in _FORMATS
)
"""The tests whose value the broker judges in another way than the suite."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What the broker and the oracle, Python's jsonschema, judge differently.

    `broker` and `oracle` say whether the value is valid; None where the oracle fails.
    """

    draft: Draft
    schema: dict[str, object]
    value: object
    broker: bool
    oracle: bool | None
    reason: str


DISAGREEMENTS = [
    Disagreement(
        Draft.D2020_12,
        {"multipleOf": 0.1},
        0.3,
        broker=True,
        oracle=False,
        reason="the oracle divides binary fractions, the broker decimal ones, as they are written",
    ),
    Disagreement(
        Draft.D2020_12,
        {"multipleOf": 3},
        1e300,
        broker=False,
        oracle=True,
        reason="the oracle divides the nearest binary number, the broker 1 with 300 zeros",
    ),
    Disagreement(
        Draft.D2020_12,
        {"pattern": "^a$"},
        "a\n",
        broker=False,
        oracle=True,
        reason="in Python `$` also matches before a last line break; in ECMA-262 it does not",
    ),
    Disagreement(
        Draft.D2020_12,
        {"pattern": "^\\d$"},
        "٣",
        broker=False,
        oracle=True,
        reason="in Python `\\d` has the digits of every script; in ECMA-262 it is [0-9]",
    ),
    Disagreement(
        Draft.D2020_12,
        {"pattern": "^\\w$"},
        "é",
        broker=False,
        oracle=True,
        reason="in Python `\\w` has the letters of every script; in ECMA-262 it is [A-Za-z0-9_]",
    ),
    Disagreement(
        Draft.D2020_12,
        {"pattern": "^\\p{L}$"},
        "é",
        broker=True,
        oracle=None,
        reason="Python's expressions know no `\\p`",
    ),
    Disagreement(
        Draft.D2020_12,
        {"type": "string", "format": "uuid"},
        "no",
        broker=False,
        oracle=True,
        reason="the oracle asserts formats only when it is told to",
    ),
    Disagreement(
        Draft.D7,
        {"contentEncoding": "base64"},
        "%",
        broker=False,
        oracle=True,
        reason="draft 7 lets `contentEncoding` be asserted, and the oracle does not",
    ),
    Disagreement(
        Draft.D7,
        {"contentMediaType": "application/json"},
        "{",
        broker=False,
        oracle=True,
        reason="draft 7 lets `contentMediaType` be asserted, and the oracle does not",
    ),
    Disagreement(
        Draft.D2020_12,
        {"dependencies": {"a": ["b"]}},
        {"a": 1},
        broker=False,
        oracle=True,
        reason="later drafts let `dependencies` of draft 7 be kept, and the oracle does not",
    ),
    Disagreement(
        Draft.D2019_09,
        {"additionalProperties": {}, "unevaluatedProperties": False},
        {"a": 1},
        broker=True,
        oracle=False,
        reason="a mistake of the oracle: it has a schema evaluate the properties that it names",
    ),
    Disagreement(
        Draft.D2019_09,
        {"allOf": [{"unevaluatedProperties": {}}], "unevaluatedProperties": False},
        {"a": 1},
        broker=True,
        oracle=False,
        reason="a mistake of the oracle: it has a schema evaluate the properties that it names",
    ),
    Disagreement(
        Draft.D2019_09,
        {"items": False, "unevaluatedItems": False},
        [],
        broker=True,
        oracle=None,
        reason="a mistake of the oracle: it takes the length of a boolean",
    ),
    Disagreement(
        Draft.D2019_09,
        {"items": False, "additionalItems": False},
        [],
        broker=True,
        oracle=None,
        reason="a mistake of the oracle: it takes the length of a boolean",
    ),
]
