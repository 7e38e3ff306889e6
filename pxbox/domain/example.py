"""A schema from one JSON example: what a value has to be that looks like it.

An example says little, so what is concluded from it is what hardly ever is wrong. Arrays are
merged: all their items are examples of one and the same thing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache

import jsonschema_rs

from pxbox.domain.schema_document import JsonSchema

# The first that fits is it: whatever is a date-time is no date, but a UUID is made of words.
_FORMATS = ("uuid", "date-time", "date", "time", "email", "ipv4", "ipv6", "uri")
_MOST_CHARACTERS = 2_048
_MARKS = re.compile(r"[-:@.]")
# What a URI is by its grammar, `urgent: call me` nearly is; so only what leads somewhere counts.
_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*://|mailto:|urn:)", re.IGNORECASE)

_LEAST_SAMPLES = 4
_MOST_WORDS = 8
_MOST_WORD_CHARACTERS = 32


def infer(example: object) -> JsonSchema:
    """Return the schema of values that look like `example`; the example itself is one of them.

    Members that all examples of an object have are required, others are allowed, and so are
    unknown ones. A format is asserted where every text has it. Texts that repeat within an array
    (four or more of them, each at least twice on average, at most eight different words) become
    an `enum`. `null` alone and an empty array say nothing of what may stand there. Takes some
    20 ms at most for 64 KiB of JSON.
    """
    samples = _Samples()
    samples.add(example)
    return samples.schema()


@dataclass(slots=True)
class _Samples:
    """What was seen in one place."""

    types: dict[str, None] = field(default_factory=dict)
    count: int = 0
    objects: int = 0
    members: dict[str, _Samples] = field(default_factory=dict)
    items: _Samples | None = None
    formats: tuple[str, ...] | None = None
    texts: dict[str, None] = field(default_factory=dict)

    def add(self, value: object) -> None:
        self.count += 1
        self.types[_type_of(value)] = None
        match value:
            case str():
                self._add_text(value)
            case dict():
                self.objects += 1
                for name, member in value.items():
                    self.members.setdefault(name, _Samples()).add(member)
            case list():
                for item in value:
                    self.items = self.items or _Samples()
                    self.items.add(item)

    def schema(self) -> dict[str, object]:
        types = [one for one in self.types if one != "integer" or "number" not in self.types]
        if types in ([], ["null"]):
            return {}
        said: dict[str, object] = {"type": types[0] if len(types) == 1 else types}
        if "string" in self.types:
            self._say_of_texts(said)
        if "object" in self.types:
            said["properties"] = {name: one.schema() for name, one in self.members.items()}
            required = [name for name, one in self.members.items() if one.count == self.objects]
            if required:
                said["required"] = required
        if self.items is not None:
            said["items"] = self.items.schema()
        return said

    def _add_text(self, text: str) -> None:
        # Once no format is left, none is looked for: that is what takes time.
        candidates = _FORMATS if self.formats is None else self.formats
        self.formats = tuple(one for one in candidates if _has_format(one, text))
        if len(self.texts) <= _MOST_WORDS:
            self.texts[text] = None

    def _say_of_texts(self, said: dict[str, object]) -> None:
        if self.formats:
            said["format"] = self.formats[0]
        elif self._are_words():
            said["enum"] = list(self.texts)

    def _are_words(self) -> bool:
        return (
            list(self.types) == ["string"]
            and self.count >= _LEAST_SAMPLES
            and len(self.texts) <= min(_MOST_WORDS, self.count // 2)
            and all(0 < len(text) <= _MOST_WORD_CHARACTERS for text in self.texts)
        )


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _has_format(name: str, text: str) -> bool:
    if len(text) > _MOST_CHARACTERS or not _MARKS.search(text):
        return False
    if name == "uri" and not _URI.match(text):
        return False
    return _format(name).is_valid(text)


@cache
def _format(name: str) -> jsonschema_rs.Validator:
    """By the very check that answers will be held to."""
    return jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True)
