"""Files through the client where they lie in an object store: to the store, from the broker."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from pxbox.client import errors
from tests.brokers import Broker, Brokers
from tests.client.people import Cast
from tests.client.proxy import open_proxy
from tests.client.running import on_both
from tests.client.test_files import asked, written
from tests.object_store import ObjectStore


@pytest.fixture(scope="module")
def object_broker(module_brokers: Brokers, object_store: ObjectStore) -> Broker:
    bucket = f"s3://{object_store.make_bucket()}/files"
    return module_brokers("--files-url", bucket, environ=object_store.environ)


@on_both
async def test_a_file_goes_to_the_store_and_comes_from_the_broker(
    object_broker: Broker, tmp_path: Path
) -> None:
    people = Cast(object_broker)
    data = written(tmp_path / "photo.bin", 700_000)
    id = await asked(people)
    async with people.asking() as asker, people.responding() as alice:
        up = await alice.files.upload(id, tmp_path / "photo.bin")
        assert (await alice.files.get(up.id)).sha256 == up.sha256
        with pytest.raises(errors.NotFound):
            await asker.files.get(up.id)
        answer = await alice.requests.answer(id, {"photo": up.id})
        assert answer.files[0].sha256 == up.sha256
        await asker.files.download(up.id, tmp_path / "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == data


@on_both
async def test_what_was_not_uploaded_is_found_nowhere(object_broker: Broker) -> None:
    people = Cast(object_broker)
    id = await asked(people)
    async with people.responding() as alice:
        about = {"requestId": id, "name": "a", "contentType": "text/plain", "size": 1}
        signed = await alice.carry_out("signFile", about, dict)
        with pytest.raises(errors.NotFound):
            await alice.files.get(signed["fileId"])


async def test_an_upload_is_sent_again_where_the_line_to_the_store_breaks(
    module_brokers: Brokers, object_store: ObjectStore
) -> None:
    bucket = f"s3://{object_store.make_bucket()}/files"
    async with open_proxy(object_store.url) as way:
        environ = {**object_store.environ, "AWS_ENDPOINT_URL": way.url}
        broker = await run_sync(lambda: module_brokers("--files-url", bucket, environ=environ))
        people = Cast(broker)
        id = await asked(people)
        told: list[int] = []

        def cut(done: int, of: int) -> None:
            told.append(done)
            if done >= 2**20 and len(told) < 5:
                way.cut()

        async with people.responding() as alice:
            data = io.BytesIO(bytes(4 * 2**20))
            up = await alice.files.upload(id, data, name="a.bin", progress=cut)
            answer = await alice.requests.answer(id, {"photo": up.id})
        assert answer.files[0].sha256 == up.sha256
