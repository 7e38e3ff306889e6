"""Real things for the cases of an operation: each would end as 404 without them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import httpx

from tests.brokers import NO_TLS, REPLY_SECONDS, Broker
from tests.contract.documents import Json
from tests.transports.clients import unique

FILES: Json = {"properties": {"photo": {"format": "pxbox-file"}}}
PICTURE = b"\x89PNG\r\n\x1a\n"
FAR = "2041-01-31T12:00:00Z"


class World:
    """Everything is one client's, who asks itself and so may do with it whatever there is to do.

    What is taken from it differs from call to call: new requests in every status, flows in those
    that can be had without a worker, and files that are there and that are not.
    """

    def __init__(self, broker: Broker) -> None:
        self.sub = unique("all")
        self.headers = {"Authorization": f"Bearer {broker.token(self.sub)}"}
        self.token = broker.token(self.sub)
        self.page = {"Origin": broker.url}
        self._client = httpx.Client(
            base_url=broker.url, headers=self.headers, timeout=REPLY_SECONDS, verify=NO_TLS
        )
        self.self_id = self.post("/v1/entities", kind="user", handle=self.sub)["id"]
        self.group = self.post("/v1/entities", kind="group", handle=unique("group"))["address"]
        self.schema = self.put(f"/v1/schemas/{unique('lunch')}", schema=FILES)["name"]
        self.some_flow = self.flow()
        self._requests = itertools.chain.from_iterable(self._made() for _ in itertools.count())

    def close(self) -> None:
        self._client.close()

    def post(self, path: str, **body: Any) -> Json:
        """The reply to a call that succeeds."""
        return _body(self._client.post(path, json=body))

    def put(self, path: str, **body: Any) -> Json:
        return _body(self._client.put(path, json=body))

    def request(self) -> str:
        """The id of a request: the next of a handful of new ones, each in another status."""
        return next(self._requests)

    def _made(self) -> Iterator[str]:
        item = {"to": self.sub, "schema": FILES, "filesPolicy": {"maxFiles": 1}, "deadlineAt": FAR}
        made = self.post("/v1/requests/bulk", items=[item] * 6)
        ids = [one["request"]["id"] for one in made["items"]]
        untouched, drafted, claimed, answered, declined, cancelled = ids
        self.put(f"/v1/requests/{drafted}/draft", payload={"half": "filled"})
        self.post(f"/v1/inquiries/{drafted}/snooze", remindAt="2040-01-31T12:00:00Z")
        self.post(f"/v1/requests/{claimed}/claim")
        self.post(f"/v1/requests/{answered}/response", payload={})
        self.post(f"/v1/requests/{declined}/decline")
        self.post(f"/v1/requests/{cancelled}/cancel")
        yield from (untouched, drafted, claimed, answered, declined, cancelled)

    def flow(self) -> str:
        """The id of a new flow."""
        id: str = self.post("/v1/flows", kind="expense", cursor="begun")["flowId"]
        return id

    def session(self) -> str:
        """The id of a worker's new session."""
        kinds = [{"kind": unique("kind"), "version": 1}]
        id: str = self.post("/v1/workers", kinds=kinds)["sessionId"]
        return id

    def nobody(self) -> str:
        """An entity that nothing else needs."""
        address: str = self.post("/v1/entities", kind="user", handle=unique("nobody"))["address"]
        return address

    def cursor(self, path: str, query: Json) -> dict[str, str]:
        """Where the list goes on after its first item, if it does."""
        reply = self._client.get(path, params={**query, "limit": 1})
        found = reply.json().get("nextCursor") if reply.is_success else None
        return {"cursor": found} if found else {}

    def caller(self, path: str) -> dict[str, str]:
        """The headers of who makes a call there: a token would count in place of a cookie."""
        return {} if path == "/v1/session/renew" else self.headers

    def login(self) -> dict[str, str]:
        """The cookie of a browser that has signed in, by the name that it has over https."""
        reply = self._client.post("/v1/session", headers={**self.page, "X-PxBox-Page": "1"})
        assert reply.is_success, reply.text
        (value,) = reply.cookies.values()
        return {"__Host-pxbox": value}

    def file(self, *, uploaded: bool) -> tuple[str, dict[str, str]]:
        """A file's id, and the query by which it is downloaded, or else uploaded."""
        made = self.post("/v1/requests", to=self.sub, schema=FILES, filesPolicy={"maxFiles": 1})
        about: dict[str, Any] = {"name": "a.png", "contentType": "image/png", "size": len(PICTURE)}
        reply = self._client.post(
            "/v1/files/sign", params={**about, "requestId": made["requestId"]}
        )
        signed = _body(reply)
        if uploaded:
            _body(self._client.put(signed["putUrl"], content=PICTURE))
        return signed["fileId"], dict(httpx.URL(signed["getUrl" if uploaded else "putUrl"]).params)


def _body(reply: httpx.Response) -> Json:
    assert reply.is_success, f"{reply.request.method} {reply.request.url}: {reply.text}"
    body: Json = reply.json()
    return body
