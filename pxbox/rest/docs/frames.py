"""WebSocket frames as sections of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pxbox.rest.docs.html import Html, code, join, table
from pxbox.rest.docs.operations import example
from pxbox.rest.docs.schemas import link, name_of, section

Document = dict[str, Any]


def frame_sections(document: Document, action: str) -> Html:
    """The frames that the broker receives or sends, each with its examples."""
    messages = document["components"]["messages"]
    components = document["components"]["schemas"]
    return join(
        join([section(name, components[name], components), _examples(messages[name])])
        for name in frame_names(document, action)
    )


def _examples(message: Document) -> Html:
    return join(example(one["name"], one["payload"]) for one in message.get("examples", []))


def frame_names(document: Document, action: str) -> list[str]:
    """Names of frames in the order of the document; replies count as sent."""
    names: dict[str, None] = {}
    for operation in document["operations"].values():
        if operation["action"] == action:
            names |= dict.fromkeys(map(_name, operation["messages"]))
        if action == "send":
            names |= dict.fromkeys(map(_name, operation.get("reply", {}).get("messages", [])))
    return list(names)


def _name(reference: Document) -> str:
    return name_of(reference) or ""


def command_table(document: Document) -> Html:
    """What each operation takes as `data` of its command, and gives as `data` of its response."""
    components = document["components"]["schemas"]
    replies = dict(_data_by_op(components["ResponseFrame"]))
    rows = (
        (code(op), link(taken), link(replies[op]))
        for op, taken in _data_by_op(components["CmdFrame"])
    )
    return table(("Op", "Takes", "Gives"), rows)


def _data_by_op(frame: Document) -> Iterator[tuple[str, str]]:
    for case in frame["allOf"]:
        op = case["if"]["properties"]["op"]["const"]
        yield op, _name(case["then"]["properties"]["data"])
