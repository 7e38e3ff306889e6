"""REST operations and WebSocket frames as sections of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pxbox.rest.docs.html import (
    Html,
    code,
    el,
    fold,
    inline,
    join,
    json_block,
    pretty,
    prose,
    table,
    text,
)
from pxbox.rest.docs.schemas import (
    is_planned,
    limits,
    link,
    members_table,
    name_of,
    type_of,
)

Document = dict[str, Any]
METHODS = ("get", "head", "options", "post", "put", "patch", "delete")

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, its references to shared parts resolved."""

    method: str
    path: str
    source: Document
    document: Document

    @property
    def id(self) -> str:
        return str(self.source["operationId"])

    @property
    def tag(self) -> str:
        return str(self.source["tags"][0])

    @property
    def parameters(self) -> list[Document]:
        both = [*self.document["paths"][self.path].get("parameters", []),
                *self.source.get("parameters", [])]  # fmt: skip
        return [resolve(one, self.document) for one in both]

    @property
    def responses(self) -> dict[str, Document]:
        found = self.source["responses"]
        return {status: resolve(one, self.document) for status, one in found.items()}


def operations(document: Document) -> list[Operation]:
    return [
        Operation(method, path, item[method], document)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


def resolve(part: Document, document: Document) -> Document:
    """`part`, or what it refers to within `document`."""
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def anchor(operation: Operation) -> str:
    return f"op-{operation.id}"


def badge(method: str) -> Html:
    return el("span", text(method.upper()), cls=f"method {method}")


def operation_section(operation: Operation) -> Html:
    line = el("p", badge(operation.method), text(" "), code(operation.path), cls="route")
    parts = [
        el("h3", text(operation.source["summary"]), id=anchor(operation)),
        line,
        prose(operation.source["description"]),
        _calling(operation),
        _parameters(operation.parameters),
        _request(operation),
        *_replies(operation),
        _errors(operation),
    ]
    return el("section", *parts, cls="operation")


def planned_table(planned: list[Operation]) -> Html:
    """The routes that are named and not built, in one table."""
    rows = (
        (
            el("span", badge(one.method), text(" "), code(one.path), id=anchor(one)),
            text(one.source["summary"]),
            code(one.source["x-pxbox-op"]) if "x-pxbox-op" in one.source else Html(""),
        )
        for one in planned
    )
    return table(("Route", "For", "WebSocket op"), rows)


def _calling(operation: Operation) -> Html:
    return el("dl", *_call_facts(operation), cls="facts")


def _call_facts(operation: Operation) -> Iterator[Html]:
    yield el("dt", text("Access"))
    yield el("dd", _access(operation.source["security"]))
    if op := operation.source.get("x-pxbox-op"):
        yield el("dt", text("WebSocket"))
        yield el("dd", Html(f"a <code>cmd</code> with op {code(op)}"))


def _access(security: list[dict[str, list[str]]]) -> Html:
    if not security or {} in security:
        return text("no token needed")
    if all("cookie" in one for one in security):
        return text("the cookie of a login")
    scopes = [scope for one in security for scope in one["bearer"]]
    if not scopes:
        return text("any valid token")
    return Html(f"scope {join((code(scope) for scope in scopes), ' or ')}")


def _parameters(parameters: list[Document]) -> Html:
    if not parameters:
        return Html("")
    built = [one for one in parameters if not is_planned(one)]
    planned = [one for one in parameters if is_planned(one)]
    shown = join([el("h4", text("Parameters")), _parameter_table(built)])
    if not planned:
        return shown
    names = join((code(one["name"]) for one in planned), ", ")
    return join([shown, fold(Html(f"Not built yet: {names}"), _parameter_table(planned))])


def _parameter_table(parameters: list[Document]) -> Html:
    rows = []
    for one in parameters:
        mark = el("span", text("required"), cls="required") if one.get("required") else Html("")
        said = join(limits(one["schema"]), " · ")
        words = [inline(one["description"]), el("div", said, cls="limits") if said else Html("")]
        name = join([code(one["name"]), mark], " ")
        rows.append((name, text(one["in"]), type_of(one["schema"]), join(words)))
    return table(("Parameter", "In", "Type", "Meaning"), rows)


def _request(operation: Operation) -> Html:
    body = operation.source.get("requestBody")
    if body is None:
        return _curl(operation, None) if operation.path.startswith("/v1/") else Html("")
    media = body["content"].get("application/json")
    if media is None:
        return join([el("h4", text("Body: the bytes of the file")), _curl(operation, None)])
    name = name_of(media["schema"]) or ""
    components = operation.document["components"]["schemas"]
    examples = {key: one["value"] for key, one in media.get("examples", {}).items()}
    first = next(iter(examples.values()), None)
    optional = Html("") if body["required"] else text(" (may be left out)")
    return join([
        el("h4", text("Body: "), link(name), optional),
        members_table(components[name], components),
        _curl(operation, first),
        *(example(key, value) for key, value in list(examples.items())[1:]),
    ])  # fmt: skip


def _curl(operation: Operation, body: object) -> Html:
    """The call as a shell command; `$PXBOX` is where the broker listens."""
    method = f" -X {operation.method.upper()}" if operation.method != "get" else ""
    path = _PLACEHOLDER.sub(lambda match: "$" + match[1].upper(), operation.path)
    lines = [f'curl{method} "$PXBOX{path}"']
    if operation.source["security"]:
        lines.append('  -H "Authorization: Bearer $TOKEN"')
    if body is not None:
        lines.append("  -H 'Content-Type: application/json'")
        lines.append("  -d '" + pretty(body).replace("'", r"'\''") + "'")
    return el("pre", el("code", text(" \\\n".join(lines))), cls="shell", tabindex="0")


def example(name: str, value: object) -> Html:
    return fold(text(f"Example: {name.replace('_', ' ')}"), json_block(value))


def _replies(operation: Operation) -> Iterator[Html]:
    for status, response in operation.responses.items():
        if "x-pxbox-codes" in response:
            continue
        media = response.get("content", {}).get("application/json", {})
        name = name_of(media.get("schema", {}))
        title = [text(f"Reply {status}"), Html(f": {link(name)}") if name else Html("")]
        yield el("h4", *title)
        yield el("p", inline(response["description"]), _reply_headers(response, operation.document))
        for key, one in media.get("examples", {}).items():
            yield example(key, one["value"])


def _reply_headers(response: Document, document: Document) -> Html:
    if not (headers := response.get("headers")):
        return Html("")
    named = (
        Html(f"{code(name)}: {inline(resolve(one, document)['description'])}")
        for name, one in headers.items()
    )
    return el("ul", *(el("li", words) for words in named), cls="headers")


def error_link(name: str) -> Html:
    return el("a", code(name), href=f"#error-{name}")


def _errors(operation: Operation) -> Html:
    failures = [(s, r) for s, r in operation.responses.items() if "x-pxbox-codes" in r]
    if not failures:
        return Html("")
    rows = (
        (
            text("any" if status == "default" else status),
            join(map(error_link, response["x-pxbox-codes"]), " "),
            inline(response["description"]),
        )
        for status, response in failures
    )
    statuses = join((text(status) for status, _ in failures if status.isdigit()), ", ")
    return fold(Html(f"Errors: {statuses}"), table(("Status", "Codes", "When"), rows))
