"""Operators' jobs: what is kept is let go, exported, and one person's erased."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.model.errors import Forbidden, InvalidCursor, InvalidRequest, NotFound
from pxbox.model.principal import AUDIT, OPERATE
from tests.service.brokers import ROME, Broker, Client, unique


def operator(broker: Broker) -> Client:
    return broker.client("operator", OPERATE)


async def closed(broker: Broker, asker: Client, days: int, *, answered: bool = True) -> str:
    """The id of a request that was closed so many days ago."""
    ada = await broker.user()
    id = str((await asker.ask(ada))["id"])
    if answered:
        await broker.responder(ada).call("postResponse", id=id, payload=ROME)
    else:
        await asker.call("cancelRequest", id=id)
    aged = """update request set created_at = created_at - make_interval(days => $2), state = (
        state::jsonb || jsonb_build_object('closedAt',
            (state ->> 'closedAt')::timestamptz - make_interval(days => $2)))::json
        where id = $1"""
    await broker.query(aged, id, days)
    return id


async def retain(broker: Broker, **how: Any) -> tuple[int, int]:
    answered = unanswered = 0
    cursor = None
    while True:
        done = await operator(broker).call("runRetention", cursor=cursor, **how)
        answered, unanswered = answered + done["answered"], unanswered + done["unanswered"]
        cursor = done["nextCursor"]
        if cursor is None:
            return answered, unanswered


async def test_what_was_closed_long_ago_goes_and_its_trail_stays(broker: Broker) -> None:
    asker = broker.asker(unique("shop"))
    old, young = await closed(broker, asker, 40), await closed(broker, asker, 20)
    lost = await closed(broker, asker, 40, answered=False)
    still = (await asker.ask(await broker.user()))["id"]
    assert await retain(broker, answeredDays=30, dryRun=True) == (1, 0)
    assert await retain(broker, answeredDays=30, unansweredDays=50) == (1, 0)
    assert await retain(broker, answeredDays=30, unansweredDays=30) == (0, 1)
    assert await retain(broker, answeredDays=30, unansweredDays=30) == (0, 0)
    left = [one["id"] for one in (await asker.call("listRequests"))["items"]]
    assert left == [still, young]
    for gone in (old, lost):
        with pytest.raises(NotFound):
            await asker.call("getRequest", id=gone)
        hanging = """select request_id from response where request_id = $1 union all
            select request_id from inquiry where request_id = $1"""
        assert await broker.query(hanging, gone) == []
    auditor = broker.client("auditor", AUDIT)
    trail = (await auditor.call("getRequestTimeline", id=old))["items"]
    assert [one["type"] for one in trail] == ["request.created", "request.answered"]


async def test_a_request_of_a_flow_that_goes_on_stays(broker: Broker) -> None:
    asker = broker.asker(unique("shop"))
    id = await closed(broker, asker, 40)
    flow = """with f as (insert into flow (id, version, commit_id, status, parked, kind, requestor,
            created_at, state, input, cursor)
        values ($2, 1, gen_random_uuid(), 'SUSPENDED', false, 'k', 's', now(), '{}', 'null', 'null')
        returning id)
        update request set state = (state::jsonb || jsonb_build_object(
            'flow', jsonb_build_object('id', f.id)))::json from f where request.id = $1"""
    await broker.query(flow, id, unique("flow"))
    assert await retain(broker, answeredDays=30) == (0, 0)


async def test_retention_needs_an_age_and_its_scope(broker: Broker) -> None:
    with pytest.raises(InvalidRequest):
        await operator(broker).call("runRetention")
    with pytest.raises(InvalidCursor):
        await operator(broker).call("runRetention", answeredDays=1, cursor="x")
    with pytest.raises(Forbidden):
        await broker.admin().call("runRetention", answeredDays=1)


async def test_an_export_has_each_request_once_with_its_answer(broker: Broker) -> None:
    asker, ada = broker.asker(unique("shop")), await broker.user()
    ids = [(await asker.ask(ada, tags=["a"], meta={"n": n}))["id"] for n in range(5)]
    await broker.responder(ada).call("postResponse", id=ids[1], payload=ROME)
    items: list[Any] = []
    cursor = None
    while True:
        where = {"requestor": asker.principal.sub, "limit": 2, "cursor": cursor}
        page = await broker.admin().call("exportRequests", **where)  # type: ignore[arg-type]
        items += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert sorted(one["id"] for one in items) == sorted(ids)
    assert [one["id"] for one in items] == sorted(ids)
    answers = {one["id"]: one["answer"] for one in items}
    assert answers[ids[1]]["payload"] == ROME
    assert answers[ids[1]]["answeredBy"] == ada
    assert [one["meta"] for one in items if one["id"] == ids[4]] == [{"n": 4}]
    assert sum(answer is None for answer in answers.values()) == 4


async def test_an_export_takes_filters(broker: Broker) -> None:
    asker, ada = broker.asker(unique("shop")), await broker.user()
    one, two = [(await asker.ask(ada, tags=[tag]))["id"] for tag in "ab"]
    await broker.responder(ada).call("postResponse", id=two, payload=ROME)

    async def found(**where: Any) -> list[str]:
        where["requestor"] = asker.principal.sub
        return [
            item["id"] for item in (await broker.admin().call("exportRequests", **where))["items"]
        ]

    assert await found(tag="a") == [one]
    assert await found(status="ANSWERED") == [two]
    assert await found(createdBefore="2020-01-01T00:00:00Z") == []
    assert len(await found(createdAfter="2020-01-01T00:00:00Z")) == 2
    with pytest.raises(Forbidden):
        await asker.call("exportRequests")


async def test_an_erased_person_is_a_shape(broker: Broker) -> None:
    handle = unique("ada")
    ada = await broker.user(handle=handle, aliases=[f"mailto:{handle}@x"], meta={"name": "Ada"})
    team = await broker.group(ada)
    asker, mine = broker.asker(unique("shop")), broker.responder(ada)
    answered, declined, half = [(await asker.ask(ada))["id"] for _ in range(3)]
    await mine.call("postResponse", "key", id=answered, payload={"city": "Xanadu"})
    await mine.call("declineRequest", id=declined, reason="I am ill")
    await mine.call("putDraft", id=half, payload={"city": "Bari"})
    await mine.call("markRead", id=half)
    admin, auditor = broker.admin(), broker.client("auditor", AUDIT)
    before = (await auditor.call("getRequestTimeline", id=answered))["items"]
    counts = {"answers": 1, "drafts": 1, "marks": 1, "trail": 2}
    dry = await admin.call("eraseEntity", id=handle, dryRun=True)
    assert dry == {"id": ada, "dryRun": True, **counts}
    assert (await admin.call("getEntity", id=handle))["handle"] == handle
    assert await admin.call("eraseEntity", id=handle) == {"id": ada, "dryRun": False, **counts}

    shape = await admin.call("getEntity", id=ada)
    assert (shape["handle"], shape["aliases"], shape["meta"]) == (f"erased-{ada}", [], {})
    for name in (handle, f"mailto:{handle}@x"):
        with pytest.raises(NotFound):
            await admin.call("getEntity", id=name)
    assert (await admin.call("getEntity", id=team))["members"] == []
    response = await asker.call("getResponse", id=answered)
    assert (response["payload"], response["answeredBy"]) == (None, ada)
    assert (await asker.call("getRequest", id=declined))["reason"] is None
    after = (await auditor.call("getRequestTimeline", id=answered))["items"]
    assert [one["type"] for one in after] == [one["type"] for one in before]
    assert (after[-1]["actor"], after[-1]["client"], after[-1]["tokenId"]) == (ada, "erased", None)
    assert "entity.erased" in await _types(auditor, ada)
    assert await _traces(broker, handle, "Xanadu", "Bari", "I am ill") == []


async def _types(auditor: Client, entity: str) -> list[str]:
    return [one["type"] for one in (await auditor.call("getEntityTimeline", id=entity))["items"]]


async def _traces(broker: Broker, *words: str) -> list[str]:
    """The tables in which any of the words still is."""
    found = []
    for table in ("entity", "request", "response", "draft", "mark", "trail", "unique_key"):
        text = f"select 1 from {table} t where t::text ~ $1 limit 1"
        if await broker.query(text, "|".join(words)):
            found.append(table)
    return found


async def test_erasing_can_be_repeated_and_names_are_free_again(broker: Broker) -> None:
    handle = unique("ada")
    ada = await broker.user(handle=handle)
    admin = broker.admin()
    await admin.call("eraseEntity", id=ada)
    again = await admin.call("eraseEntity", id=ada)
    assert again["answers"] == 0
    other = await broker.user(handle=handle)
    assert (await admin.call("getEntity", id=handle))["id"] == other


async def test_only_people_and_bots_are_erased_and_by_admins_alone(broker: Broker) -> None:
    team, ada = await broker.group(), await broker.user()
    with pytest.raises(InvalidRequest):
        await broker.admin().call("eraseEntity", id=team)
    with pytest.raises(NotFound):
        await broker.admin().call("eraseEntity", id=unique("nobody"))
    with pytest.raises(Forbidden):
        await operator(broker).call("eraseEntity", id=ada)
