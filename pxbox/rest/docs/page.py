"""The page: navigation beside overview, operations, WebSocket, events, objects, errors."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any

import msgspec

import schemas
from pxbox.rest.docs import frames
from pxbox.rest.docs import operations as ops
from pxbox.rest.docs.html import Html, code, el, inline, join, prose, table, text
from pxbox.rest.docs.schemas import anchor, name_of, section, type_of
from pxbox.rest.openapi import bundled

Document = dict[str, Any]
_PLANNED = "Planned"


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the page; `entries` are its lines in the navigation: anchor and label."""

    id: str
    title: str
    body: Html
    entries: tuple[tuple[str, Html], ...] = ()


@cache
def render_docs() -> bytes:
    """The page as UTF-8 HTML. It needs nothing but itself: no script, no other file or host."""
    rest = msgspec.json.decode(bundled("openapi.json"))
    socket = msgspec.json.decode(bundled("asyncapi.json"))
    chapters = list(_chapters(rest, socket))
    title = el("title", text("PxBox API"))
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        title,
        el("style", _style()),
    )
    body = el(
        "body",
        el("a", text("Skip to content"), href="#content", cls="skip"),
        _navigation(chapters),
        el("main", _header(rest["info"]), *map(_chapter, chapters), id="content"),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n".encode()


@cache
def content_security_policy() -> str:
    """The header value that allows this page its one style, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


@cache
def _style() -> Html:
    # CSS inside <style> is not escaped, so it must not hold anything but our own file.
    return Html(resources.files(__package__).joinpath("docs.css").read_text("utf-8"))


def _chapters(rest: Document, socket: Document) -> Iterator[Chapter]:
    yield _overview(rest)
    yield from _operation_chapters(rest)
    yield from _socket_chapters(socket)
    yield _events(socket)
    yield _errors()
    yield _limits()
    yield _objects(rest, socket)


def _chapter(chapter: Chapter) -> Html:
    head = el("h2", text(chapter.title), id=chapter.id)
    return el("section", head, chapter.body, cls="chapter")


def _navigation(chapters: Iterable[Chapter]) -> Html:
    parts = [el("p", text("PxBox API"), cls="brand")]
    for chapter in chapters:
        parts.append(el("a", text(chapter.title), href=f"#{chapter.id}", cls="part"))
        lines = (el("li", el("a", label, href=f"#{to}")) for to, label in chapter.entries)
        if chapter.entries:
            parts.append(el("ul", *lines))
    return el("nav", *parts, **{"aria-label": "Contents"})


def _header(info: Document) -> Html:
    version = el("span", text(f"version {info['version']}"), cls="version")
    return el(
        "header",
        el("h1", text("PxBox API "), version),
        el("p", text(info["summary"]), cls="lead"),
    )


def _overview(rest: Document) -> Chapter:
    setting = 'PXBOX=http://127.0.0.1:8080\nTOKEN="$(pxbox token create --sub me)"'
    bearer = rest["components"]["securitySchemes"]["bearer"]["description"]
    body = join([
        prose(rest["info"]["description"]),
        el("h3", text("Tokens"), id="tokens"),
        prose(bearer),
        el("p", text("The examples below are run with")),
        el("pre", el("code", text(setting)), cls="shell", tabindex="0"),
        el("h3", text("The documents"), id="documents"),
        el("p", text("For tools: "), el("a", text("openapi.json"), href="openapi.json"),
           text(" (OpenAPI 3.1) and "), el("a", text("asyncapi.json"), href="asyncapi.json"),
           text(" (AsyncAPI 3.0)."))])  # fmt: skip
    return Chapter("overview", "Overview", body)


def _operation_chapters(rest: Document) -> Iterator[Chapter]:
    every = ops.operations(rest)
    for tag in rest["tags"]:
        name = tag["name"]
        mine = [one for one in every if one.tag == name]
        planned = name == _PLANNED
        body = [ops.planned_table(mine)] if planned else map(ops.operation_section, mine)
        entries = () if planned else tuple((ops.anchor(one), _entry(one)) for one in mine)
        intro = prose(tag["description"])
        yield Chapter(f"tag-{name}", name, join([intro, *body]), entries)


def _entry(operation: ops.Operation) -> Html:
    return join([ops.badge(operation.method), text(" " + operation.source["summary"])])


def _socket_chapters(socket: Document) -> Iterator[Chapter]:
    channel = socket["channels"]["socket"]
    body = join([
        el("p", code(channel["address"]), cls="route"),
        prose(socket["info"]["description"]),
        el("h3", text("Commands"), id="commands"),
        frames.command_table(socket),
    ])  # fmt: skip
    yield Chapter("socket", "WebSocket", body, (("commands", text("Commands")),))
    for action, title in (("receive", "Frames from the client"), ("send", "Frames to the client")):
        entries = tuple((anchor(name), text(name)) for name in frames.frame_names(socket, action))
        yield Chapter(f"frames-{action}", title, frames.frame_sections(socket, action), entries)


def _events(socket: Document) -> Chapter:
    """Every type of event in one table, then the two shapes that they have."""
    components = socket["components"]["schemas"]
    types = table(("Type", "Status after it", "Meaning"), map(_event_row, _event_parts(socket)))
    shapes = list(dict.fromkeys(shape for _, shape, _, _ in _event_parts(socket)))
    sections = (section(name, components[name], components) for name in shapes)
    words = prose(components["Event"]["description"])
    head = el("h3", text("Types"), id=anchor("Event"))
    entries = ((anchor("Event"), text("Types")), *((anchor(n), text(n)) for n in shapes))
    return Chapter("events", "Events", join([words, head, types, *sections]), entries)


def _event_parts(socket: Document) -> Iterator[tuple[str, str, Document, str]]:
    """Of each type of event: its name, that of its shape, what it fixes of it, its meaning."""
    components = socket["components"]["schemas"]
    for one in components["Event"]["oneOf"]:
        name = name_of(one) or ""
        shape, fixed = components[name]["allOf"]
        yield name, name_of(shape) or "", fixed["properties"], components[name]["description"]


def _event_row(part: tuple[str, str, Document, str]) -> tuple[Html, Html, Html]:
    name, _, fixed, words = part
    status = type_of(fixed["status"]) if "status" in fixed else Html("")
    return el("span", code(fixed["type"]["const"]), id=anchor(name)), status, inline(words)


def _objects(rest: Document, socket: Document) -> Chapter:
    """Every named schema that was not shown as a frame or an event."""
    components = socket["components"]["schemas"] | rest["components"]["schemas"]
    events = (names[:2] for names in _event_parts(socket))
    shown = {"Event", *socket["components"]["messages"], *chain.from_iterable(events)}
    names = [name for name in sorted(components) if name not in shown]
    body = join(section(name, components[name], components) for name in names)
    return Chapter("objects", "Objects", body, tuple((anchor(n), text(n)) for n in names))


def _errors() -> Chapter:
    codes: dict[str, Document] = msgspec.json.decode(schemas.read("errors.json"))
    rows = (
        (
            el("span", code(name), id=f"error-{name}"),
            text(one["status"]),
            text(one.get("close", "")),
            text("yes" if one["retryable"] else "no"),
            join([el("strong", text(one["title"] + ".")), inline(one["description"])], " "),
        )
        for name, one in codes.items()
    )
    words = (
        "Every error is a problem document, over WebSocket the `data` of an `error` frame. "
        "`Retryable` says whether the same call, repeated later, may succeed. Close is the code "
        "that the WebSocket is closed with, if it is closed for this."
    )
    heads = ("Code", "Status", "Close", "Retryable", "Meaning")
    return Chapter("errors", "Errors", join([prose(words), table(heads, rows)]))


def _limits() -> Chapter:
    document: Document = msgspec.json.decode(schemas.read("limits.json"))
    closes = (
        (code(one["code"]), code(name), text("yes" if one["reconnect"] else "no"),
         inline(one["meaning"]))
        for name, one in document["closeCodes"].items()
    )  # fmt: skip
    limits = (
        (code(name), text(f"{one['value']:,} {one['unit']}"), inline(one["meaning"]))
        for name, one in document["limits"].items()
    )
    body = join([
        el("h3", text("WebSocket close codes"), id="close-codes"),
        table(("Code", "Name", "Reconnect", "Meaning"), closes),
        el("h3", text("Limits"), id="limits"),
        table(("Limit", "Value", "Meaning"), limits),
    ])  # fmt: skip
    entries = (("close-codes", text("Close codes")), ("limits", text("Limits")))
    return Chapter("bounds", "Close codes and limits", body, entries)
