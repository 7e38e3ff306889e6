"""Signing a browser in and out, and what its cookie is good for (X1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
import trio

from pxbox.auth.links import link_key, make_link
from pxbox.auth.tokens import Grant
from tests.brokers import SECRET, Broker, Brokers
from tests.transports.clients import APP, Party, checked, connected, refusal, unique

Make = Callable[..., Party]
KEY = link_key(SECRET)


@asynccontextmanager
async def browser(broker: Broker, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on the broker's own page: it keeps cookies, and says where it comes from."""
    async with checked(broker) as client:
        client.headers.update({"origin": broker.url, "x-pxbox-page": "1", **headers})
        yield client


def link_for(sub: str, scope: str = "respond", ttl: timedelta = timedelta(minutes=5)) -> str:
    return make_link(KEY, Grant(sub, frozenset(scope.split()), sub), ttl)


def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["code"]


def left(login: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(login["expiresAt"].replace("Z", "+00:00")) - datetime.now(UTC)


async def test_a_link_signs_one_browser_in_as_its_entity(ana: Party, shared_broker: Broker) -> None:
    link = link_for(ana.sub, "request respond flow operate")
    async with browser(shared_broker) as mine:
        assert (await mine.get("/v1/session")).json()["signedIn"] is False
        made = (await mine.post("/v1/session", json={"link": link})).json()
        assert (made["signedIn"], made["sub"], made["handle"]) == (True, ana.sub, ana.sub)
        assert made["entity"] == ana.entity_id
        assert made["scopes"] == ["flow", "request", "respond"]
        assert timedelta(hours=11) < left(made) <= timedelta(hours=12)
        assert (await mine.get("/v1/session")).json() == made
        assert (await mine.get("/v1/inquiries")).status_code == 200
        assert (await mine.get("/metrics")).status_code == 403
        # What holds a port of its own holds a login of its own.
        assert [cookie.name for cookie in mine.cookies.jar] == [
            f"pxbox-{urlsplit(shared_broker.url).port}"
        ]
    assert link not in shared_broker.log.read_text()


async def test_a_link_counts_once_on_all_processes_together(
    ana: Party, shared_broker: Broker, strict_broker: Broker
) -> None:
    link, statuses = link_for(ana.sub), list[int]()

    async def come(broker: Broker) -> None:
        async with browser(broker) as one:
            statuses.append((await one.post("/v1/session", json={"link": link})).status_code)

    async with trio.open_nursery() as nursery:
        for n in range(8):
            nursery.start_soon(come, (shared_broker, strict_broker)[n % 2])
    assert sorted(statuses) == [200, *[401] * 7]


async def test_a_used_link_spelled_otherwise_is_used_too(ana: Party, shared_broker: Broker) -> None:
    """The last character of a signature carries four bits: sixteen and more spellings are one."""
    link = link_for(ana.sub)
    async with browser(shared_broker) as one:
        assert (await one.post("/v1/session", json={"link": link})).status_code == 200
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            again = await one.post("/v1/session", json={"link": link[:-1] + last})
            assert code(again) == (401, "unauthenticated")


async def test_what_is_no_link_that_counts_signs_nobody_in(
    ana: Party, shared_broker: Broker
) -> None:
    claims = {"sub": ana.sub, "scope": "respond", "exp": 4_000_000_000, "jti": "x"}
    good = link_for(ana.sub)
    head, body, signature = good.split(".")
    for link in (
        link_for(ana.sub, ttl=timedelta(seconds=-1)),
        make_link(link_key("another secret"), Grant(ana.sub, frozenset()), timedelta(1)),
        jwt.encode(claims, SECRET, "HS256"),
        jwt.encode(claims, "", "none"),
        jwt.encode({n: v for n, v in claims.items() if n != "jti"}, KEY, "HS256"),
        jwt.encode({n: v for n, v in claims.items() if n != "exp"}, KEY, "HS256"),
        ana.token, f"{head}.{body}.", f"{head}.{body[:-2]}AA.{signature}", "", "x", "é" * 50,
    ):  # fmt: skip
        async with browser(shared_broker) as one:
            refused = await one.post("/v1/session", json={"link": link})
            assert code(refused) == (401, "unauthenticated"), link
            assert "set-cookie" not in refused.headers
    async with browser(shared_broker) as one:
        assert code(await one.post("/v1/session", json={"link": good, "token": "x"}))[0] == 400
        # A link is no token, and a GET uses none up.
        assert (await one.get("/v1/session", params={"link": good})).status_code == 400
        bearer = {"authorization": f"Bearer {good}"}
        assert code(await one.get("/v1/inquiries", headers=bearer)) == (401, "unauthenticated")
        assert (await one.post("/v1/session", json={"link": good})).status_code == 200


async def test_a_token_signs_in_for_no_longer_and_for_no_more_than_it_counts(
    ana: Party, shared_broker: Broker
) -> None:
    token = shared_broker.token(ana.sub, "respond override audit", ttl=timedelta(minutes=10))
    async with browser(shared_broker) as mine:
        made = (await mine.post("/v1/session", json={"token": token})).json()
        assert made["scopes"] == ["respond"]
        assert timedelta(minutes=9) < left(made) <= timedelta(minutes=10)
        assert made["renewableUntil"] == made["expiresAt"]
        assert (await mine.post("/v1/session/renew")).json() == made
        expired = shared_broker.token(ana.sub, ttl=timedelta(seconds=-60))
        assert code(await mine.post("/v1/session", json={"token": expired}))[1] == "token_expired"
        assert (await mine.get("/v1/session")).json() == made
    async with browser(shared_broker, authorization=f"Bearer {ana.token}") as other:
        assert (await other.post("/v1/session")).json()["sub"] == ana.sub


async def test_nobody_signs_in_as_a_group_and_the_link_is_good_still(
    admin: Party, shared_broker: Broker
) -> None:
    group = unique("ops")
    await admin.entity("group", group)
    link = make_link(KEY, Grant("x", frozenset(("respond",)), f"group:{group}"), timedelta(1))
    async with browser(shared_broker) as one:
        assert code(await one.post("/v1/session", json={"link": link})) == (403, "forbidden")


@pytest.mark.parametrize(
    ("scheme", "name", "secure"), [("http", "pxbox-{}", False), ("https", "__Host-pxbox", True)]
)
async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(
    ana: Party, shared_broker: Broker, scheme: str, name: str, secure: bool
) -> None:
    where = urlsplit(shared_broker.url)
    async with browser(shared_broker, origin=f"{scheme}://{where.netloc}") as mine:
        made = await mine.post("/v1/session", json={"link": link_for(ana.sub)})
        cookies = SimpleCookie(made.headers["set-cookie"])
        (cookie,) = cookies.values()
        assert cookie.key == name.format(where.port)
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Strict")
        assert (cookie["path"], cookie["domain"]) == ("/", "")
        assert bool(cookie["secure"]) is secure
        assert 43_000 < int(cookie["max-age"]) <= 43_200
        assert made.headers["cache-control"] == "no-store"
        assert cookie.value not in made.text
        sent = {"cookie": f"a=b; {cookie.key}={cookie.value}"}
        mine.cookies.clear()
        assert (await mine.get("/v1/inquiries", headers=sent)).status_code == 200
        gone = await mine.delete("/v1/session", headers=sent)
        assert SimpleCookie(gone.headers["set-cookie"])[cookie.key]["max-age"] == "0"
        assert (await mine.get("/v1/inquiries", headers=sent)).status_code == 401


async def test_signing_out_ends_the_login_everywhere(
    ana: Party, shared_broker: Broker, strict_broker: Broker
) -> None:
    async with browser(shared_broker) as mine, browser(strict_broker) as elsewhere:
        await mine.post("/v1/session", json={"token": ana.token})
        (kept,) = mine.cookies.jar
        port = urlsplit(strict_broker.url).port
        sent = {"cookie": f"pxbox-{port}={kept.value}"}
        assert (await elsewhere.get("/v1/inquiries", headers=sent)).status_code == 200
        assert (await mine.delete("/v1/session")).status_code == 204
        assert code(await elsewhere.get("/v1/inquiries", headers=sent)) == (401, "unauthenticated")
        assert (await elsewhere.get("/v1/session", headers=sent)).json()["signedIn"] is False
        assert (await mine.delete("/v1/session")).status_code == 204
        assert code(await mine.post("/v1/session/renew")) == (401, "unauthenticated")


async def test_signing_in_again_ends_the_login_before(
    ana: Party, ben: Party, shared_broker: Broker
) -> None:
    async with browser(shared_broker) as mine:
        await mine.post("/v1/session", json={"token": ana.token})
        (kept,) = mine.cookies.jar
        before = {"cookie": f"{kept.name}={kept.value}"}
        made = await mine.post("/v1/session", json={"token": ben.token})
        assert made.json()["sub"] == ben.sub
        assert (await mine.get("/v1/session")).json()["sub"] == ben.sub
        mine.cookies.clear()
        assert (await mine.get("/v1/session", headers=before)).json()["signedIn"] is False


async def test_only_the_brokers_own_page_acts_by_the_cookie(
    ana: Party, asker: Party, shared_broker: Broker
) -> None:
    id = await asker.ask(ana.sub)
    async with browser(shared_broker) as mine:
        await mine.post("/v1/session", json={"token": ana.token})
        own = mine.headers["origin"]
        for wrong in (
            {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": APP},
            {"origin": own, "x-pxbox-page": "0"}, {"origin": own, "sec-fetch-site": "same-site"},
            {"origin": own, "sec-fetch-site": "cross-site"},
            {"origin": f"http://127.0.0.1:{(urlsplit(own).port or 0) + 1}"},
        ):  # fmt: skip
            for method, path in (
                ("POST", f"/v1/requests/{id}/claim"), ("PUT", f"/v1/requests/{id}/draft"),
                ("POST", "/v1/ws/ticket"), ("DELETE", "/v1/session"),
                ("POST", "/v1/session"), ("POST", "/v1/session/renew"),
            ):  # fmt: skip
                refused = await mine.request(method, path, headers=wrong)
                assert code(refused) == (403, "origin_refused"), (method, path, wrong)
        for name in ("origin", "x-pxbox-page"):
            kept = mine.headers.pop(name)
            refused = await mine.post(f"/v1/requests/{id}/claim")
            assert code(refused) == (403, "origin_refused")
            assert (await mine.get("/v1/inquiries")).status_code == 200
            mine.headers[name] = kept
        for wrong in ({"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}):
            assert code(await mine.get("/v1/inquiries", headers=wrong)) == (403, "origin_refused")
        good = {"sec-fetch-site": "same-origin"}
        claimed = await mine.post(f"/v1/requests/{id}/claim", headers=good)
        assert claimed.json()["status"] == "CLAIMED"
        assert (await mine.get("/v1/session")).json()["signedIn"] is True


async def test_a_cookie_opens_no_websocket_but_a_ticket_that_it_got_does(
    ana: Party, shared_broker: Broker
) -> None:
    async with browser(shared_broker) as mine:
        made = (await mine.post("/v1/session", json={"link": link_for(ana.sub)})).json()
        (kept,) = mine.cookies.jar
        cookie = (b"cookie", f"{kept.name}={kept.value}".encode())
        origin = (b"origin", shared_broker.url.encode())
        for headers in ([cookie], [cookie, origin], [cookie, origin, (b"x-pxbox-page", b"1")]):
            assert (await refusal(shared_broker, headers=headers))[:2] == (401, "unauthenticated")
        ticket = (await mine.post("/v1/ws/ticket")).json()["ticket"]
        at = f"/v1/ws?ticket={ticket}"
        evil = [(b"origin", b"https://evil.example")]
        assert (await refusal(shared_broker, path=at, headers=evil))[:2] == (403, "origin_refused")
        async with connected(shared_broker, path=at, headers=[cookie, origin]) as socket:
            assert (await socket.subscribe(f"entity:{made['entity']}"))["seq"] == 0


async def test_a_token_beside_the_cookie_is_who_calls(
    ana: Party, ben: Party, asker: Party, shared_broker: Broker
) -> None:
    id = await asker.ask(ben.sub)
    async with browser(shared_broker) as mine:
        await mine.post("/v1/session", json={"token": ana.token})
        assert (await mine.post(f"/v1/requests/{id}/claim")).status_code == 404
        as_ben = {"authorization": f"Bearer {ben.token}", "origin": "", "x-pxbox-page": ""}
        assert (await mine.post(f"/v1/requests/{id}/claim", headers=as_ben)).status_code == 200


async def test_a_cookie_that_is_none_of_ours_is_not_looked_at(shared_broker: Broker) -> None:
    port = urlsplit(shared_broker.url).port
    async with browser(shared_broker) as one:
        for value in ("x", "", "x" * 43, "é" * 43, '"', "a" * 5000, "a=b=c; ;;=; pxbox-1=2"):
            raw = f"pxbox-{port}={value}; __Host-pxbox={value}".encode("latin-1")
            headers = [(b"cookie", raw)]
            reply = await one.request("GET", "/v1/session", headers=headers)
            assert reply.json()["signedIn"] is False
            reply = await one.request("GET", "/v1/inquiries", headers=headers)
            assert code(reply) == (401, "unauthenticated")


async def test_in_development_whoever_one_says_one_is_signs_in(brokers: Brokers) -> None:
    broker = await trio.to_thread.run_sync(brokers, "--dev")
    async with browser(broker) as mine:
        assert code(await mine.post("/v1/session")) == (401, "unauthenticated")
        named = {"x-entity-id": "ana"}
        created = {"kind": "user", "handle": "ana"}
        assert (await mine.post("/v1/entities", json=created, headers=named)).status_code == 201
        made = (await mine.post("/v1/session", headers=named)).json()
        assert (made["sub"], made["handle"]) == ("ana", "ana")
        assert (await mine.get("/v1/inquiries")).status_code == 200
        # The headers of development go before a cookie, which may be an old one.
        await mine.delete("/v1/session")
        stale = {"cookie": f"pxbox-{urlsplit(broker.url).port}={'x' * 43}"}
        assert (await mine.get("/v1/inquiries", headers=stale)).status_code == 401
        assert (await mine.get("/v1/inquiries", headers={**stale, **named})).status_code == 200
