"""Requests handed on: by their claimant, by an operator, by time; never to whoever asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pxbox.model.errors import (
    ClaimedByOther,
    ClaimRequired,
    InvalidAnswer,
    InvalidRequest,
    InvalidTime,
    NotFound,
    SelfAnswer,
    UnknownAddressee,
)
from pxbox.model.principal import REQUEST, RESPOND
from tests.service.brokers import CITY, ROME, Broker, unique

FAR = datetime(2990, 1, 1, tzinfo=UTC)


async def inbox(broker: Broker, entity: str) -> list[str]:
    page = await broker.responder(entity).call("listInquiries")
    return [row["id"] for row in page["items"]]


async def told(broker: Broker, channel: str, type: str) -> list[dict[str, Any]]:
    return [event for event in await broker.events(channel) if event["type"] == type]


async def until_told(broker: Broker, channel: str, type: str) -> dict[str, Any]:
    """The first event of this type, once it is there."""
    while True:
        async with broker.parts.channels.news(channel) as came:
            if found := await told(broker, channel, type):
                return found[0]
            await came.wait()


async def test_the_claimant_and_an_operator_reassign(broker: Broker) -> None:
    ada, bob, cy = [await broker.user() for _ in "abc"]
    team = await broker.group(ada, bob)
    id = (await broker.asker().ask(team))["id"]
    mine = broker.responder(ada)
    with pytest.raises(ClaimRequired):
        await mine.call("reassignRequest", id=id, to=cy)
    await mine.call("claimRequest", id=id)
    with pytest.raises(ClaimedByOther):
        await broker.responder(bob).call("reassignRequest", id=id, to=cy)
    with pytest.raises(UnknownAddressee):
        await mine.call("reassignRequest", id=id, to=["nobody"])
    moved = await mine.call("reassignRequest", id=id, to=[cy], reason="yours")
    assert (moved["status"], moved["to"], moved["claim"]) == ("PENDING", [cy], None)
    assert await inbox(broker, ada) == await inbox(broker, bob) == []
    assert await inbox(broker, cy) == [id]
    for channel in (f"entity:{team}", f"entity:{ada}", f"entity:{cy}", f"request:{id}"):
        (event,) = await told(broker, channel, "request.reassigned")
        assert (event["actor"], event["previousTo"]) == (ada, [team])
        assert (event["to"], event["reason"]) == ([cy], "yours")
    with pytest.raises(NotFound):
        await mine.call("claimRequest", id=id)
    back = await broker.operator().call("reassignRequest", id=id, to=[team, bob])
    assert back["to"] == [team, bob]
    assert await inbox(broker, bob) == [id], "once, though it comes both ways"
    assert (await told(broker, f"entity:{cy}", "request.reassigned"))[1]["actor"] == "operator"


async def test_a_delegate_holds_the_claim_and_answers(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user("bot")
    team = await broker.group(ada)
    id = (await broker.asker().ask(team))["id"]
    mine = broker.responder(ada)
    await mine.call("claimRequest", id=id)
    with pytest.raises(InvalidRequest):
        await mine.call("delegateRequest", id=id, to=team)
    given = await mine.call("delegateRequest", id=id, to=bob)
    assert (given["status"], given["claim"]["by"]) == ("CLAIMED", bob)
    assert given["to"] == [team, bob]
    assert await mine.call("delegateRequest", id=id, to=bob) == given, "it was so already"
    assert await inbox(broker, bob) == await inbox(broker, ada) == [id]
    with pytest.raises(ClaimedByOther):
        await mine.call("postResponse", id=id, payload=ROME)
    answer = await broker.responder(bob).call("postResponse", id=id, payload=ROME)
    assert answer["answeredBy"] == bob


async def test_who_asked_may_not_answer(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    team = await broker.group(ada, bob)
    asker = broker.client(unique("ada"), REQUEST, RESPOND, entity=ada)
    id = (await asker.ask([team], noSelfAnswer=True))["id"]
    for operation, members in [("claimRequest", {}), ("postResponse", {"payload": ROME})]:
        with pytest.raises(SelfAnswer):
            await asker.call(operation, None, id=id, **members)
    same_client = broker.client(asker.principal.sub, RESPOND, entity=bob)
    with pytest.raises(SelfAnswer):
        await same_client.call("claimRequest", id=id)
    with pytest.raises(SelfAnswer):
        await asker.ask(ada, noSelfAnswer=True)
    bobs = broker.responder(bob)
    await bobs.call("claimRequest", id=id)
    with pytest.raises(SelfAnswer):
        await bobs.call("delegateRequest", id=id, to=ada)
    declined = await bobs.call("declineRequest", id=id)
    assert declined["status"] == "DECLINED", "nobody is left who might answer"


async def test_the_same_question_is_not_asked_twice_while_it_is_open(broker: Broker) -> None:
    ada, bob, asker = await broker.user(), await broker.user(), broker.asker()
    key = unique("subject")
    first = await asker.outcome("createRequest", to=[ada, bob], schema=CITY, subjectKey=key)
    again = await asker.outcome("createRequest", to=[bob, ada], schema=CITY, subjectKey=key)
    assert (first.existing, again.existing) == (False, True)
    made = await asker.ask([ada, bob], subjectKey=key)
    assert made["existing"] is True
    ids = {made["id"]}
    for others in (
        await broker.asker(unique()).ask([ada, bob], subjectKey=key),
        await asker.ask([ada], subjectKey=key),
        await asker.ask([ada, bob], subjectKey=key, schema={**CITY, "title": "Where?"}),
        await asker.ask([ada, bob], subjectKey=unique()),
        await asker.ask([ada, bob]),
    ):
        assert others["existing"] is False
        ids.add(others["id"])
    assert len(ids) == 6
    await broker.responder(ada).call("postResponse", id=made["id"], payload=ROME)
    anew = await asker.ask([ada, bob], subjectKey=key)
    assert (anew["existing"], anew["id"] in ids) == (False, False)
    assert (await asker.ask([ada, bob], subjectKey=key))["id"] == anew["id"]


async def test_why_and_context_are_for_who_answers(broker: Broker) -> None:
    ada = await broker.user()
    words: dict[str, Any] = {
        "why": "Because.",
        "context": "# All of it\n\n*here*",
        "tags": ["a", "b", "a"],
    }
    id = (await broker.asker().ask(ada, **words))["id"]
    detail = await broker.responder(ada).call("getRequest", id=id)
    assert (detail["why"], detail["context"]) == (words["why"], words["context"])
    assert detail["tags"] == ["a", "b"]


async def test_a_default_answer_stands_at_the_deadline(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    due = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    with pytest.raises(InvalidAnswer) as refusal:
        await asker.ask(ada, deadlineAt=FAR.isoformat(), defaultAnswer={"city": ""})
    assert [error.pointer for error in refusal.value.errors] == ["/defaultAnswer/city"]
    with pytest.raises(InvalidRequest):
        await asker.ask(ada, defaultAnswer=ROME)
    id = (await asker.ask(ada, deadlineAt=due, defaultAnswer=ROME))["id"]
    event = await until_told(broker, f"request:{id}", "request.answered")
    assert (event["actor"], event["status"]) == (None, "ANSWERED")
    answer = await asker.call("getResponse", id=id)
    assert (answer["payload"], answer["answeredBy"]) == (ROME, None)
    page = await broker.responder(ada).call("listInquiries", status="ANSWERED")
    assert [row["id"] for row in page["items"]] == [id]
    assert await broker.query("select id from alarm where subject = $1", f"request:{id}") == []


async def test_time_asks_others_and_then_others_instead(broker: Broker) -> None:
    ada, bob, cy = [await broker.user() for _ in "abc"]
    steps = [{"after": 1, "to": bob}, {"after": 2, "to": [cy], "replace": True}]
    id = (await broker.asker().ask(ada, escalate=steps))["id"]
    await broker.responder(ada).call("claimRequest", id=id)
    first = await until_told(broker, f"entity:{bob}", "request.escalated")
    assert (first["to"], first["previousTo"], first["claim"]) == ([ada, bob], [ada], None)
    assert await inbox(broker, bob) == [id]
    second = await until_told(broker, f"entity:{cy}", "request.escalated")
    assert (second["to"], second["previousTo"]) == ([cy], [ada, bob])
    assert 0 <= second["lateBy"] < 5
    assert await inbox(broker, ada) == await inbox(broker, bob) == []
    assert await inbox(broker, cy) == [id]
    with pytest.raises(NotFound):
        await broker.responder(ada).call("claimRequest", id=id)
    assert await broker.query("select id from alarm where subject = $1", f"request:{id}") == []


@pytest.mark.parametrize(
    "steps",
    [
        [{"after": 5, "to": "$"}, {"after": 5, "to": "$"}],
        [{"after": 5, "to": "$"}, {"after": 4, "to": "$"}],
        [{"after": 3_600, "to": "$"}],
    ],
)
async def test_steps_come_one_after_the_other_and_before_the_deadline(
    broker: Broker, steps: list[dict[str, Any]]
) -> None:
    ada = await broker.user()
    due = (datetime.now(UTC) + timedelta(minutes=30)).isoformat()
    named = [{**step, "to": ada} for step in steps]
    with pytest.raises(InvalidTime):
        await broker.asker().ask(ada, escalate=named, deadlineAt=due)


async def test_how_near_the_deadline_is_told_is_the_askers(broker: Broker) -> None:
    ada = await broker.user()

    async def near(**members: Any) -> list[datetime]:
        due = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
        id = (await broker.asker().ask(ada, deadlineAt=due, **members))["id"]
        rows = await broker.query(
            "select d.due_at - n.due_at as near from alarm n join alarm d"
            " on d.subject = n.subject and d.id like '%:deadline'"
            " where n.subject = $1 and n.id like '%:near'", f"request:{id}",
        )  # fmt: skip
        return [row["near"] for row in rows]

    assert await near() == [timedelta(hours=1)]
    assert await near(deadlineNear=600) == [timedelta(minutes=10)]
    assert await near(deadlineNear=0) == []
    assert await near(deadlineNear=6 * 3600) == []
