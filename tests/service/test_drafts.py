"""Drafts are their responder's own, and no lapsed claim and no lost race takes one away."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from pxbox.model.errors import ClaimedByOther, NotFound, UnsupportedText, WrongStatus
from tests.service.brokers import ROME, Broker, Client

HALF: list[Any] = [{"city": None}, [], "x", 0, None, False, {"city": "ü" * 1000}]


async def draft(client: Client, id: str) -> Any:
    return (await client.call("getDraft", id=id))["payload"]


@pytest.mark.parametrize("half", HALF)
async def test_any_json_is_kept_and_read_by_its_responder_alone(broker: Broker, half: Any) -> None:
    ada, bob = await broker.user(), await broker.user()
    id = (await broker.asker().ask([ada, bob]))["id"]
    mine = broker.responder(ada)
    kept = await mine.call("putDraft", id=id, payload=half)
    assert await mine.call("getDraft", id=id) == kept
    assert kept["payload"] == half
    with pytest.raises(NotFound):
        await draft(broker.responder(bob), id)
    for _ in range(2):
        assert await mine.call("deleteDraft", id=id) == {"requestId": id}
    with pytest.raises(NotFound):
        await draft(mine, id)
    assert len(await broker.events(f"request:{id}")) == 1, "nobody hears of it"


async def test_a_draft_renews_its_responders_claim_and_takes_none(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    id = (await broker.asker().ask([ada, bob]))["id"]
    mine, other = broker.responder(ada), broker.responder(bob)
    await mine.call("putDraft", id=id, payload=1)
    assert (await mine.call("getRequest", id=id))["claim"] is None
    claimed = await mine.call("claimRequest", id=id)
    await other.call("putDraft", id=id, payload=2)
    await mine.call("putDraft", id=id, payload=3)
    renewed = await mine.call("getRequest", id=id)
    assert renewed["claim"]["by"] == ada
    before, after = (one["claim"]["expiresAt"] for one in (claimed, renewed))
    assert datetime.fromisoformat(after) > datetime.fromisoformat(before)
    assert (await draft(other, id), await draft(mine, id)) == (2, 3)


async def test_an_answer_that_came_too_late_is_a_draft(broker: Broker) -> None:
    ada, bob, cy = [await broker.user() for _ in "abc"]
    id = (await broker.asker().ask([ada, bob, cy]))["id"]
    mine, other, third = (broker.responder(one) for one in (ada, bob, cy))
    await mine.call("putDraft", id=id, payload="half")
    await mine.call("claimRequest", id=id)
    with pytest.raises(ClaimedByOther):
        await other.call("postResponse", id=id, payload={"city": "Bari"})
    assert await draft(other, id) == {"city": "Bari"}
    await mine.call("postResponse", id=id, payload=ROME)
    with pytest.raises(NotFound):
        await draft(mine, id)
    with pytest.raises(WrongStatus):
        await third.call("postResponse", id=id, payload={"city": "Como"})
    assert await draft(third, id) == {"city": "Como"}
    assert await draft(other, id) == {"city": "Bari"}, "it outlives the request"
    await mine.call("postResponse", id=id, payload=ROME)
    with pytest.raises(NotFound):
        await draft(mine, id)


async def test_a_draft_outlives_the_claim(broker: Broker) -> None:
    ada = await broker.user()
    team = await broker.group(ada)
    id = (await broker.asker().ask(team, claimTtl=1))["id"]
    mine = broker.responder(ada)
    await mine.call("claimRequest", id=id)
    await mine.call("putDraft", id=id, payload="half")
    async with broker.parts.channels.news(f"request:{id}") as came:
        await came.wait()
    assert (await broker.events(f"request:{id}"))[-1]["type"] == "request.released"
    assert await draft(mine, id) == "half"


async def test_text_that_cannot_be_kept_is_refused(broker: Broker) -> None:
    ada = await broker.user()
    id = (await broker.asker().ask(ada))["id"]
    with pytest.raises(UnsupportedText):
        await broker.responder(ada).call("putDraft", id=id, payload="a\0b")
