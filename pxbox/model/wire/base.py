"""What all that travels is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Reason = Annotated[str, Meta(max_length=4096)]
HandOverReason = Annotated[str, Meta(max_length=256)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Ids = Annotated[list[str], Meta(min_length=1, max_length=1000)]
PageSize = Annotated[int, Meta(ge=1, le=200)]
SchemaKind = Literal["jsonschema", "jsonexample", "ref"]


class Input(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What an operation takes: path, query and body of REST in one, or `data` of a `cmd`."""


class Reply(Struct, rename="camel", kw_only=True):
    """What an operation gives back."""


class RequestId(Input):
    id: str


class ErrorItem(Reply):
    pointer: str
    message: str
    keyword: str
