"""What is collected: nothing that an answer refers to or may still refer to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pxbox.model.errors import NotFound
from pxbox.service.collecting import Collector, Found, find_orphans
from tests.service.brokers import Broker
from tests.service.test_files import PNG, asked, kept, read, sign, upload

NOW = timedelta(0)


async def orphans(broker: Broker, grace: timedelta = NOW) -> Found:
    return await find_orphans(broker.parts.files, 100, grace)


async def test_files_of_open_requests_and_of_answers_are_kept(broker: Broker) -> None:
    mine, id = await asked(broker)
    used, unused = await sign(mine, id), await sign(mine, id)
    for signed in (used, unused):
        await upload(broker, signed["putUrl"])
    assert await orphans(broker) == Found([], [])
    await mine.call("postResponse", id=id, payload={"photo": used["fileId"]})
    assert [one.id for one in (await orphans(broker)).orphans] == [unused["fileId"]]
    assert len(kept(broker)) == 2, "looking deletes nothing"
    assert await orphans(broker, timedelta(days=1)) == Found([], [])
    assert await Collector(broker.parts.files, NOW).collect(100) == 1
    assert await Collector(broker.parts.files, NOW).collect(100) == 0
    assert len(kept(broker)) == 1
    assert await read(broker, used["getUrl"]) == PNG
    with pytest.raises(NotFound):
        await read(broker, unused["getUrl"])
    (row,) = await broker.query("select referred from file where id = $1", used["fileId"])
    assert row["referred"], "and is not looked at again"


@pytest.mark.parametrize("end", ["cancelRequest", "declineRequest"])
async def test_files_of_a_request_that_ends_without_an_answer_go(broker: Broker, end: str) -> None:
    mine, id = await asked(broker)
    signed = await sign(mine, id)
    await upload(broker, signed["putUrl"])
    client = broker.asker() if end == "cancelRequest" else mine
    await client.call(end, id=id)
    assert await Collector(broker.parts.files, NOW).collect(100) == 1
    assert kept(broker) == []


async def test_what_never_was_uploaded_goes_after_its_time(broker: Broker) -> None:
    mine, id = await asked(broker)
    signed = await sign(mine, id)
    assert await Collector(broker.parts.files, NOW).collect(100) == 0
    await broker.query(
        "update file set until = clock_timestamp() - interval '1 s' where id = $1", signed["fileId"]
    )
    assert await Collector(broker.parts.files, NOW).collect(100) == 1
    with pytest.raises(NotFound):
        await upload(broker, signed["putUrl"])
    assert kept(broker) == []


async def test_bytes_that_belong_to_no_file_go(broker: Broker) -> None:
    """As after a crash between keeping the bytes and saying so."""
    mine, id = await asked(broker)
    signed = await sign(mine, id)
    await upload(broker, signed["putUrl"])
    await broker.query("delete from file where id = $1", signed["fileId"])
    (stray,) = (await orphans(broker)).strays
    assert stray.startswith(signed["fileId"])
    assert await orphans(broker, timedelta(days=1)) == Found([], [])
    await Collector(broker.parts.files, NOW).collect(100)
    assert kept(broker) == []
