"""REST: ETags, and long-polling with `Prefer: wait`.

That a poll waits is shown by the order of replies, never by a clock: what was asked first and
waits is answered after what was asked later, and before it once there is news.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest
import trio

from tests.transports.clients import CITY, Party

Make = Callable[..., Party]
Poll = Callable[[], Awaitable[httpx.Response]]

PATIENCE_SECONDS = 60.0


class Waiting:
    """A call under way; `reply` once it was answered."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.reply: httpx.Response | None = None

    async def run(self, poll: Poll) -> None:
        self.reply = await poll()
        self.answered.set()

    async def result(self) -> httpx.Response:
        with trio.fail_after(PATIENCE_SECONDS):
            await self.answered.wait()
        assert self.reply is not None
        return self.reply


async def settled(party: Party, id: str) -> None:
    """Give a poll that was just started time to begin waiting: others are served meanwhile."""
    for _ in range(10):
        await party.done("listRequestEvents", id=id)


def poll(party: Party, path: str, seconds: int = 50, etag: str | None = None) -> Poll:
    headers = {"Prefer": f"wait={seconds}", **({"If-None-Match": etag} if etag else {})}
    return lambda: party.rest.get(path, headers=headers)


async def test_an_unchanged_version_is_304_without_content(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub, schema=CITY)
    await ana.done("postResponse", id=id, payload={"city": "Aix"})
    for path in (f"/v1/requests/{id}", f"/v1/requests/{id}/response", f"/v1/requests/{id}/events"):
        first = await asker.rest.get(path)
        etag = first.headers["etag"]
        for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
            again = await asker.rest.get(path, headers={"If-None-Match": sent})
            assert again.status_code == 304
            assert again.headers["etag"] == etag
            assert again.headers.get("last-modified") == first.headers.get("last-modified")
        changed = await asker.rest.get(path, headers={"If-None-Match": '"v0"'})
        assert changed.status_code == 200


async def test_an_etag_is_of_no_use_to_who_may_not_read(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub)
    etag = (await asker.rest.get(f"/v1/requests/{id}")).headers["etag"]
    for sent in (etag, "*"):
        reply = await ben.rest.get(f"/v1/requests/{id}", headers={"If-None-Match": sent})
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("resource", ["request", "response", "events"])
async def test_a_poll_is_answered_as_soon_as_there_is_news(
    asker: Party, ana: Party, resource: str
) -> None:
    id = await asker.ask(ana.sub, schema=CITY)
    path = {
        "request": f"/v1/requests/{id}",
        "response": f"/v1/requests/{id}/response",
        "events": f"/v1/requests/{id}/events?since=1",
    }[resource]
    etag = '"v1"' if resource == "request" else None
    waiting = Waiting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.run, poll(asker, path, etag=etag))
        await settled(asker, id)
        assert not waiting.answered.is_set()
        await ana.done("postResponse", id=id, payload={"city": "Aix"})
        reply = await waiting.result()
    assert reply.status_code == 200
    assert reply.headers["preference-applied"] == "wait=50"
    told = reply.json()
    if resource == "request":
        assert told["status"] == "ANSWERED"
    elif resource == "response":
        assert told["payload"] == {"city": "Aix"}
    else:
        assert [one["data"]["type"] for one in told["items"]] == ["request.answered"]


async def test_a_poll_for_an_answer_sleeps_through_other_news(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    waiting = Waiting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.run, poll(asker, f"/v1/requests/{id}/response"))
        await settled(asker, id)
        await ana.done("claimRequest", id=id)
        await settled(asker, id)
        assert not waiting.answered.is_set()
        await ana.done("postResponse", id=id, payload=None)
        reply = await waiting.result()
    assert reply.json()["payload"] is None


async def test_a_poll_for_an_answer_ends_when_there_will_be_none(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    waiting = Waiting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.run, poll(asker, f"/v1/requests/{id}/response"))
        await settled(asker, id)
        await asker.done("cancelRequest", id=id)
        reply = await waiting.result()
    assert (reply.status_code, reply.json()["code"]) == (410, "no_response")


@pytest.mark.parametrize("resource", ["request", "response", "events"])
async def test_a_poll_without_news_is_answered_when_its_time_is_over(
    asker: Party, ana: Party, resource: str
) -> None:
    id = await asker.ask(ana.sub)
    version = (await asker.rest.get(f"/v1/requests/{id}")).headers["etag"]
    path = {
        "request": f"/v1/requests/{id}",
        "response": f"/v1/requests/{id}/response",
        "events": f"/v1/requests/{id}/events?since=1",
    }[resource]
    etag = version if resource == "request" else None
    short, long = Waiting(), Waiting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(long.run, poll(asker, path, 55, etag))
        nursery.start_soon(short.run, poll(asker, path, 1, etag))
        reply = await short.result()
        assert not long.answered.is_set()
        nursery.cancel_scope.cancel()
    if resource == "request":
        assert reply.status_code == 304
    elif resource == "response":
        assert (reply.status_code, reply.json()["code"]) == (404, "not_answered")
        assert reply.json()["requestStatus"] == "PENDING"
        assert int(reply.headers["retry-after"]) >= 1
    else:
        assert (reply.status_code, reply.json()["items"], reply.json()["head"]) == (200, [], 1)


async def test_a_poll_for_what_is_there_does_not_wait(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    await ana.done("postResponse", id=id, payload=1)
    for path in (f"/v1/requests/{id}", f"/v1/requests/{id}/response", f"/v1/requests/{id}/events"):
        with trio.fail_after(PATIENCE_SECONDS / 2):
            reply = await poll(asker, path, 60)()
        assert reply.status_code == 200
        assert "preference-applied" not in reply.headers


async def test_a_poll_ends_when_the_poller_may_no_longer_see_it(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub, ben.sub)
    waiting = Waiting()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waiting.run, poll(ben, f"/v1/requests/{id}/response"))
        await settled(asker, id)
        await ben.done("declineRequest", id=id)
        reply = await waiting.result()
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


async def test_a_poll_of_what_may_not_be_seen_is_refused_at_once(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub)
    for path in (f"/v1/requests/{id}", f"/v1/requests/{id}/response", f"/v1/requests/{id}/events"):
        with trio.fail_after(PATIENCE_SECONDS / 2):
            reply = await poll(ben, path, 60)()
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "preference", ["", "wait", "wait=", "wait=-1", "wait=x", "wait=0", "respond-async, wait", ",;="]
)
async def test_a_preference_that_says_no_time_is_ignored(
    asker: Party, ana: Party, preference: str
) -> None:
    id = await asker.ask(ana.sub)
    with trio.fail_after(PATIENCE_SECONDS / 2):
        reply = await asker.rest.get(f"/v1/requests/{id}/response", headers={"Prefer": preference})
    assert (reply.status_code, reply.json()["code"]) == (404, "not_answered")


async def test_preferences_come_in_one_list_or_in_several_lines(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    headers = [("Prefer", "respond-async"), ("Prefer", "return=minimal, WAIT=1"), ("Prefer", "x")]
    reply = await asker.rest.get(f"/v1/requests/{id}/events?since=1", headers=headers)
    assert reply.headers["preference-applied"] == "wait=1"


async def test_many_polls_of_one_request_are_all_answered(
    asker: Party, ana: Party, admin: Party
) -> None:
    id = await asker.ask(ana.sub)
    waiting = [Waiting() for _ in range(20)]
    async with trio.open_nursery() as nursery:
        for one in waiting:
            nursery.start_soon(one.run, poll(admin, f"/v1/requests/{id}/response"))
        await settled(asker, id)
        await ana.done("postResponse", id=id, payload="all")
        replies = [await one.result() for one in waiting]
    assert {reply.json()["payload"] for reply in replies} == {"all"}
