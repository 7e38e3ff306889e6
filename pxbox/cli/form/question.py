"""The kinds of questions, and the replies to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final


class Skipped(Enum):
    """The type of `SKIPPED`."""

    SKIPPED = "skipped"


SKIPPED: Final = Skipped.SKIPPED
"""The reply to what was left out, where that may be: there will be no such member."""


class Unreadable(Exception):
    """What was typed is not a value that is asked for; the message says what is."""


@dataclass(frozen=True, slots=True)
class About:
    """What a question is about.

    `pointer` is the place in the answer (RFC 6901), `trail` the titles on the way to it, the last
    its own; empty for the whole answer. Only what is not `required` may be answered by SKIPPED.
    """

    pointer: str
    trail: tuple[str, ...]
    help: str
    required: bool


@dataclass(frozen=True, slots=True)
class Option:
    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Text:
    """One line. `read` turns it into the value, or raises Unreadable; the reply is that value.

    `start` is what the line holds at first; a secret is neither shown nor started with.
    """

    about: About
    read: Callable[[str], Any]
    start: str
    hint: str
    secret: bool


@dataclass(frozen=True, slots=True)
class File:
    """A file that goes with the answer; the reply is its id. `start` is that of one that is there
    already, if any."""

    about: About
    start: str


@dataclass(frozen=True, slots=True)
class Pick:
    """One of the options; the reply is its value. `start` is the index to begin at, if any."""

    about: About
    options: tuple[Option, ...]
    start: int | None


@dataclass(frozen=True, slots=True)
class PickMany:
    """Any of the options; the reply is the list of their values. `start` are indices."""

    about: About
    options: tuple[Option, ...]
    start: frozenset[int]
    read: Callable[[list[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class YesNo:
    """A boolean that belongs into the answer."""

    about: About
    start: bool | None


@dataclass(frozen=True, slots=True)
class Proceed:
    """Whether to go into something: an optional object, one more item. The reply is a bool, which
    is no part of the answer; saying nothing means `otherwise`."""

    about: About
    text: str
    otherwise: bool


Question = Text | File | Pick | PickMany | YesNo | Proceed
