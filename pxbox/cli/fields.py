"""`-F name=value`: an answer on the command line, read by the schema's types.

`a.b=x` goes inside, `a[]=x` appends, `a[0].b=x` goes into an item; a backslash takes the meaning
off what follows it. `name=@file` reads the value from a file (`@-`: standard input), `name:=json`
takes JSON as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.form.places import inside, spread
from pxbox.cli.form.question import Unreadable
from pxbox.cli.form.reading import read
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import Schema, View
from pxbox.cli.given import read_file

Key = list[str | int]
APPEND = -1
_SEGMENT = re.compile(r"\[(\d{0,6})\]|\.?((?:\\.|[^.\[\]\\=])+)", re.DOTALL)


def answer_of(sheet: Sheet, fields: Iterable[str]) -> Any:
    """The object that the fields make together. Raises CommandFailed for what cannot be read."""
    answer: Any = None
    for field in fields:
        key, value = _parse(sheet, field)
        answer = _put(answer, key, value, field)
    return answer


def _parse(sheet: Sheet, field: str) -> tuple[Key, Any]:
    name, raw_json, text = _split(field)
    key = parse_key(name, field)
    if raw_json:
        try:
            return key, json.loads(text)
        except ValueError as error:
            raise _wrong(field, f"what follows := is not JSON ({error})") from None
    if text.startswith("@"):
        text = read_file(text[1:])
    return key, _read(sheet, key, text, field)


def _split(field: str) -> tuple[str, bool, str]:
    """The name, whether JSON follows, and what follows the first = that is not escaped."""
    found = re.match(r"((?:\\.|[^=\\])+?)(:?)=(.*)\Z", field, re.DOTALL)
    if found is None:
        raise _wrong(field, "it has no name=value in it")
    return found[1], bool(found[2]), found[3]


def parse_key(name: str, field: str = "") -> Key:
    """The members and items that a name leads through; APPEND for `[]`."""
    key: Key = []
    place = 0
    while place < len(name):
        found = _SEGMENT.match(name, place)
        if found is None:
            raise _wrong(field or name, f"its name cannot be read from {name[place:]!r} on")
        if found[2] is not None:
            key.append(re.sub(r"\\(.)", r"\1", found[2], flags=re.DOTALL))
        else:
            key.append(int(found[1]) if found[1] else APPEND)
        place = found.end()
    return key


def _read(sheet: Sheet, key: Key, text: str, field: str) -> Any:
    """The text as the first of the types there that it satisfies; as text where none is known."""
    schemas: list[Schema] = [sheet.schema]
    for part in key:
        _refuse_mistyped(sheet, schemas, part, field)
        schemas = inside(sheet, schemas, part)
    views = list(map(sheet.view, spread(sheet, schemas)))
    refusal = None
    for view in sorted(views, key=_is_text):
        try:
            return read(sheet, view, text)
        except Unreadable as refused:
            refusal = refusal or str(refused)
    if refusal is not None:
        raise CommandFailed(f"{_name(field)}: {refusal}.", Exit.INVALID)
    return text


def _refuse_mistyped(sheet: Sheet, schemas: list[Schema], part: str | int, field: str) -> None:
    """Most schemas take members that they do not name, so a slip would be sent, and an answer is
    for good. `:=` says that it is meant."""
    names = {name for each in spread(sheet, schemas) for name in sheet.view(each).properties}
    if isinstance(part, str) and part not in names and (near := get_close_matches(part, names, 1)):
        raise CommandFailed(
            f"{_name(field)}: the schema has no {part!r}. Did you mean {near[0]!r}? "
            "(NAME:=JSON gives a member that it does not name.)",
            Exit.INVALID,
        )


def _is_text(view: View) -> bool:
    """Text takes everything, so it is tried last."""
    return view.kinds() == {"string"} and view.options is None


def _put(whole: Any, key: Key, value: Any, field: str) -> Any:
    if not key:
        return value
    head, rest = key[0], key[1:]
    if isinstance(head, str):
        if not isinstance(whole, dict | None):
            raise _wrong(field, f"{head!r} is inside what another field made a value")
        members = whole or {}
        return {**members, head: _put(members.get(head), rest, value, field)}
    if not isinstance(whole, list | None):
        raise _wrong(field, "it goes into a list, and another field made that something else")
    items = list(whole or [])
    at = len(items) if head == APPEND else head
    if at > len(items):
        raise _wrong(field, f"there is no item {at - 1} before it yet")
    inner = _put(items[at] if at < len(items) else None, rest, value, field)
    return [*items[:at], inner, *items[at + 1 :]]


def _name(field: str) -> str:
    """A field less its value, which may be a secret."""
    return f"-F {field.partition('=')[0].rstrip(':')[:80]}"


def _wrong(field: str, why: str) -> CommandFailed:
    return CommandFailed(f"{_name(field)}: {why}.", Exit.WRONG_CALL)
