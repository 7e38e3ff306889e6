"""What can be seen of a broker from outside: figures, its log, its documents (X5)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pxbox.rest.openapi import DOCUMENTS, bundled
from tests.brokers import Broker, Brokers
from tests.contract.documents import Json
from tests.transports.clients import ANYTHING, Party, checked, connected, unique

Make = Callable[..., Party]

FAMILIES = {
    "commits": {"pxbox_commits"},
    "batch size": {"pxbox_commit_batches", "pxbox_commit_batch_largest"},
    "guards failed": {"pxbox_guards_failed"},
    "mailbox depth": {"pxbox_mailbox_messages", "pxbox_mailbox_deepest"},
    "active actors": {"pxbox_actors_active", "pxbox_actors_resident"},
    "connections": {"pxbox_connections", "pxbox_websockets"},
    "outbox bytes": {"pxbox_outbox_bytes"},
    "event lag": {"pxbox_event_lag_seconds"},
    "unrelayed age": {"pxbox_unrelayed_age_seconds"},
    "HTTP latency": {"pxbox_http_request_seconds"},
    "command latency": {"pxbox_ws_command_seconds"},
    "flows": {"pxbox_flow_wake_seconds", "pxbox_flow_replays"},
}


@pytest.mark.parametrize(
    ("scope", "status"),
    [("operate", 200), ("admin", 200), ("request respond override audit flow", 403), ("", 403)],
)
async def test_figures_are_for_operators(party: Make, scope: str, status: int) -> None:
    reply = await party(scope=scope).rest.get("/metrics")
    assert reply.status_code == status


async def test_figures_are_not_for_who_has_no_token(shared_broker: Broker) -> None:
    async with checked(shared_broker) as nobody:
        assert (await nobody.get("/metrics")).status_code == 401


def figures(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_every_figure_is_there_and_counts(party: Make, asker: Party, ana: Party) -> None:
    operator = party(scope="operate")
    before = figures((await operator.rest.get("/metrics")).text)
    async with ana.socket() as socket:
        id = await asker.ask(ana.sub)
        await socket.command("claimRequest", {"id": id})
        assert await ana.refused("postResponse", id="x" * 26, payload=1) == "not_found"
        text = (await operator.rest.get("/metrics")).text
    families = {family.name for family in text_string_to_metric_families(text)}
    for what, names in FAMILIES.items():
        assert names <= families, what
    now = figures(text)

    def grew(name: str, **labels: str) -> float:
        key = name, frozenset(labels.items())
        return now[key] - before.get(key, 0)

    assert grew("pxbox_commits_total") == 2
    assert grew("pxbox_http_request_seconds_count", operation="createRequest", status="201") == 1
    assert grew("pxbox_http_request_seconds_count", operation="postResponse", status="404") == 1
    assert grew("pxbox_ws_command_seconds_count", operation="claimRequest", code="ok") == 1
    assert now["pxbox_websockets", frozenset()] >= 1
    # No label is made of what callers send: their number is bounded.
    assert id not in text
    assert ana.sub not in text


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_the_contract_is_served_to_everybody(shared_broker: Broker, name: str) -> None:
    async with checked(shared_broker) as nobody:
        reply = await nobody.get(f"/{name}")
    assert reply.content == bundled(name)


async def test_the_documentation_needs_no_token_no_script_and_no_other_host(
    shared_broker: Broker,
) -> None:
    async with checked(shared_broker) as nobody:
        reply = await nobody.get("/docs")
    page = reply.text
    assert reply.headers["content-type"].startswith("text/html")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in page.lower()
    fetched = re.findall(r"""(?:src|srcset|data|action|poster)\s*=\s*["']([^"']*)""", page)
    assert fetched == []
    links = set(re.findall(r'href="([^"]*)"', page))
    assert {link for link in links if not link.startswith("#")} == {*DOCUMENTS}
    assert not re.search(r"url\(|@import", page)


class Marked:
    """Texts that nobody but the callers may ever see again, by where they were put."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def __getitem__(self, place: str) -> str:
        return self.texts.setdefault(place, unique(f"secret-{place}"))


async def test_no_token_and_nothing_of_what_was_sent_is_in_the_log(brokers: Brokers) -> None:
    broker = brokers("--log-level", "debug")
    marked = Marked()
    one = Party(broker, unique("one"))
    async with one.rest:
        await one.entity("user", one.sub, meta={"m": marked["entity"]})
        await everything(one, marked)
        await refusals(broker, one, marked)
        async with one.socket() as socket:
            for text in (f'{{"id":"{marked["frame"]}"', f'"{marked["frame"]}"'):
                await socket.say(text)
            await socket.closed.wait()
        async with one.socket() as socket:
            for op in (marked["op"], "createRequest"):
                await socket.ask(type="cmd", op=op, data={marked["member"]: marked["value"]})
    broker.stop()
    log = broker.log.read_text()
    assert "drained" in log
    leaked = [place for place, text in marked.texts.items() if text in log]
    assert leaked == []
    for part in one.token.split("."):
        assert part not in log
    assert one.sub not in log


async def everything(one: Party, marked: Marked) -> None:
    """A request through its life, with a mark in each text of it."""
    schema: Json = {"title": marked["title"], "type": "object", "description": marked["schema"]}
    body = {
        "to": one.sub, "schema": schema, "prefill": {"p": marked["prefill"]},
        "uiHints": marked["hints"], "meta": {"m": marked["meta"]},
    }  # fmt: skip
    made = await one.rest.post(
        "/v1/requests", json=body, headers={"Idempotency-Key": marked["key"]}
    )
    id = made.json()["requestId"]
    assert await one.refused("postResponse", id=id, payload=marked["wrong"]) == "invalid_answer"
    await one.done("postResponse", id=id, payload={"a": marked["payload"]})
    again = await one.ask(one.sub)
    await one.done("declineRequest", id=again, reason=marked["reason"])
    await one.done("listInquiries", q=marked["q"], requestor=marked["requestor"])
    await one.done("validate", schema={"const": marked["const"]}, data=marked["data"])


async def refusals(broker: Broker, one: Party, marked: Marked) -> None:
    """What is refused is nobody's business either."""
    for path in (f"/v1/{marked['path']}", f"/v1/requests/{marked['id']}?x={marked['query']}"):
        await one.rest.get(path)
    await one.rest.post("/v1/requests", content=f'{{"{marked["broken"]}'.encode())
    await one.rest.post(
        "/v1/validate", content=b"x", headers={"Content-Type": f"text/{marked['media']}"}
    )
    assert await one.refused("createRequest", to=marked["to"], schema=ANYTHING)
    forged = ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
        for part in (json.dumps({"alg": "HS256"}), json.dumps({"sub": marked["sub"]}), "x" * 32)
    )
    for token in (marked["token"], forged, one.token + marked["suffix"]):
        async with checked(broker, token) as rest:
            assert (await rest.get("/v1/inquiries")).status_code == 401
    # What no HTTP can hold, is refused by the edge.
    async with broker.rest(one.token) as rest:
        reply = await rest.get("/v1/inquiries", headers={"X-Long": marked["header"] * 2000})
        assert reply.status_code == 431
        with pytest.raises(httpx.LocalProtocolError):
            await rest.get("/v1/inquiries", headers={"X-Bad": "a\nb"})
    with pytest.raises(Exception, match="401"):
        async with connected(broker, marked["socket token"]):
            pytest.fail("it was accepted")
