"""HTML as values: whatever is `Html` was escaped where it was made."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import Any, NewType

Html = NewType("Html", str)

_CODE = re.compile(r"`([^`]+)`")
_VOID = frozenset({"meta", "link"})
_JSON_TOKEN = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<string>"(?:[^"\\]|\\.)*")'
    r"|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>true|false|null)"
)
_LINE = 88


def text(value: object) -> Html:
    return Html(html.escape(str(value)))


def el(name: str, /, *children: Html, **attributes: str | None) -> Html:
    """An element. `cls` is the attribute `class`; None leaves an attribute out, "" has no value."""
    written = "".join(
        f" {'class' if key == 'cls' else key}" + (f'="{html.escape(value)}"' if value else "")
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(children)}</{name}>")


def join(parts: Iterable[Html], separator: str = "") -> Html:
    return Html(separator.join(parts))


def code(value: object) -> Html:
    return el("code", text(value))


def inline(words: str) -> Html:
    """Words in which `backquotes` mark code."""
    return Html(_CODE.sub(r"<code>\1</code>", html.escape(words, quote=False)))


def prose(words: str) -> Html:
    """Paragraphs, told apart by an empty line."""
    return join(el("p", inline(paragraph)) for paragraph in words.split("\n\n") if paragraph)


def table(heads: Iterable[str], rows: Iterable[Iterable[Html]]) -> Html:
    head = join(el("th", text(name), scope="col") for name in heads)
    body = join(el("tr", join(el("td", cell) for cell in row)) for row in rows)
    # Wide tables scroll by themselves, and must be reachable by keyboard for that.
    return el(
        "div",
        el("table", el("thead", el("tr", head)), el("tbody", body)),
        cls="scroll",
        tabindex="0",
    )


def fold(summary: Html, *children: Html) -> Html:
    return el("details", el("summary", summary), *children)


def json_block(value: object) -> Html:
    """`value` as indented JSON with its tokens marked."""
    return el("pre", el("code", _marked(pretty(value))), cls="json", tabindex="0")


def pretty(value: Any, indent: int = 0) -> str:
    """JSON in which a value stays on one line where it fits."""
    line = json.dumps(value, ensure_ascii=False)
    if indent + len(line) <= _LINE or not isinstance(value, (dict, list)):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(k)}: {pretty(v, indent + 2)}" for k, v in value.items()]
        opening, closing = "{", "}"
    else:
        rows = [pad + pretty(v, indent + 2) for v in value]
        opening, closing = "[", "]"
    return f"{opening}\n" + ",\n".join(rows) + f"\n{' ' * indent}{closing}"


def _marked(source: str) -> Html:
    parts: list[Html] = []
    end = 0
    for match in _JSON_TOKEN.finditer(source):
        parts.append(text(source[end : match.start()]))
        parts.append(el("span", text(match.group()), cls=match.lastgroup))
        end = match.end()
    return join([*parts, text(source[end:])])
