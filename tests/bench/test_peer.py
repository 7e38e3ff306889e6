"""The peer does the job that it is compared in: what it refuses, the broker refuses too."""

from __future__ import annotations

import http.client
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

import msgspec
import pytest
import trio
import uvloop

from bench.dialects import ANSWER, SCHEMA
from bench.processes import serving
from bench.stack import execute, peer_service, token
from tests.servers import with_database

NOBODY = "00000000-0000-4000-8000-000000000000"
ASKER = token("asker", "request")


@pytest.fixture
def peer_database(postgres_url: str) -> Iterator[str]:
    uvloop.run(execute(postgres_url, "create database peer_test"))
    try:
        yield with_database(postgres_url, "peer_test")
    finally:
        uvloop.run(execute(postgres_url, "drop database peer_test with (force)"))


class Caller:
    """Posts to the peer."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def post(self, path: str, bearer: str, body: object) -> tuple[int, dict[str, object]]:
        return await trio.to_thread.run_sync(self._post, path, bearer, body)

    def _post(self, path: str, bearer: str, body: object) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer {bearer}"}
            connection.request("POST", path, msgspec.json.encode(body), headers)
            reply = connection.getresponse()
            return reply.status, msgspec.json.decode(reply.read(), type=dict[str, object])
        finally:
            connection.close()

    async def add_responder(self, handle: str) -> tuple[str, str]:
        """A new entity's id, and a token to act as it."""
        _, reply = await self.post("/entities", token("admin", "admin"), {"handle": handle})
        entity = str(reply["entityId"])
        return entity, token(handle, "respond", entity)

    async def create(self, to: str) -> str:
        status, reply = await self.post("/requests", ASKER, {"to": to, "schema": SCHEMA})
        assert status == 201
        return str(reply["requestId"])


@asynccontextmanager
async def open_peer(database_url: str, directory: Path) -> AsyncIterator[Caller]:
    service = peer_service(database_url)
    async with serving(service, directory / "peer.log"):
        yield Caller(service.port)


async def test_a_request_is_answered_once_and_by_its_addressee_alone(
    peer_database: str, tmp_path: Path
) -> None:
    async with open_peer(peer_database, tmp_path) as peer:
        entity, responder = await peer.add_responder("anna")
        _, other = await peer.add_responder("bert")
        request = await peer.create(entity)
        claim, answer = f"/requests/{request}/claim", f"/requests/{request}/response"
        payload = {"payload": ANSWER}
        wrong = {"payload": {"decision": "perhaps", "amount": -1}}

        assert (await peer.post(claim, other, {}))[0] == 404
        assert (await peer.post(answer, other, payload))[0] == 404
        assert (await peer.post(claim, ASKER, {}))[0] == 403
        assert (await peer.post(claim, responder, {}))[1]["status"] == "CLAIMED"
        status, problem = await peer.post(answer, responder, wrong)
        assert (status, problem["code"]) == (422, "invalid_answer")
        assert len(cast(list[object], problem["errors"])) == 4
        assert (await peer.post(answer, responder, payload))[1]["status"] == "ANSWERED"
        assert (await peer.post(answer, responder, payload))[0] == 409
        assert (await peer.post(claim, responder, {}))[0] == 409


BAD_REQUESTS: Final[list[tuple[object, int, str]]] = [
    ({"to": NOBODY, "schema": SCHEMA}, 422, "unknown_addressee"),
    ({"to": "nobody", "schema": SCHEMA}, 422, "unknown_addressee"),
    ({"to": NOBODY, "schema": {"type": 7}}, 422, "invalid_schema"),
    ({"to": NOBODY, "schema": SCHEMA, "more": 1}, 400, "invalid_request"),
    ({"schema": SCHEMA}, 400, "invalid_request"),
]


async def test_bad_requests_and_tokens_are_refused(peer_database: str, tmp_path: Path) -> None:
    async with open_peer(peer_database, tmp_path) as peer:
        for body, status, code in BAD_REQUESTS:
            got, problem = await peer.post("/requests", ASKER, body)
            assert (got, problem["code"]) == (status, code), body
        for bearer in ("", "nonsense", ASKER[:-4] + "AAAA"):
            got, _ = await peer.post("/requests", bearer, {"to": NOBODY, "schema": SCHEMA})
            assert got == 401, bearer
