"""What was typed, as a value: by the schema's types, for prompts and for `-F name=value` alike."""

from __future__ import annotations

import json
from typing import Any

from pxbox.cli.form.question import Unreadable
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import View, label

_YES, _NO = {"y", "yes", "true"}, {"n", "no", "false"}
_EXAMPLES = {
    "date": "2031-01-31", "time": "12:00:00Z", "date-time": "2031-01-31T12:00:00Z",
    "duration": "P1DT12H", "email": "ana@example.org", "uri": "https://example.org/",
    "hostname": "example.org", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1",
    "uuid": "3f0c2a52-6f0e-4c0e-9d2b-7a1f5e8c4b10",
}  # fmt: skip
_LAST = 2**63


def read(sheet: Sheet, view: View, text: str) -> Any:
    """The value that was typed, which satisfies the schemas of the view. Raises Unreadable.

    Where text is allowed it is taken as it stands, `""` standing for the empty one.
    """
    if not text:
        empty = '; "" stands for an empty text' if "string" in view.kinds() else ""
        raise Unreadable(f"is required{empty}")
    value = _value(view, text)
    judge(sheet, view, value)
    return value


def judge(sheet: Sheet, view: View, value: Any) -> None:
    """Raise Unreadable, with what is wrong, unless the value satisfies the view's schemas."""
    refused = sheet.refusals(view.sources, value)
    if refused:
        raise Unreadable("; ".join(dict.fromkeys(error.message for error in refused[:3])))


def hint(view: View) -> str:
    """What kind of thing to type, in a few words; nothing for plain text."""
    kinds = view.kinds()
    if view.format in _EXAMPLES:
        return f"such as {_EXAMPLES[view.format]}"
    if kinds == {"string"}:
        return ""
    if "integer" in kinds:
        return "a whole number"
    if "number" in kinds:
        return "a number"
    if not kinds:
        return "JSON, or text"
    return "as JSON"


def typed(view: View, value: Any) -> str:
    """How a value would be typed: what `read` reads it from."""
    if isinstance(value, str) and ("string" in view.kinds() or not view.kinds()):
        return value or '""'
    return label(value) if not isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(view: View, text: str) -> Any:
    if view.options is not None:
        return _option(view, text)
    kinds = view.kinds()
    if "string" in kinds:
        return "" if text == '""' else text
    if kinds == {"boolean"}:
        return _boolean(text)
    try:
        value = json.loads(text, parse_constant=_not_json)
    except ValueError:
        if not kinds:
            return text
        raise Unreadable(_wanted(kinds)) from None
    except RecursionError:
        raise Unreadable("is nested too deep") from None
    return _number(value, kinds) if isinstance(value, int | float) else value


def _option(view: View, text: str) -> Any:
    options = view.options or []
    for option in options:
        if text in (label(option.value), option.label):
            return option.value
    shown = ", ".join(label(option.value) for option in options[:8])
    raise Unreadable(f"must be one of {shown}{', ...' if len(options) > 8 else ''}")


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise Unreadable("must be yes or no")
    return word in _YES


def _number(value: float | bool, kinds: set[str]) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and kinds == {"integer"} and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not -_LAST <= value < _LAST:
        raise Unreadable("must fit 64 bits")
    return value


def _wanted(kinds: set[str]) -> str:
    if kinds == {"integer"}:
        return "must be a whole number"
    if kinds <= {"integer", "number"}:
        return "must be a number, such as 12 or 1.5"
    return "must be JSON; text stands in quotes there"


def _not_json(word: str) -> float:
    raise ValueError(word)
