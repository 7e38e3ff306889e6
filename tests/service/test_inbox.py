"""The inbox: what a responder made of its inquiries, and how its lists and counts follow (E6)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pxbox.model.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    InvalidTime,
    NotFound,
    WrongStatus,
)
from tests.service.brokers import CITY, ROME, Broker, Client, unique

NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
FAR = datetime(2990, 1, 1, tzinfo=UTC)


async def listed(client: Client, **members: object) -> list[str]:
    page = await client.call("listInquiries", None, **members)
    assert page["total"] == len(page["items"])
    return [row["id"] for row in page["items"]]


async def states(broker: Broker, entity: str) -> list[dict[str, Any]]:
    """What the responder's own channel was told of its inbox."""
    events = await broker.events(f"entity:{entity}")
    return [event for event in events if event["type"] == "inbox.state"]


def soon(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


async def test_marks_are_told_to_the_responder_alone_and_once(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    team = await broker.group(ada, bob)
    id = (await broker.asker().ask(team))["id"]
    mine, other = broker.responder(ada), broker.responder(bob)
    for _ in range(2):
        state = await mine.call("markRead", id=id)
        assert state == {
            "id": id, "version": 1, "read": True, "snoozedUntil": None, "deleted": False,
        }  # fmt: skip
    await mine.call("deleteInquiry", id=id)
    await mine.call("restoreInquiry", id=id)
    assert (await mine.call("markUnread", id=id))["version"] == 4
    told = await states(broker, ada)
    assert [(one["version"], one["read"], one["deleted"]) for one in told] == [
        (1, True, False), (2, True, True), (3, True, False), (4, False, False),
    ]  # fmt: skip
    assert [one["id"] for one in told] == [f"{id}:{ada}.{n}.0" for n in range(1, 5)]
    assert await states(broker, bob) == []
    assert [e["type"] for e in await broker.events(f"request:{id}")] == ["request.created"]
    (row,) = (await other.call("listInquiries"))["items"]
    assert (row["read"], row["deleted"], row["version"]) == (False, False, 1)


async def test_filters_go_by_the_responders_own_marks(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker()
    mine = broker.responder(ada)
    due = FAR.isoformat()
    a = (await asker.ask(ada, deadlineAt=due, tags=["x", "y"]))["id"]
    b = (await asker.ask(ada, attentionAt=due))["id"]
    schema = {**CITY, "description": "Where the Parcel goes"}
    c = (await asker.ask(ada, schema=schema))["id"]
    await mine.call("markRead", id=a)
    await mine.call("deleteInquiry", id=b)
    assert await listed(mine) == [a, c]
    assert await listed(mine, unread=True) == [c]
    assert await listed(mine, unread=False) == [a]
    assert await listed(mine, includeDeleted=True, sortBy="created") == [c, b, a]
    assert await listed(mine, includeDeleted=True, sortBy="attention") == [b, a, c]
    assert await listed(mine, tag="y") == [a]
    assert await listed(mine, tag="z") == await listed(mine, flowId="f") == []
    assert await listed(mine, dueBefore=(FAR + timedelta(days=1)).isoformat()) == [a]
    assert await listed(mine, dueBefore=due) == []
    assert await listed(mine, dueAfter=due) == [c], "what is never due is due after all"
    assert await listed(mine, q="parcel") == [c]
    until = (FAR - timedelta(days=1)).isoformat()
    await mine.call("snooze", id=a, remindAt=until)
    await mine.call("snooze", id=c, remindAt=soon(days=1))
    assert await listed(mine) == []
    assert await listed(mine, snoozed=True) == [c, a], "the first to come back comes first"
    page = await mine.call("listInquiries", snoozed=True, limit=1)
    again = await mine.call("listInquiries", snoozed=True, limit=1, cursor=page["nextCursor"])
    assert [row["id"] for row in page["items"] + again["items"]] == [c, a]
    await mine.call("wake", id=a)
    assert await listed(mine) == [a]
    await mine.call("postResponse", id=c, payload=ROME)
    assert await listed(mine, status="ANSWERED") == [c], "what is closed is not out of sight"


async def test_sections_count_what_is_urgent_and_what_is_unread(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker()
    mine = broker.responder(ada)
    far = (await asker.ask(ada))["id"]
    day = (await asker.ask(ada, deadlineAt=soon(hours=5)))["id"]
    hour = (await asker.ask(ada, deadlineAt=soon(minutes=5)))["id"]
    called = (await asker.ask(ada, attentionAt=soon(minutes=-5)))["id"]
    gone, put_off, done = [(await asker.ask(ada, deadlineAt=soon(hours=1)))["id"] for _ in "123"]
    await mine.call("deleteInquiry", id=gone)
    await mine.call("snooze", id=put_off, remindAt=soon(minutes=30))
    await mine.call("postResponse", id=done, payload=ROME)
    await mine.call("markRead", id=hour)
    page = await mine.call("listInquiries", limit=1)
    assert page["sections"] == {
        "attention": {"count": 2, "unread": 1, "exact": True},
        "dueSoon": {"count": 2, "unread": 1, "exact": True},
        "pending": {"count": 4, "unread": 3, "exact": True},
    }
    assert (page["total"], page["totalExact"]) == (5, True)
    later = await mine.call("listInquiries", limit=1, cursor=page["nextCursor"])
    assert later["sections"] is None
    assert await listed(mine, section="attention") == [hour, called]
    assert await listed(mine, section="dueSoon") == [hour, day]
    assert await listed(mine, section="pending", unread=True) == [day, *sorted([far, called])]
    assert await listed(mine, section="pending", status="ANSWERED") == []


async def test_what_is_addressed_twice_is_counted_once(broker: Broker) -> None:
    ada = await broker.user()
    team = await broker.group(ada)
    await broker.asker().ask([ada, team], deadlineAt=soon(hours=1))
    page = await broker.responder(ada).call("listInquiries")
    assert page["total"] == page["sections"]["pending"]["count"] == 1
    assert page["sections"]["dueSoon"]["unread"] == 1


async def test_a_bulk_has_an_outcome_for_each(broker: Broker) -> None:
    ada, bob, asker = await broker.user(), await broker.user(), broker.asker()
    mine = broker.responder(ada)
    a, b = [(await asker.ask(ada, deadlineAt=FAR.isoformat()))["id"] for _ in "12"]
    others = (await asker.ask(bob))["id"]
    ids = [a, others, "no id", b, a, NOBODY]
    done = await mine.call("updateInquiries", action="markRead", ids=ids)
    assert (done["updated"], done["failed"]) == (2, 3)
    assert [one["id"] for one in done["items"]] == [a, others, "no id", b, NOBODY]
    assert [one.get("error", {}).get("code") for one in done["items"]] == [
        None, "not_found", "not_found", None, "not_found",
    ]  # fmt: skip
    assert await listed(mine, unread=True) == []
    assert len(await states(broker, ada)) == 2
    until = (FAR + timedelta(days=1)).isoformat()
    refused = await mine.call("updateInquiries", action="snooze", ids=[a, b], remindAt=until)
    assert [one["error"]["code"] for one in refused["items"]] == ["invalid_time"] * 2
    await mine.call("updateInquiries", action="snooze", ids=[a, b], remindAt=soon(hours=1))
    assert await listed(mine) == []
    await mine.call("updateInquiries", action="wake", ids=[a])
    await mine.call("updateInquiries", action="delete", ids=[b])
    assert await listed(mine, includeDeleted=True) == [a]
    for wrong in ({"action": "snooze"}, {"action": "markRead", "remindAt": until}):
        with pytest.raises(InvalidRequest):
            await mine.call("updateInquiries", None, ids=[a], **wrong)


async def test_a_thousand_are_marked_at_once(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker()
    items = [{"to": ada, "schema": CITY} for _ in range(1_000)]
    made = await asker.call("bulkCreateRequests", items=items)
    ids = [one["request"]["id"] for one in made["items"]]
    mine = broker.responder(ada)
    page = await mine.call("listInquiries", limit=1)
    assert (page["total"], page["totalExact"]) == (1_000, True)
    assert page["sections"]["pending"] == {"count": 1_000, "unread": 1_000, "exact": True}
    await asker.ask(ada)
    page = await mine.call("listInquiries", limit=1)
    assert (page["total"], page["totalExact"]) == (1_000, False)
    assert page["sections"]["pending"]["exact"] is False
    done = await mine.call("updateInquiries", action="markRead", ids=ids)
    assert (done["updated"], done["failed"]) == (1_000, 0)
    assert len(await states(broker, ada)) == 1_000
    assert (await mine.call("listInquiries", unread=True))["total"] == 1


async def test_a_key_counts_for_marks_too(broker: Broker) -> None:
    ada = await broker.user()
    mine = broker.responder(ada)
    id, other = [(await broker.asker().ask(ada))["id"] for _ in "12"]
    key = unique("key")
    until = {"remindAt": FAR.isoformat()}
    for operation, members in [("markRead", {}), ("snooze", until)]:
        first = await mine.outcome(operation, key, id=id, **members)
        await mine.call("markUnread", id=id)
        again = await mine.outcome(operation, key, id=id, **members)
        assert not first.replayed
        assert again.replayed
    bulk = {"action": "delete", "ids": [id, other]}
    assert not (await mine.outcome("updateInquiries", key, **bulk)).replayed
    await mine.call("restoreInquiry", id=id)
    assert (await mine.outcome("updateInquiries", key, **bulk)).replayed
    with pytest.raises(IdempotencyKeyReused):
        await mine.call("updateInquiries", key, action="restore", ids=[id])


async def test_only_who_is_asked_has_it_in_the_inbox(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    team = await broker.group(ada)
    id = (await broker.asker().ask(team))["id"]
    stranger = broker.responder(bob)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("markRead", {}), ("deleteInquiry", {}), ("wake", {}), ("getDraft", {}),
        ("snooze", {"remindAt": FAR.isoformat()}), ("putDraft", {"payload": 1}),
    ]  # fmt: skip
    for operation, members in calls:
        with pytest.raises(NotFound):
            await stranger.call(operation, None, id=id, **members)
    await broker.admin().call("removeMember", id=team, member=ada)
    with pytest.raises(NotFound):
        await broker.responder(ada).call("markRead", id=id)
    with pytest.raises(Forbidden):
        await broker.asker().call("markRead", id=id)


async def test_snoozing_names_the_nearest_time_and_ends_with_the_request(broker: Broker) -> None:
    ada = await broker.user()
    mine = broker.responder(ada)
    id = (await broker.asker().ask(ada, deadlineAt=FAR.isoformat()))["id"]
    with pytest.raises(InvalidTime) as refusal:
        await mine.call("snooze", id=id, remindAt=FAR.isoformat())
    nearest = refusal.value.members["nearest"]
    assert isinstance(nearest, datetime)
    state = await mine.call("snooze", id=id, remindAt=nearest.isoformat())
    assert state["snoozedUntil"] == "2989-12-31T23:59:59Z"
    assert f"request:{id}:reminder:{ada}" in await alarms(broker, id)
    await mine.call("postResponse", id=id, payload=ROME)
    assert await alarms(broker, id) == set(), "cancelled with their cause (S10)"
    with pytest.raises(WrongStatus):
        await mine.call("snooze", id=id, remindAt=soon(hours=1))


async def alarms(broker: Broker, id: str) -> set[str]:
    """The alarms that are set for a request."""
    rows = await broker.query("select id from alarm where subject = $1", f"request:{id}")
    return {row["id"] for row in rows}


async def test_a_reminder_comes_to_who_snoozed_it_and_to_nobody_else(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    team = await broker.group(ada, bob)
    id = (await broker.asker().ask(team))["id"]
    mine = broker.responder(ada)
    await mine.call("snooze", id=id, remindAt=soon(seconds=0.7))
    assert await listed(mine) == []
    async with broker.parts.channels.news(f"entity:{ada}") as came:
        await came.wait()
    *_, told = await broker.events(f"entity:{ada}")
    assert (told["type"], told["requestId"], told["actor"]) == ("request.reminder", id, None)
    assert await listed(mine) == [id]
    for channel in (f"entity:{bob}", f"entity:{team}", f"request:{id}"):
        assert "request.reminder" not in {e["type"] for e in await broker.events(channel)}
    assert await alarms(broker, id) == set()
