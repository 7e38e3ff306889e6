"""Lists of requests: what is on them, their pages, and where their channels stood (E6, X2)."""

from __future__ import annotations

import base64
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import trio

from pxbox.model.errors import (
    ClaimedByOther,
    Forbidden,
    InvalidCursor,
    NotFound,
    WrongStatus,
)
from pxbox.model.principal import RESPOND
from tests.service.brokers import CITY, ROME, Broker, Client, unique

SOON = datetime(2999, 1, 1, tzinfo=UTC)


async def pages(client: Client, operation: str, **members: Any) -> list[list[dict[str, Any]]]:
    """Every page of a list, one after the other."""
    found: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while True:
        page = await client.call(operation, None, cursor=cursor, **members)
        found.append(page["items"])
        cursor = page["nextCursor"]
        if cursor is None:
            return found


def deadline_order(row: dict[str, Any]) -> tuple[str, str]:
    return row["deadlineAt"] or "9999", row["id"]


def created_order(row: dict[str, Any]) -> tuple[str, str]:
    return row["createdAt"], row["id"]


@pytest.fixture
async def inbox(broker: Broker) -> tuple[str, list[dict[str, Any]]]:
    """A responder and 25 requests to them; some deadlines are equal, some are none."""
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    chance = random.Random(7)
    times = [None, *[SOON + timedelta(hours=n) for n in range(4)]]
    made = []
    for _ in range(25):
        time = chance.choice(times)
        made.append(await asker.ask(ada, deadlineAt=time.isoformat() if time else None))
    return ada, made


@pytest.mark.parametrize("size", [1, 7, 24, 25, 26])
@pytest.mark.parametrize("order", ["deadline", "created"])
async def test_pages_hold_everything_once_and_in_order(
    broker: Broker, inbox: tuple[str, list[dict[str, Any]]], order: str, size: int
) -> None:
    ada, made = inbox
    found = await pages(broker.responder(ada), "listInquiries", sortBy=order, limit=size)
    rows = [row for page in found for row in page]
    assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
    by_deadline = order == "deadline"
    expected = sorted(
        made, key=deadline_order if by_deadline else created_order, reverse=not by_deadline
    )
    assert [row["id"] for row in rows] == [row["id"] for row in expected]
    queued = await pages(broker.responder(ada), "listQueue", id=ada, limit=size)
    assert [row["id"] for page in queued for row in page] == [
        row["id"] for row in sorted(made, key=deadline_order)
    ]


async def test_what_comes_between_two_pages_is_not_shown_twice(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    made = [(await asker.ask(ada))["id"] for _ in range(6)]
    responder = broker.responder(ada)
    first = await responder.call("listInquiries", sortBy="created", limit=3)
    await asker.ask(ada)
    await responder.call("postResponse", id=made[0], payload=ROME)
    second = await responder.call(
        "listInquiries", sortBy="created", limit=3, cursor=first["nextCursor"]
    )
    rows = [*first["items"], *second["items"]]
    assert [row["id"] for row in rows] == made[::-1]
    assert (second["total"], second["nextCursor"]) == (7, None)


def forged(*parts: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(list(parts))).decode().rstrip("=")


ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
TIME = "2030-01-01 00:00:00+00"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "ü",
        "\ud7ff",
        "AAAA",
        "a" * 10_000,
        forged(),
        forged("deadline"),
        forged("deadline", TIME),
        forged("deadline", TIME, ULID, 1),
        forged("deadline", 5, ULID),
        forged("deadline", None, ULID),
        forged("deadline", "", ULID),
        forged("deadline", "now", ULID),
        forged("deadline", "tomorrow", ULID),
        forged("deadline", "epoch", ULID),
        forged("deadline", "2030-W01-1 00:00:00+00", ULID),
        forged("deadline", "2030-13-01 00:00:00+00", ULID),
        forged("deadline", "2030-01-01 00:00:00", ULID),
        forged("deadline", "2030-01-01 00:00:00+23:59", ULID),
        forged("deadline", "2030-01-01 24:00:00+00", ULID),
        forged("deadline", "0000-01-01 00:00:00+00", ULID),
        forged("deadline", f"{TIME}'; drop table request; --", ULID),
        forged("deadline", TIME, ""),
        forged("deadline", TIME, "a\0b"),
        forged("deadline", TIME, "' or true --"),
        forged("created", TIME, ULID),
        forged("other", TIME, ULID),
    ],
)
async def test_a_forged_cursor_is_refused(broker: Broker, cursor: str) -> None:
    ada = await broker.user()
    for operation in ("listInquiries", "listQueue"):
        members = {"id": ada} if operation == "listQueue" else {}
        with pytest.raises(InvalidCursor):
            await broker.responder(ada).call(operation, None, cursor=cursor, **members)


async def test_a_cursor_of_another_order_is_refused(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker()
    for _ in range(3):
        await asker.ask(ada)
    responder = broker.responder(ada)
    page = await responder.call("listInquiries", sortBy="created", limit=1)
    with pytest.raises(InvalidCursor):
        await responder.call("listInquiries", cursor=page["nextCursor"])


async def test_filters_admit_what_they_name(broker: Broker) -> None:
    ada, one, other = await broker.user(), unique("asker"), unique("asker")
    responder = broker.responder(ada)
    found = (await broker.asker(one).ask(ada, schema={**CITY, "title": "Where TO?"}))["id"]
    taken = (await broker.asker(other).ask(ada, meta={"note": "where to"}))["id"]
    await responder.call("claimRequest", id=taken)

    async def listed(**members: object) -> set[str]:
        page = await responder.call("listInquiries", None, **members)
        assert page["total"] == len(page["items"])
        return {row["id"] for row in page["items"]}

    assert await listed() == {found, taken}
    assert await listed(status="CLAIMED") == {taken}
    assert await listed(status="ANSWERED") == set()
    assert await listed(requestor=one) == {found}
    assert await listed(q="where to?") == {found}
    assert await listed(q="WHERE to") == {found, taken}, "in the meta too"
    assert await listed(q="%") == await listed(q="_") == set()
    assert await listed(entityId=ada, requestor=other, status="CLAIMED") == {taken}
    queue = await responder.call("listQueue", id=ada)
    assert {row["id"] for row in queue["items"]} == {found}


async def test_an_inbox_is_of_all_that_one_is_asked_as(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    team, others = await broker.group(ada, bob), await broker.group(bob)
    asker = broker.asker()
    asked = [(await asker.ask(id))["id"] for id in (ada, team, bob, others)]
    to = dict(zip("atbo", asked, strict=True))
    both = (await asker.ask([ada, team]))["id"]
    page = await broker.responder(ada).call("listInquiries")
    assert {row["id"] for row in page["items"]} == {to["a"], to["t"], both}
    assert page["total"] == 3
    assert set(page["positions"]) == {f"entity:{ada}", f"entity:{team}"}
    of_team = await broker.responder(ada).call("listInquiries", entityId=team)
    assert {row["id"] for row in of_team["items"]} == {to["t"], both}
    assert set(of_team["positions"]) == {f"entity:{team}"}
    await broker.responder(ada).call("declineRequest", id=to["t"])
    mine = await broker.responder(ada).call("listQueue", id=team)
    assert {row["id"] for row in mine["items"]} == {both}
    bobs = await broker.responder(bob).call("listQueue", id=team)
    assert {row["id"] for row in bobs["items"]} == {to["t"], both}
    for operation, member in (("listInquiries", "entityId"), ("listQueue", "id")):
        for entity in (bob, others, unique()):
            with pytest.raises(NotFound):
                await broker.responder(ada).call(operation, None, **{member: entity})
        assert await broker.admin().call(operation, None, **{member: others})


async def test_who_acts_as_nobody_has_no_inbox(broker: Broker) -> None:
    with pytest.raises(Forbidden):
        await broker.admin().call("listInquiries")
    with pytest.raises(Forbidden):
        await broker.client("nobody", RESPOND).call("markRead", id=ULID)


Row = tuple[str, int, Any]


def rows(page: dict[str, Any]) -> dict[str, Row]:
    return {row["id"]: (row["status"], row["version"], row["claim"]) for row in page["items"]}


async def test_a_list_and_the_events_after_its_positions_miss_nothing(broker: Broker) -> None:
    """E6: whenever it was read, the list and what follows it on its channels is what is so."""
    ada, bob = await broker.user(), await broker.user()
    team = await broker.group(ada, bob)
    asker = unique("asker")
    snapshots: list[dict[str, Any]] = []
    over = trio.Event()

    async def look() -> None:
        while not over.is_set():
            snapshots.append(await broker.admin().call("listInquiries", entityId=team, limit=200))

    async def live(number: int) -> None:
        chance = random.Random(number)
        id = (await broker.asker(asker).ask(team))["id"]
        for _ in range(6):
            person = broker.responder(chance.choice([ada, bob]))
            operation = chance.choice(["claimRequest", "releaseRequest", "postResponse"])
            members = {"payload": ROME} if operation == "postResponse" else {}
            with suppress(WrongStatus, ClaimedByOther):
                await person.call(operation, None, id=id, **members)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        async with trio.open_nursery() as lives:
            for number in range(30):
                lives.start_soon(live, number)
        over.set()
    channel = f"entity:{team}"
    told = [event for event in await broker.events(channel) if "requestId" in event]
    final = await broker.admin().call("listInquiries", entityId=team, limit=200)
    assert len(final["items"]) == 30
    assert final["positions"] == {channel: len(told)}
    for snapshot in [*snapshots, final]:
        state = rows(snapshot)
        for event in told[snapshot["positions"][channel] :]:
            state[event["requestId"]] = (event["status"], event["version"], event["claim"])
        assert state == rows(final)
    assert len({snapshot["positions"][channel] for snapshot in snapshots}) > 2
