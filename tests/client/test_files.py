"""Files through the client: up, into an answer, down again, over lines that break."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync
from msgspec.structs import replace

from pxbox.client import PxBox, errors, files
from tests.brokers import Broker, Brokers
from tests.client.people import Cast
from tests.client.proxy import Proxy, Upgrades, open_proxy
from tests.client.running import on_both

PHOTO = {
    "type": "object",
    "title": "Show it",
    "properties": {"photo": {"type": "string", "format": "pxbox-file"}},
}
LARGE = files.RESUMED_BYTES + 8 * 2**20
POLICY = {"maxFileMB": 64, "maxTotalMB": 64}


async def asked(people: Cast) -> str:
    """The id of a request for a file."""
    await people.introduce()
    async with people.asking() as asker:
        handle = await asker.requests.create(PHOTO, to=people.alice, files_policy=POLICY)
        return handle.id


def written(path: Path, size: int) -> bytes:
    """Fill a file, and say what with."""
    data = hashlib.shake_256(path.name.encode()).digest(size)
    path.write_bytes(data)
    return data


@on_both
async def test_a_file_goes_into_an_answer_and_comes_out_of_it(
    module_broker: Broker, tmp_path: Path
) -> None:
    people = Cast(module_broker)
    data = written(tmp_path / "photo.bin", 700_000)
    id = await asked(people)
    told: list[tuple[int, int]] = []
    async with people.asking() as asker, people.responding() as alice:
        up = await alice.files.upload(
            id, tmp_path / "photo.bin", progress=lambda *now: told.append(now)
        )
        assert (up.name, up.size, up.mime) == ("photo.bin", 700_000, "application/octet-stream")
        assert up.sha256 == hashlib.sha256(data).hexdigest()
        with pytest.raises(errors.NotFound):
            await asker.files.get(up.id)
        extra = await alice.files.upload(id, io.BytesIO(b"1,2\n"), name="table.csv")
        answer = await alice.requests.answer(id, {"photo": up.id}, files=[extra.id])
        assert [(file.name, file.mime) for file in answer.files] == [
            ("photo.bin", "application/octet-stream"), ("table.csv", "text/csv"),
        ]  # fmt: skip
        down = await asker.files.download(up.id, tmp_path / "down.bin")
        assert (tmp_path / "down.bin").read_bytes() == data
        assert down.sha256 == up.sha256
        to = io.BytesIO()
        (_, table) = (await asker.requests.response(id)).files
        await asker.files.download(table, to, progress=lambda *now: told.append(now))
        assert to.getvalue() == b"1,2\n"
    assert told[0] == (0, 700_000)
    assert told[-2:] == [(700_000, 700_000), (4, 4)]
    assert [done for done, _ in told[:-1]] == sorted(done for done, _ in told[:-1])


@on_both
async def test_where_no_websocket_is_let_through_files_go_all_the_same(
    module_broker: Broker, tmp_path: Path
) -> None:
    people = Cast(module_broker)
    id = await asked(people)
    async with open_proxy(module_broker.url) as proxy:
        proxy.upgrades = Upgrades.FORBIDDEN
        async with people.responding(proxy.url) as alice:
            up = await alice.files.upload(id, io.BytesIO(b"text"), name="ø & ?.txt")
            await alice.requests.answer(id, {"photo": up.id})
            await alice.files.download(up.id, tmp_path / "down.txt")
    assert (tmp_path / "down.txt").read_bytes() == b"text"


def cutting_at(proxy: Proxy, *places: int) -> Callable[[int, int], None]:
    """A listener that breaks every connection as each of these places is passed."""
    left = list(places)

    def told(done: int, of: int) -> None:
        if left and done >= left[0]:
            left.pop(0)
            proxy.cut()

    return told


@on_both
async def test_an_upload_and_a_download_that_are_cut_go_on_where_they_stand(
    module_broker: Broker, tmp_path: Path
) -> None:
    people = Cast(module_broker)
    data = written(tmp_path / "large.bin", LARGE)
    id = await asked(people)
    sent: list[int] = []
    async with open_proxy(module_broker.url) as proxy, people.responding(proxy.url) as alice:
        cut = cutting_at(proxy, 6 * 2**20, 15 * 2**20)

        def told(done: int, of: int) -> None:
            sent.append(done)
            cut(done, of)

        up = await alice.files.upload(id, tmp_path / "large.bin", progress=told)
        back = [after for before, after in pairwise(sent) if after < before]
        assert len(back) >= 2, "it went back a little each time"
        assert min(back) > 0, "and never to the beginning"
        assert up.sha256 == hashlib.sha256(data).hexdigest()
        cut = cutting_at(proxy, 5 * 2**20, 20 * 2**20)
        await alice.files.download(up.id, tmp_path / "down.bin", progress=cut)
        assert (tmp_path / "down.bin").read_bytes() == data


@on_both
async def test_an_upload_outlives_its_broker(brokers: Brokers, tmp_path: Path) -> None:
    shared = ("--files-dir", str(tmp_path / "files"))
    first = await run_sync(lambda: brokers(*shared))
    people = Cast(first)
    data = written(tmp_path / "large.bin", LARGE)
    id = await asked(people)
    async with open_proxy(first.url) as proxy:
        left = [first]

        def told(done: int, of: int) -> None:
            if left and done > LARGE // 2:
                # Another one answers by the time that it is tried again.
                left.pop().kill()
                proxy.target = second.url

        second = await run_sync(lambda: brokers(*shared))
        async with people.responding(proxy.url) as alice:
            up = await alice.files.upload(id, tmp_path / "large.bin", progress=told)
            assert up.sha256 == hashlib.sha256(data).hexdigest()
            await alice.requests.answer(id, {"photo": up.id})


@on_both
async def test_what_cannot_be_sent_or_kept_is_said(module_broker: Broker, tmp_path: Path) -> None:
    people = Cast(module_broker)
    id = await asked(people)
    async with people.responding() as alice, people.asking() as asker:
        with pytest.raises(FileNotFoundError):
            await alice.files.upload(id, tmp_path / "nothing")
        with pytest.raises(TypeError, match="bytes"):
            await alice.files.upload(id, io.StringIO("text"))  # type: ignore[arg-type]
        with pytest.raises(errors.ValidationFailed) as lie:
            await alice.files.upload(id, io.BytesIO(b"<html>"), name="a.png")
        assert lie.value.errors[0].keyword == "mime"
        with pytest.raises(errors.ValidationFailed) as name:
            await alice.files.upload(id, io.BytesIO(b"a"), name="../a")
        assert name.value.errors[0].pointer == "/name"
        with pytest.raises(errors.Forbidden):
            await asker.files.upload(id, io.BytesIO(b"a"), name="a")
        up = await alice.files.upload(id, io.BytesIO(b"a"), name="a")
        with pytest.raises(errors.NotFound):
            await asker.files.download(up.id, tmp_path / "a")
        for broken in (replace(up, sha256="0" * 64), replace(up, size=0)):
            with pytest.raises(errors.Corrupted):
                await alice.files.download(broken, tmp_path / "a")
        assert list(tmp_path.iterdir()) == [], "nothing of it is left"


@on_both
async def test_a_pipe_is_sent_like_a_file(module_broker: Broker) -> None:
    people = Cast(module_broker)
    id = await asked(people)
    read, write = os.pipe()
    with os.fdopen(read, "rb") as source:
        with os.fdopen(write, "wb") as sink:
            sink.write(b"from a pipe")
        async with people.responding() as alice:
            up = await alice.files.upload(id, source, name="pipe.txt")
    assert (up.size, up.mime) == (11, "text/plain")


def test_the_same_without_an_event_loop(module_broker: Broker, tmp_path: Path) -> None:
    people = Cast(module_broker)
    id = anyio.run(asked, people, backend="trio")
    with PxBox(module_broker.url, module_broker.token(people.alice)) as alice:
        up = alice.files.upload(id, io.BytesIO(b"text"), name="a.txt")
        assert alice.files.get(up.id).sha256 == up.sha256
        assert alice.files.download(up.id, str(tmp_path / "a.txt")).size == 4
        alice.requests.answer(id, {"photo": up.id})
    assert (tmp_path / "a.txt").read_bytes() == b"text"
