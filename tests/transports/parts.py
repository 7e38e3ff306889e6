"""Payloads that travel in parts, as a client cuts and joins them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tests.contract.documents import Json
from tests.transports.clients import CheckedSocket

PIECE_CHARACTERS = 400_000


def cut(
    id: str, op: str, data: Mapping[str, Any], size: int = PIECE_CHARACTERS, **meta: Any
) -> list[Json]:
    """The frames of a command in parts, each piece of so many characters."""
    return cut_text(id, op, json.dumps(data, ensure_ascii=False), size, **meta)


def cut_text(id: str, op: str, text: str, size: int = PIECE_CHARACTERS, **meta: Any) -> list[Json]:
    """The same for the text of `data`, which need not be JSON."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [
        {"type": "cmd", "id": id, "op": op, "data": piece,
         "meta": {"part": number, "of": len(pieces), "sha256": digest, **meta}}
        for number, piece in enumerate(pieces, start=1)
    ]  # fmt: skip


def parts_of(socket: CheckedSocket, id: str) -> list[Json]:
    """The parts of the reply with this id that have come, as they came."""
    return [f for f in socket.frames if f.get("id") == id and "part" in f.get("meta", {})]


def joined(parts: list[Json]) -> Json:
    """The reply that these parts make, held to their numbers and to their hash."""
    first = parts[0]["meta"]
    assert [part["meta"]["part"] for part in parts] == list(range(1, first["of"] + 1))
    assert {(part["id"], part["op"], part["meta"]["sha256"]) for part in parts} == {
        (parts[0]["id"], parts[0]["op"], first["sha256"])
    }
    text = "".join(part["data"] for part in parts)
    assert hashlib.sha256(text.encode()).hexdigest() == first["sha256"]
    reply: Json = json.loads(text)
    return reply


async def reply_to(socket: CheckedSocket, id: str, seconds: float = 30.0) -> Json:
    """The frame that answers this id, or the whole reply where it comes in parts."""

    def answers() -> list[Json]:
        return [f for f in socket.frames if f.get("id") == id]

    def whole() -> bool:
        found = answers()
        return bool(found) and (
            "part" not in found[0].get("meta", {}) or len(found) == found[0]["meta"]["of"]
        )

    await socket.until(whole, seconds)
    found = answers()
    return joined(found) if "part" in found[0].get("meta", {}) else found[0]
