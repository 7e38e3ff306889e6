"""Tokens that nobody should send: forged, expired, or saying what no token can (X1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from tests.brokers import SECRET, Broker
from tests.transports.clients import checked, unique


def token(**claims: Any) -> str:
    made = {"sub": unique("x"), "scope": "request", "exp": 2**33, **claims}
    kept = {name: value for name, value in made.items() if value is not ...}
    return jwt.encode(kept, SECRET, "HS256")


def expired() -> str:
    return token(exp=int((datetime.now(UTC) - timedelta(minutes=1)).timestamp()))


TOKENS: list[tuple[Callable[[], str], str]] = [
    (lambda: "garbage", "unauthenticated"), (lambda: "a.b.c", "unauthenticated"),
    (lambda: "." * 1000, "unauthenticated"), (lambda: "x" * 9000, "unauthenticated"),
    (lambda: jwt.encode({"sub": "x", "exp": 2**33}, "", "none"), "unauthenticated"),
    (lambda: jwt.encode({"sub": "x", "exp": 2**33}, SECRET + "!", "HS256"), "unauthenticated"),
    (lambda: jwt.encode({"sub": "x", "exp": 2**33}, SECRET * 2, "HS512"), "unauthenticated"),
    (expired, "token_expired"), (lambda: token(exp=...), "unauthenticated"),
    (lambda: token(exp="2041"), "unauthenticated"), (lambda: token(exp=1e300), "unauthenticated"),
    (lambda: token(nbf=2**33 - 1), "unauthenticated"), (lambda: token(sub=""), "unauthenticated"),
    (lambda: token(sub=5), "unauthenticated"), (lambda: token(sub="a\0"), "unauthenticated"),
    (lambda: token(sub="x" * 257), "unauthenticated"), (lambda: token(scope=[]), "unauthenticated"),
    (lambda: token(entity="a\0"), "unauthenticated"), (lambda: token(entity={}), "unauthenticated"),
    (lambda: token(entity="nobody"), ""), (lambda: token(scope="admin \0"), ""),
    (lambda: token(sub="\U0001f600' or 1=1; --"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("make", "code"), TOKENS)
async def test_a_token_gets_its_problem(
    shared_broker: Broker, make: Callable[[], str], code: str
) -> None:
    async with checked(shared_broker, make()) as rest:
        reply = await rest.get("/v1/entities/nobody")
    assert reply.json()["code"] == (code or "not_found")
