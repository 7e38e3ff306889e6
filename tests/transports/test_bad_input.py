"""What nobody should send, over REST and over WebSocket: each gets the problem that it deserves.

After every test the broker has no fault in its log (see conftest), and the one broker of this
folder serves on.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.brokers import Broker
from tests.contract.documents import Json
from tests.transports.checking import check_problem
from tests.transports.clients import (
    ANYTHING,
    Party,
    over_rest,
    over_websocket,
    unique,
)
from tests.transports.samples import SAMPLES, changed, filled, texts, written

Make = Callable[..., Party]
MEBIBYTE = 1024 * 1024
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@dataclass
class Cast:
    """Everybody by name, and what the samples speak of."""

    people: dict[str, Party]
    world: dict[str, str]

    def sample(self, op: str) -> tuple[Party, Json]:
        who, data = SAMPLES[op]
        return self.people[who], filled(data, {**self.world, "handle": unique("new")})


@pytest.fixture
async def everybody(party: Make, asker: Party, ana: Party, ben: Party, admin: Party) -> Cast:
    maker = party(unique("maker"), "flow request worker:*")
    people = {"asker": asker, "ana": ana, "ben": ben, "admin": admin, "maker": maker}
    people["audit"] = party(unique("audit"), "audit operate")
    world = {name: one.sub for name, one in people.items()}
    world["flow"] = (await maker.done("createFlow", kind="expense"))["flowId"]
    kinds = [{"kind": unique("kind"), "version": 1}]
    world["session"] = (await maker.done("openSession", kinds=kinds))["sessionId"]
    world["request"] = await asker.ask(ana.sub, ben.sub)
    world["group"] = (await admin.entity("group"))["address"]
    return Cast(people, world)


async def raw(party: Party, path: str, content: bytes, media: str = "application/json") -> str:
    """The code of the problem that a body gets, "" where it is taken."""
    headers = {"content-type": media} if media else {}
    reply = await party.rest.post(path, content=content, headers=headers)
    return "" if reply.is_success else str(reply.json()["code"])


BODIES: list[tuple[bytes, str]] = [
    (b"{", "malformed_json"), (b"nonsense", "malformed_json"), (b"{}{}", "malformed_json"),
    (b"{'reason': 1}", "malformed_json"), (b'{"reason": NaN}', "malformed_json"),
    (b'{"reason": Infinity}', "malformed_json"), (b'{"reason": -Infinity}', "malformed_json"),
    (b'{"reason": 01}', "malformed_json"), (b'{"reason": "a\nb"}', "malformed_json"),
    (b'{"reason": "\x00"}', "malformed_json"), (b'{"reason": "\xff"}', "malformed_json"),
    (b"\xff\xfe{\x00}\x00", "malformed_json"), (b"\xef\xbb\xbf{}", "malformed_json"),
    (b'{"reason": "\xed\xa0\x80"}', "malformed_json"), (b"{,}", "malformed_json"),
    (b'{"reason": "x"} // why', "malformed_json"),
    (b"[]", "invalid_request"), (b"null", "invalid_request"), (b'"text"', "invalid_request"),
    (b"1", "invalid_request"), (b"[{}]", "invalid_request"),
    (b'{"colour": 1}', "invalid_request"), (b'{"": 1}', "invalid_request"),
    (b'{"Reason": "x"}', "invalid_request"), (b'{"reason": 1}', "invalid_request"),
    (b'{"reason": ["x"]}', "invalid_request"), (b'{"id": "x"}', "invalid_request"),
    (b'{"reason": "' + b"x" * 4097 + b'"}', "invalid_request"),
    (b'{"reason": "\\u0000"}', "unsupported_text"), (b'{"a\\u0000": 1}', "unsupported_text"),
    (b'{"reason": "\\ud800"}', "unsupported_text"), (b'{"\\udfff": 1}', "unsupported_text"),
    (b'{"reason": "\\ud800\\ud800"}', "unsupported_text"),
    (b'{"reason": 18446744073709551616}', "number_out_of_range"),
    (b'{"reason": -9223372036854775809}', "number_out_of_range"),
    (b'{"reason": 1e999}', "number_out_of_range"), (b'{"reason": -1e999}', "number_out_of_range"),
    (b'{"reason": ' + b"9" * 5000 + b"}", "number_out_of_range"),
    (b'{"reason": ' + b"[" * 65 + b"]" * 65 + b"}", "too_deep"),
    (b'{"reason": ' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}", "too_deep"),
    (b'{"reason": ' + b"[" * 500_000, "too_deep"),
    (b"", ""), (b"  \r\n\t", ""), (b"{}", ""), (b' { "reason" : "x" } ', ""),
    (b'{"reason": "\\ud83d\\ude00 \\\\u0000 \\"}{["}', ""),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code"), BODIES, ids=lambda value: str(value[:24]))
async def test_a_body_that_is_no_input_gets_its_problem(
    everybody: Cast, body: bytes, code: str
) -> None:
    party, data = everybody.sample("cancelRequest")
    assert await raw(party, f"/v1/requests/{data['id']}/cancel", body) == code
    # The same inside a frame; what is not JSON there ends the connection: see test_bad_frames.
    if code != "malformed_json" and body.strip() and not body.startswith(b'{"id"'):
        whole = body.strip()
        members = b'{"id":%b,' % written(data["id"]) + whole[1:] if whole[:1] == b"{" else whole
        members = members.replace(b",}", b"}")
        async with party.socket() as socket:
            frame = b'{"type":"cmd","id":"c","op":"cancelRequest","data":%b}' % members
            await socket.say(frame.decode())
            await socket.until(lambda: bool(socket.frames))
        assert socket.errors() == ([code] if code else [])


async def test_a_member_of_the_path_does_not_belong_in_the_body(everybody: Cast) -> None:
    asker, data = everybody.sample("cancelRequest")
    for id in (data["id"], NOBODY, 1, None):
        code = await raw(asker, f"/v1/requests/{data['id']}/cancel", written({"id": id}))
        assert code == "invalid_request"
    admin, member = everybody.sample("addMember")
    reply = await admin.rest.put(
        f"/v1/entities/{member['id']}/members/{member['member']}", json={"member": "somebody"}
    )
    assert reply.json()["code"] == "invalid_request"


async def test_what_would_be_ignored_in_a_query_is_refused(everybody: Cast) -> None:
    asker, data = everybody.sample("getRequest")
    path = f"/v1/requests/{data['id']}"
    for query in ("id=x", "colour=red", "limit=1"):
        assert (await asker.rest.get(f"{path}?{query}")).json()["code"] == "invalid_request"
    for query in ("since=0&since=1", "limit=2&limit=2"):
        reply = await asker.rest.get(f"{path}/events?{query}")
        assert reply.json()["code"] == "invalid_request"
    reply = await asker.rest.post(f"{path}/cancel?reason=x", json={})
    assert reply.json()["code"] == "invalid_request"
    assert (await asker.done("getRequest", id=data["id"]))["status"] == "PENDING"


async def test_of_members_given_twice_the_last_counts_everywhere(everybody: Cast) -> None:
    ana, data = everybody.sample("postResponse")
    path = f"/v1/requests/{data['id']}/response"
    assert await raw(ana, path, b'{"payload": 1, "payload": {"a": 1, "a": 2}}') == ""
    assert (await ana.done("getResponse", id=data["id"]))["payload"] == {"a": 2}
    assert await raw(ana, path, b'{"payload": {"a": 2}}') == ""


@pytest.mark.parametrize(
    ("media", "code"),
    [
        ("text/plain", "unsupported_media_type"), ("", ""), ("application/json", ""),
        ("application/x-www-form-urlencoded", "unsupported_media_type"),
        ("multipart/form-data; boundary=x", "unsupported_media_type"),
        ("application/jsonx", "unsupported_media_type"), ("json", "unsupported_media_type"),
        ("application/merge-patch+json", ""), ("Application/JSON ; charset=utf-8", ""),
        ("\xff", "unsupported_media_type"), (";", "unsupported_media_type"),
    ],
)  # fmt: skip
async def test_a_body_is_json_by_name(asker: Party, media: str, code: str) -> None:
    headers = [(b"content-type", media.encode("latin-1"))] if media else []
    reply = await asker.rest.post("/v1/validate", content=b'{"schema": {}}', headers=headers)
    assert reply.json().get("code", "") == code


@pytest.mark.parametrize("op", SAMPLES)
async def test_no_text_anywhere_may_hold_what_cannot_be_kept(everybody: Cast, op: str) -> None:
    """S9: NUL and lone surrogates, in every text of every operation, over both transports."""
    party, data = everybody.sample(op)
    for place in texts(data):
        # One connection each: it ends after so many frames that could not be read.
        async with party.socket() as socket:
            for bad in ("\0", "\ud800", "a\0b", "\udc00\ud800"):
                frame = {"type": "cmd", "id": "c", "op": op, "data": appended(data, place, bad)}
                await socket.say(written(frame).decode())
            await socket.until(lambda: len(socket.frames) == 4)
            assert socket.errors() == ["unsupported_text"] * 4, place
        outcome = await over_rest(party.rest, op, appended(data, place, "\0"))
        assert outcome.code == "unsupported_text", place


def appended(data: Json, place: tuple[Any, ...], text: str) -> Any:
    return changed(data, place, lambda present: present + text)


PATHS = [
    "/v1/requests/{}", "/v1/requests/{}/response", "/v1/requests/{}/events", "/v1/entities/{}",
    "/v1/entities/{}/queue",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("%00", "unsupported_text"), ("a%00", "unsupported_text"), ("%ff", "invalid_request"),
        ("%ED%A0%80", "invalid_request"), ("%C0%80", "invalid_request"), ("%zz", "not_found"),
        ("%", "not_found"), ("%2e%2e", "not_found"), ("%2F", "not_found"), ("%25", "not_found"),
        ("'%20or%201=1--", "not_found"), ("%F0%9F%98%80", "not_found"), ("+", "not_found"),
        ("x" * 20_000, "not_found"), (NOBODY.lower(), "not_found"), ("%7Bid%7D", "not_found"),
    ],
)  # fmt: skip
async def test_an_id_that_cannot_be_one_gets_its_problem(
    party: Make, path: str, sent: str, code: str
) -> None:
    reply = await party().rest.get(path.format(sent))
    assert reply.json()["code"] == code


QUERIES = [
    ("limit=0", "invalid_request"), ("limit=-1", "invalid_request"),
    ("limit=201", "invalid_request"), ("limit=x", "invalid_request"),
    ("limit=", "invalid_request"), ("limit=1.5", "invalid_request"),
    ("limit=99999999999999999999999", "invalid_request"), ("limit=%00", "unsupported_text"),
    ("status=pending", "invalid_request"), ("status=", "invalid_request"),
    ("sortBy=created%00", "unsupported_text"), ("sortBy=id", "invalid_request"),
    ("entityId=%00", "unsupported_text"), ("requestor=a%00b", "unsupported_text"),
    ("q=%00", "unsupported_text"), ("q=" + "x" * 257, "invalid_request"),
    ("Q=x", "invalid_request"), ("%00=1", "invalid_request"), ("=", "invalid_request"),
    ("cursor=", "invalid_cursor"), ("cursor=x", "invalid_cursor"), ("cursor==", "invalid_cursor"),
    ("cursor=%F0%9F%98%80", "invalid_cursor"), ("cursor=%00", "unsupported_text"),
    ("cursor=" + "A" * 20_000, "invalid_cursor"), ("entityId=nobody", "not_found"),
    ("entityId=", "not_found"), ("q=%25%27%22%5C", ""), ("requestor=%27--", ""),
    ("q=%ff", "invalid_request"), ("requestor=", ""), ("q=", ""),
]  # fmt: skip


@pytest.mark.parametrize(("query", "code"), QUERIES)
async def test_a_query_gets_its_problem(ana: Party, query: str, code: str) -> None:
    reply = await ana.rest.get(f"/v1/inquiries?{query}")
    assert reply.json().get("code", "") == code


FORGED_CURSORS: list[Any] = [
    ["deadline", "infinity", "x"], ["deadline", "infinity", NOBODY + "\0"],
    ["deadline", "infinity", "' or 1=1 --"], ["deadline", "now", NOBODY],
    ["deadline", "2020-W01-1T00:00+00:00", NOBODY], ["deadline", "epoch", NOBODY],
    ["deadline", "2020-01-01 00:00:00+23:59:59", NOBODY], ["deadline", "", NOBODY],
    ["deadline", "2020-02-30 00:00:00+00", NOBODY], ["deadline", "-infinity", NOBODY],
    ["deadline", "9999-12-31 23:59:59-23", NOBODY], ["created", "infinity", NOBODY],
    ["deadline", 1, NOBODY], ["deadline", "infinity"], {}, [], "x", None,
    ["deadline", "infinity", NOBODY, 1], ["deadline", None, None],
]  # fmt: skip


@pytest.mark.parametrize("forged", FORGED_CURSORS, ids=str)
async def test_a_cursor_is_one_that_was_given_out(ana: Party, forged: Any) -> None:
    cursor = base64.urlsafe_b64encode(msgspec.json.encode(forged)).decode().rstrip("=")
    assert await ana.refused("listInquiries", cursor=cursor) == "invalid_cursor"
    async with ana.socket() as socket:
        outcome = await over_websocket(socket, "listInquiries", {"cursor": cursor})
    assert outcome.code == "invalid_cursor"


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("2041-01-01T00:00:00", "invalid_time"), ("2020-01-01T00:00:00Z", "invalid_time"),
        ("1969-12-31T23:59:59Z", "invalid_time"), ("9999-12-31T23:59:59Z", "invalid_time"),
        ("9999-12-31T23:59:59-12:00", "invalid_time"),
        ("0001-01-01T00:00:00+12:00", "invalid_time"),
        ("10000-01-01T00:00:00Z", "invalid_request"), ("2041-01-01", "invalid_request"),
        ("2041-02-30T00:00:00Z", "invalid_request"), ("0000-01-01T00:00:00Z", "invalid_request"),
        ("tomorrow", "invalid_request"), ("", "invalid_request"), (5, "invalid_request"),
        (True, "invalid_request"), ([], "invalid_request"), ("P1D", "invalid_request"),
        ("9998-12-31T23:59:59-23:59", ""), ("2041-01-01T00:00:00+02:00", ""),
        ("2041-01-01t00:00:00.123456z", ""), ("2041-01-01T00:00:00-23:59", ""), (None, ""),
    ],
)  # fmt: skip
async def test_a_time_gets_its_problem(asker: Party, ana: Party, time: Any, code: str) -> None:
    body: Json = {"to": ana.sub, "schema": ANYTHING}
    async with asker.socket() as socket:
        for name in ("deadlineAt", "expiresAt"):
            for outcome in (
                await over_rest(asker.rest, "createRequest", {**body, name: time}),
                await over_websocket(socket, "createRequest", {**body, name: time}),
            ):
                assert (outcome.code or "") == code
        outcome = await over_rest(asker.rest, "createRequest", {**body, "attentionAt": time})
        # That a time to be reminded at has passed is no reason to refuse the request.
        passed = time == "2020-01-01T00:00:00Z"
        assert (outcome.code or "") == ("" if passed else code)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"claimTtl": 0}, "invalid_request"), ({"claimTtl": -1}, "invalid_request"),
        ({"claimTtl": 2_592_001}, "invalid_request"), ({"claimTtl": 1.5}, "invalid_request"),
        ({"claimTtl": "60"}, "invalid_request"), ({"claimTtl": None}, "invalid_request"),
        ({"claimTtl": True}, "invalid_request"), ({"claimTtl": 2**63}, "invalid_request"),
        ({"claimTtl": 2**64}, "number_out_of_range"), ({"claimTtl": 1}, ""),
        ({"claimTtl": 2_592_000}, ""), ({"claimRequired": 1}, "invalid_request"),
        ({"meta": []}, "invalid_request"), ({"meta": "x"}, "invalid_request"),
        ({"schemaKind": 1}, "invalid_request"), ({"to": []}, "invalid_request"),
        ({"to": ["x"] * 33}, "invalid_request"), ({"to": ["x"] * 20_000}, "invalid_request"),
        ({"to": [1]}, "invalid_request"), ({"to": {}}, "invalid_request"),
        ({"to": None}, "invalid_request"), ({"to": [["x"]]}, "invalid_request"),
        ({"to": "x" * 900_000}, "unknown_addressee"), ({"to": ""}, "unknown_addressee"),
        ({"to": [""]}, "unknown_addressee"), ({"to": "group:"}, "unknown_addressee"),
        ({"to": ":"}, "unknown_addressee"), ({"to": "role:\U0001f600"}, "unknown_addressee"),
        ({"to": "x", "entity": {"id": "x"}}, "invalid_request"),
        ({"entity": {}}, "invalid_request"), ({"entity": {"name": "x"}}, "invalid_request"),
        ({"schema": None}, "invalid_schema"), ({"schema": []}, "invalid_schema"),
        ({"schema": 1}, "invalid_schema"), ({"schema": {"$ref": "#/nowhere"}}, "unresolvable_ref"),
        ({"schema": {"properties": {"a": {"pattern": "("}}}}, "invalid_schema"),
        ({"deadlineAt": "2041-01-01T00:00:00Z", "expiresAt": "2042-01-01T00:00:00Z"},
         "invalid_time"),
        ({"deadlineAt": "2041-01-01T00:00:00Z", "attentionAt": "2041-01-01T00:00:00Z"},
         "invalid_time"),
        ({"prefill": [1e-320, -0.0, 2**64 - 1, -(2**63)]}, ""),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
async def test_a_request_gets_its_problem(
    asker: Party, ana: Party, members: Json, code: str
) -> None:
    body = {"schema": ANYTHING, **({} if "entity" in members else {"to": ana.sub}), **members}
    async with asker.socket() as socket:
        for outcome in (
            await over_rest(asker.rest, "createRequest", body),
            await over_websocket(socket, "createRequest", body),
        ):
            assert (outcome.code or "") == code


@pytest.mark.parametrize("levels", [64, 65])
async def test_a_document_is_so_deep_and_no_deeper(asker: Party, ana: Party, levels: int) -> None:
    # The body is the first level.
    nested = b"[" * (levels - 1) + b"]" * (levels - 1)
    body = b'{"to":%b,"schema":{},"prefill":%b}' % (written(ana.sub), nested)
    assert await raw(asker, "/v1/requests", body) == ("" if levels == 64 else "too_deep")


async def test_a_body_is_so_large_and_no_larger(shared_broker: Broker, asker: Party) -> None:
    fits = b'{"schema": {}}'.ljust(MEBIBYTE)
    assert await raw(asker, "/v1/validate", fits) == ""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * (MEBIBYTE // 16)

    # The edge refuses it before there is a call, and ends the connection.
    async with shared_broker.rest(asker.token) as rest:
        for content in (fits + b" ", chunks()):
            reply = await rest.post("/v1/validate", content=content)
            check_problem(reply, {"payload_too_large"})


async def test_a_lost_claim_and_a_late_answer_are_told_what_won(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub, ben.sub, claimTtl=1)
    await ana.done("claimRequest", id=id)
    lapsed = await asker.rest.get(
        f"/v1/requests/{id}/events?since=2", headers={"Prefer": "wait=30"}
    )
    assert [one["data"]["type"] for one in lapsed.json()["items"]] == ["request.released"]
    held = await ben.done("postResponse", id=id, payload="first")
    reply = await ana.rest.post(f"/v1/requests/{id}/response", json={"payload": "late"})
    assert (reply.status_code, reply.json()["code"]) == (409, "wrong_status")
    assert reply.json()["closedBy"] == ben.entity_id
    assert reply.json()["closedAt"] == held["answeredAt"]


async def test_the_broker_serves_on(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    async with ana.socket() as socket:
        answered = await socket.command("postResponse", {"id": id, "payload": 1})
    assert await asker.done("getResponse", id=id) == answered
