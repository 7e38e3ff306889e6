"""An error as the problem document that both transports send (RFC 9457)."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

import schemas
from pxbox.model.errors import PxError


class ErrorFacts(msgspec.Struct, frozen=True):
    """What `schemas/errors.json` says of a code."""

    status: int
    title: str
    retryable: bool = False


@cache
def catalogue() -> dict[str, ErrorFacts]:
    """Every code of the contract."""
    return msgspec.json.decode(schemas.read("errors.json"), type=dict[str, ErrorFacts])


def problem_of(code: str, detail: str) -> dict[str, Any]:
    """The problem document of a code of the contract, with its standard members."""
    facts = catalogue()[code]
    return {
        "type": f"urn:pxbox:problem:{code}",
        "title": facts.title,
        "status": facts.status,
        "code": code,
        "detail": detail,
        "retryable": facts.retryable,
    }


def problem(error: PxError) -> dict[str, Any]:
    """The problem document of an error; its own members stand beside the standard ones."""
    document = problem_of(error.code, error.detail)
    if error.errors:
        document["errors"] = [
            {"pointer": e.pointer, "message": e.message, "keyword": e.keyword} for e in error.errors
        ]
    return document | error.members
