"""Valid calls, mutilated at random: whatever comes of it, it is in the contract and no fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pxbox.rest.routes import ROUTES, Route
from tests.brokers import REPLY_SECONDS, Broker
from tests.contract.documents import Json
from tests.transports.checking import check_frame, check_read
from tests.transports.clients import unique
from tests.transports.samples import SAMPLES, changed, filled, written

CALLS = 300
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(["$ana", "$group", "$request", "$schema", "2041-01-01T00:00:00Z", "#", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value, its own included."""
    yield path
    if isinstance(value, dict | list):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*path, name))


@st.composite
def mutilated(draw: st.DrawFn, value: Any) -> Any:
    """`value` with something replaced, left out, added, or put one level deeper."""
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(list(places(value))))
        name = draw(st.text(max_size=8) | st.sampled_from(["id", "meta", "$ref", "type"]))
        how = draw(st.sampled_from(["replace", "drop", "add", "wrap"]))
        value = changed(value, place, partial(_mutilated, how, name, draw(anything)))
    return value


def _mutilated(how: str, name: str, other: Any, present: Any) -> Any:
    if how == "wrap":
        return [present]
    if how == "add" and isinstance(present, dict):
        return {**present, name: other}
    if how == "drop" and isinstance(present, list):
        return present[1:]
    if how == "drop" and isinstance(present, dict):
        return dict(list(present.items())[1:])
    return other


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> bytes:
    """JSON, sometimes with a byte too many, too few, or another."""
    text = written(value)
    if draw(st.integers(0, 3)) == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        left_out = draw(st.integers(0, 2))
        text = text[:at] + draw(st.binary(max_size=3)) + text[at + left_out :]
    return text


samples = st.sampled_from(sorted(SAMPLES)).flatmap(
    lambda op: st.tuples(st.just(op), mutilated(SAMPLES[op][1]))
)


@pytest.fixture(scope="module")
def world(shared_broker: Broker) -> dict[str, str]:
    """What the samples speak of, and a token for everybody."""
    subs = {name: unique(name) for name in ("asker", "ana", "ben")}
    known = {**subs, "handle": unique("new")}
    headers = {"authorization": f"Bearer {shared_broker.token(subs['asker'])}"}
    with httpx.Client(base_url=shared_broker.url, headers=headers, timeout=REPLY_SECONDS) as rest:
        for name in ("ana", "ben"):
            entity = {"kind": "user", "handle": subs[name]}
            assert rest.post("/v1/entities", json=entity).status_code == 201
        group = {"kind": "group", "handle": unique("group")}
        known["group"] = rest.post("/v1/entities", json=group).json()["address"]
        flow = rest.post("/v1/flows", json={"kind": "expense"}).json()
        known["flow"] = flow["flowId"]
        kinds = [{"kind": unique("kind"), "version": 1}]
        session = rest.post("/v1/workers", json={"kinds": kinds}).json()
        known["session"] = session["sessionId"]
        asked = {"to": subs["ana"], "schema": SAMPLES["validate"][1]["schema"]}
        known["request"] = rest.post("/v1/requests", json=asked).json()["requestId"]
    return known


def target(route: Route, data: Any) -> tuple[str, Any]:
    """The path of a call, and what of its input is not in it."""
    rest = dict(data) if isinstance(data, dict) else data
    path = route.path
    for name in ("id", "member"):
        if f"{{{name}}}" in path:
            value = rest.pop(name, "x") if isinstance(rest, dict) else "x"
            text = value if isinstance(value, str) else repr(value)
            path = path.replace(
                f"{{{name}}}", quote(text.encode("utf-8", "surrogatepass"), safe="")
            )
    return path.replace("//", "/x/"), rest


def test_no_mutilated_call_over_rest_is_a_fault(
    shared_broker: Broker, world: dict[str, str]
) -> None:
    token = shared_broker.token(world["ana"])
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    @settings(max_examples=CALLS, deadline=None)
    @given(samples, st.data())
    def send(sample: tuple[str, Any], data: st.DataObject) -> None:
        op, value = sample
        route = next(route for route in ROUTES if route.operation == op)
        path, rest = target(route, filled(value, world))
        if route.method == "GET":
            query = {str(k): _text(v) for k, v in rest.items()} if isinstance(rest, dict) else {}
            reply = client.get(path, params=query)
        else:
            reply = client.request(route.method, path, content=data.draw(spelled(rest)))
        assert reply.status_code < 500 or reply.status_code == 501
        check_read(reply)

    with httpx.Client(base_url=shared_broker.url, headers=headers, timeout=REPLY_SECONDS) as client:
        send()
        assert client.get(f"/v1/requests/{world['request']}").status_code == 200


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else repr(value)).encode(errors="replace").decode()


def test_no_mutilated_frame_is_a_fault(shared_broker: Broker, world: dict[str, str]) -> None:
    frames = st.one_of(
        samples.map(lambda sample: {"type": "cmd", "id": "f", "op": sample[0], "data": sample[1]}),
        st.sampled_from([
            {"type": "subscribe", "id": "f", "channel": "requestor:$ana"},
            {"type": "unsubscribe", "id": "f", "channel": "requestor:$ana"},
            {"type": "resume", "id": "f", "channel": "request:$request", "since": 0, "epoch": "e"},
            {"type": "ack", "id": "f", "channel": "requestor:$ana", "seq": 0},
            {"type": "ping", "id": "f"},
        ]),
    ).flatmap(mutilated)  # fmt: skip
    line = Line(shared_broker.ws_url, shared_broker.token(world["ana"]))

    @settings(max_examples=CALLS, deadline=None)
    @given(frames, st.data())
    def send(frame: Json, data: st.DataObject) -> None:
        for told in line.answers(data.draw(spelled(filled(frame, world)))):
            check_frame(told)
            assert told.get("data", {}).get("code") != "internal"

    with line:
        send()
        # What answers the frame before may come between.
        answers = list(line.answers(b'{"type":"ping","id":"last"}'))
        assert {"type": "ack", "id": "last", "op": "pong"} in answers


class Line:
    """A WebSocket that is opened anew where frames that could not be read have ended it."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token}"}
        self._open = ExitStack()
        self._socket: ClientConnection | None = None

    def __enter__(self) -> None:
        self._open.__enter__()

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    def answers(self, frame: bytes) -> Iterator[Json]:
        """Every frame that comes between this one and the answer to a ping behind it."""
        socket = self._socket or self._renewed()
        try:
            socket.send(frame.decode(errors="replace"))
            socket.send('{"type":"ping","id":"probe"}')
            while (told := msgspec.json.decode(socket.recv(REPLY_SECONDS))).get("id") != "probe":
                yield told
        except ConnectionClosed:
            assert socket.close_code == 4501
            self._socket = None

    def _renewed(self) -> ClientConnection:
        self._open.close()
        # Compression would only cost time here, and a proxy of this machine is none of its.
        self._socket = self._open.enter_context(
            connect(self._url, additional_headers=self._headers, compression=None, proxy=None)
        )
        return self._socket
