"""Which places of an answer are to be asked about, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pxbox.cli.form.question import SKIPPED
from pxbox.model.errors import FieldError


@dataclass(slots=True)
class Known:
    """The answer so far, and where it has to be asked about again.

    Without `again` everything is asked, and what is known is what each line starts with. With it,
    only these places and what is inside them; in the objects of `incomplete`, what they lack.
    """

    value: Any = SKIPPED
    again: frozenset[str] | None = None
    incomplete: frozenset[str] = field(default_factory=frozenset)

    def at(self, pointer: str) -> Any:
        """The value that is known there; SKIPPED if there is none."""
        value = self.value
        for token in tokens(pointer):
            value = _member(value, token)
        return value

    def with_value(self, pointer: str, value: Any) -> Known:
        """The same, with another value known there."""
        return replace(self, value=_put(self.value, tokens(pointer), value))

    def asks(self, pointer: str) -> bool:
        """Whether the value as a whole is asked about: not only something inside it."""
        if self.again is None:
            return True
        return any(_within(pointer, place) for place in self.again)

    def asking_too(self, pointer: str) -> Known:
        """The same, with one place more to be asked about."""
        return self if self.again is None else replace(self, again=self.again | {pointer})

    def lacks(self, pointer: str) -> bool:
        """Whether this is missing from an object that is known to lack something."""
        parent, slash, _ = pointer.rpartition("/")
        return bool(slash) and parent in self.incomplete and self.at(pointer) is SKIPPED

    def stands(self, pointer: str) -> bool:
        """Whether nothing there or inside it is asked about."""
        places = (self.again or frozenset()) | self.incomplete
        return not self.asks(pointer) and not any(_within(place, pointer) for place in places)


def to_mend(value: Any, errors: Iterable[FieldError]) -> Known:
    """What has to be asked again of an answer with these errors."""
    errors = list(errors)
    missing = {e.pointer for e in errors if e.keyword in ("required", "dependentRequired")}
    others = {e.pointer for e in errors} - missing
    return Known(value, frozenset(others), frozenset(missing))


def tokens(pointer: str) -> list[str]:
    """The names on the way to a place (RFC 6901, 4)."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _within(pointer: str, place: str) -> bool:
    return pointer == place or pointer.startswith(place + "/")


def _member(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return value.get(name, SKIPPED)
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return SKIPPED


def _put(whole: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    # What is known may be of another shape: it was given to another branch.
    if isinstance(whole, list) and path[0].isdecimal():
        inner = _put(_member(whole, path[0]), path[1:], value)
        return [*whole[: int(path[0])], inner, *whole[int(path[0]) + 1 :]]
    members = whole if isinstance(whole, dict) else {}
    return {**members, path[0]: _put(members.get(path[0], SKIPPED), path[1:], value)}
