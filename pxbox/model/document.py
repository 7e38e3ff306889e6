"""A JSON value as it is kept: in one spelling, whatever spelling it came in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from pxbox.model.decoding import decode_json


@dataclass(frozen=True, slots=True)
class Document:
    """`text` is compact JSON without repeated members; `hash` is the same for all spellings.

    `value` is what msgspec decodes `text` to, UNSET where that would take too long here (X4).
    """

    text: bytes
    hash: str
    value: object = UNSET


def read_document(raw: bytes) -> Document:
    """Read a value. Raises what `decode_json` does."""
    value = decode_json(raw)
    return Document(msgspec.json.encode(value), canonical_hash(value), value)


def canonical_hash(value: object) -> str:
    """The sha256 of a JSON value, whatever the order of its members and its white space."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()
