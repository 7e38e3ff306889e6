"""Files of an answer: who may upload and read them, and what is held to the policy (X1, X2)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from pxbox.blobs.local import LocalStorage
from pxbox.model.errors import (
    FileExists,
    FileRefused,
    FileUrlRefused,
    Forbidden,
    InvalidAnswer,
    InvalidRequest,
    NotFound,
    WrongStatus,
)
from pxbox.service import files
from tests.service.brokers import ROME, Broker, Client

PHOTO = {"type": "object", "properties": {"photo": {"type": "string", "format": "pxbox-file"}}}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
POLICY = {
    "maxFileMB": 1,
    "maxFiles": 2,
    "maxTotalMB": 1,
    "mime": ["image/*"],
    "extensions": [".PNG"],
}


def parted(url: str) -> tuple[str, dict[str, str]]:
    """The file and the query of a URL that was given out."""
    parts = urlsplit(url)
    return parts.path.split("/")[3], dict(parse_qsl(parts.query))


async def upload(broker: Broker, url: str, data: bytes = PNG, cut: int = 4096) -> Any:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), cut):
            yield data[start : start + cut]

    async with aclosing(pieces()) as sent:
        return await files.receive(broker.parts, *parted(url), sent)


async def sign(client: Client, request_id: str, **members: Any) -> Any:
    about = {"name": "a.png", "contentType": "image/png", "size": len(PNG), **members}
    return await client.call("signFile", requestId=request_id, **about)


async def read(broker: Broker, url: str) -> bytes:
    found = await files.download(broker.parts, *parted(url))
    return b"".join([piece async for piece in found.read(0, found.file.size)])


def kept(broker: Broker) -> list[str]:
    """Everything that lies in the storage, drafts too."""
    storage = broker.parts.files.storage
    assert isinstance(storage, LocalStorage)
    root = storage._kept.parent
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def asked(broker: Broker, **members: Any) -> tuple[Client, str]:
    """A responder and the id of a request that admits files."""
    ada = await broker.user()
    members = {"schema": PHOTO, "filesPolicy": POLICY, **members}
    return broker.responder(ada), (await broker.asker().ask(ada, **members))["id"]


async def test_a_file_is_uploaded_referred_to_and_read_by_the_asker(broker: Broker) -> None:
    mine, id = await asked(broker)
    signed = await sign(mine, id)
    view = await upload(broker, signed["putUrl"])
    assert await read(broker, signed["getUrl"]) == PNG
    reply = await mine.call("postResponse", "key", id=id, payload={"photo": view.id})
    told = await broker.asker().call("getResponse", id=id)
    for response in (reply, told, await mine.call("getResponse", id=id)):
        (file,) = response["files"]
        assert await read(broker, file.pop("url")) == PNG
        assert file == {
            "id": view.id, "name": "a.png", "size": len(PNG), "mime": "image/png",
            "sha256": view.sha256,
        }  # fmt: skip
    again = await mine.call("postResponse", "key", id=id, payload={"photo": view.id})
    assert await read(broker, again["files"][0]["url"]) == PNG
    (row,) = await broker.query(
        "select holds::text from unique_key where holds::text like '%' || $1 || '%'", view.id
    )
    assert "signature" not in row["holds"], "no URL is ever kept"


async def test_a_url_for_a_file_is_for_who_may_read_the_answer_and_who_uploaded_it(
    broker: Broker,
) -> None:
    ada, bob = await broker.user(), await broker.user()
    id = (await broker.asker().ask([ada, bob], schema=PHOTO, filesPolicy=POLICY))["id"]
    mine, other = broker.responder(ada), broker.responder(bob)
    photo, unused = await sign(mine, id), await sign(mine, id)
    everybody = (mine, other, broker.asker(), broker.asker("another"))

    async def readers(file: Any) -> list[bool]:
        may = []
        for client in everybody:
            try:
                view = await client.call("getFile", id=file["fileId"])
            except NotFound:
                may.append(False)
            else:
                assert await read(broker, view["url"]) == PNG
                may.append(True)
        return may

    assert await readers(photo) == [False] * 4, "there is nothing yet"
    for signed in (photo, unused):
        await upload(broker, signed["putUrl"])
    assert await readers(photo) == [True, False, False, False]
    await mine.call("postResponse", id=id, payload={"photo": photo["fileId"]})
    assert await readers(photo) == [True, False, True, False]
    assert await readers(unused) == [True, False, False, False]


async def test_files_beside_the_payload_are_part_of_the_answer(broker: Broker) -> None:
    mine, id = await asked(broker)
    one, other = [await sign(mine, id, name=f"{name}.png") for name in "ab"]
    for signed in (one, other):
        await upload(broker, signed["putUrl"])
    both = [other["fileId"], one["fileId"]]
    reply = await mine.call("postResponse", id=id, payload={}, files=both)
    assert [file["name"] for file in reply["files"]] == ["b.png", "a.png"]
    assert await mine.call("postResponse", id=id, payload={}, files=both)
    with pytest.raises(WrongStatus):
        await mine.call("postResponse", id=id, payload={}, files=both[:1])


async def test_only_who_may_answer_signs_and_only_while_the_request_is_open(
    broker: Broker,
) -> None:
    mine, id = await asked(broker)
    with pytest.raises(NotFound):
        await sign(broker.responder(await broker.user()), id)
    with pytest.raises(Forbidden):
        await sign(broker.asker(), id)
    signed = await sign(mine, id)
    await mine.call("postResponse", id=id, payload={})
    with pytest.raises(WrongStatus):
        await sign(mine, id)
    with pytest.raises(WrongStatus):
        await upload(broker, signed["putUrl"])
    with pytest.raises(NotFound):
        await read(broker, signed["getUrl"])


async def test_an_answer_refers_only_to_its_own_uploaded_files(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    ask = broker.asker().ask
    id, elsewhere = [
        (await ask([ada, bob], schema=PHOTO, filesPolicy=POLICY))["id"] for _ in range(2)
    ]
    mine, other = broker.responder(ada), broker.responder(bob)
    not_uploaded, of_bob, of_another = [
        await sign(client, request)
        for client, request in ((mine, id), (other, id), (mine, elsewhere))
    ]
    for signed in (of_bob, of_another):
        await upload(broker, signed["putUrl"])
    wrong = [not_uploaded["fileId"], of_bob["fileId"], of_another["fileId"], "../../etc/passwd", ""]
    for file_id in wrong:
        for answer in ({"payload": {"photo": file_id}}, {"payload": {}, "files": [file_id]}):
            with pytest.raises(InvalidAnswer) as refusal:
                await mine.call("postResponse", id=id, **answer)
            (error,) = refusal.value.errors
            assert error.pointer == ("/files/0" if "files" in answer else "/photo")
            assert error.keyword == "pxbox-file"


async def test_files_are_held_to_the_policy_again_together(broker: Broker) -> None:
    mine, id = await asked(broker, filesPolicy={**POLICY, "maxFileMB": 1, "maxTotalMB": 1})
    large = PNG + bytes(2**20 - len(PNG))
    signed = [await sign(mine, id, size=len(large)), await sign(mine, id), await sign(mine, id)]
    for one, data in zip(signed, (large, PNG, PNG), strict=True):
        await upload(broker, one["putUrl"], data)
    ids = [one["fileId"] for one in signed]
    for chosen, keyword in ((ids[:2], "maxTotalMB"), (ids, "maxFiles")):
        with pytest.raises(FileRefused) as refusal:
            await mine.call("postResponse", id=id, payload={}, files=chosen)
        assert [error.keyword for error in refusal.value.errors] == [keyword]
    await mine.call("postResponse", id=id, payload={"photo": ids[0]}, files=ids[:1] * 3)


@pytest.mark.parametrize(
    ("members", "keywords"),
    [
        ({"size": 2**20 + 1}, {"maxFileMB"}),
        ({"contentType": "application/pdf"}, {"mime"}),
        ({"name": "a.pdf"}, {"extensions"}),
        ({"name": "a.png.exe", "contentType": "text/html", "size": 2**40},
         {"maxFileMB", "mime", "extensions"}),
        ({"contentType": "nonsense"}, {"contentType"}),
        ({"name": "../a.png"}, {"name"}),
    ],
)  # fmt: skip
async def test_what_the_policy_does_not_admit_is_not_signed(
    broker: Broker, members: Any, keywords: set[str]
) -> None:
    mine, id = await asked(broker)
    with pytest.raises(FileRefused) as refusal:
        await sign(mine, id, **members)
    assert {error.keyword for error in refusal.value.errors} == keywords


async def test_edges_of_the_policy_are_admitted(broker: Broker) -> None:
    mine, id = await asked(broker)
    whole = PNG + bytes(2**20 - len(PNG))
    signed = await sign(mine, id, size=2**20, name="A.PNG", contentType="IMAGE/PNG; q=1")
    assert (await upload(broker, signed["putUrl"], whole)).size == 2**20
    empty = await sign(mine, id, size=0)
    view = await upload(broker, empty["putUrl"], b"")
    assert (view.size, await read(broker, empty["getUrl"])) == (0, b"")


async def test_without_a_policy_only_a_schema_asks_for_files(broker: Broker) -> None:
    mine, _ = await asked(broker)
    ada = mine.principal.entity
    assert ada is not None
    plain = (await broker.asker().ask(ada))["id"]
    with pytest.raises(FileRefused):
        await sign(mine, plain)
    with pytest.raises(FileRefused):
        await mine.call("postResponse", id=plain, payload=ROME, files=[plain])
    by_schema = (await broker.asker().ask(ada, schema=PHOTO))["id"]
    await sign(mine, by_schema, contentType="application/pdf", name="a.pdf")
    detail = await mine.call("getRequest", id=by_schema)
    assert detail["filesPolicy"]["maxFileMB"] == 25
    assert (await mine.call("getRequest", id=plain))["filesPolicy"] is None


@pytest.mark.parametrize(
    "policy",
    [{"maxFiles": 0}, {"maxFileMB": 0}, {"mime": ["png"]}, {"mime": ["*/*"]},
     {"extensions": ["../x"]}, {"extensions": [""]}, {"maxFiles": 65}, {"nonsense": 1}],
)  # fmt: skip
async def test_a_policy_that_can_admit_nothing_is_refused(broker: Broker, policy: Any) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await asked(broker, filesPolicy=policy)
    assert refusal.value.errors[0].pointer.startswith("/filesPolicy")


@pytest.mark.parametrize(
    ("data", "keyword"),
    [
        (PNG[:-1], "size"),
        (PNG + b"!", "size"),
        (PNG * 30_000, "size"),
        (b"<html><script>alert(1)</script>".ljust(len(PNG)), "mime"),
        (b"MZ".ljust(len(PNG), b"\0"), "mime"),
        (bytes(len(PNG)), "mime"),
    ],
)
async def test_an_upload_that_is_not_what_was_signed_leaves_nothing(
    broker: Broker, data: bytes, keyword: str
) -> None:
    mine, id = await asked(broker)
    signed = await sign(mine, id)
    with pytest.raises(FileRefused) as refusal:
        await upload(broker, signed["putUrl"], data)
    assert [error.keyword for error in refusal.value.errors] == [keyword]
    assert kept(broker) == []
    with pytest.raises(NotFound):
        await read(broker, signed["getUrl"])
    await upload(broker, signed["putUrl"])
    assert len(kept(broker)) == 1


async def test_an_upload_that_is_cut_leaves_nothing_and_may_be_repeated(broker: Broker) -> None:
    class Cut(Exception):
        pass

    async def cut() -> AsyncGenerator[bytes, None]:
        yield PNG[:50]
        assert len(kept(broker)) == 1, "a draft"
        raise Cut

    mine, id = await asked(broker)
    signed = await sign(mine, id)
    with pytest.raises(Cut):
        async with aclosing(cut()) as data:
            await files.receive(broker.parts, *parted(signed["putUrl"]), data)
    assert kept(broker) == []
    await upload(broker, signed["putUrl"])


async def test_the_first_of_two_uploads_is_the_file(broker: Broker) -> None:
    mine, id = await asked(broker)
    signed = await sign(mine, id)
    first = await upload(broker, signed["putUrl"])
    again = await upload(broker, signed["putUrl"])
    assert (first.sha256, first.id) == (again.sha256, again.id)
    with pytest.raises(FileExists):
        await upload(broker, signed["putUrl"], PNG[:-1] + b"!")
    assert await read(broker, signed["getUrl"]) == PNG
    assert len(kept(broker)) == 1


async def test_a_url_counts_for_its_purpose_its_file_and_its_time_alone(broker: Broker) -> None:
    mine, id = await asked(broker)
    one, other = await sign(mine, id), await sign(mine, id)
    await upload(broker, one["putUrl"])
    file_id, put = parted(one["putUrl"])
    _, get = parted(one["getUrl"])
    later = str(int(get["expires"]) + 1)
    wrong: list[dict[str, str]] = [
        {}, put, {**get, "purpose": "put"}, {**get, "expires": later}, {**get, "signature": ""},
        {**get, "signature": get["signature"][:-1]}, {**get, "signature": "é" * 64},
        {**get, "extra": "1"}, {**put, "purpose": "get"}, {**get, "expires": ""},
        {**get, "expires": "+" + get["expires"]}, {**get, "signature": get["signature"].upper()},
    ]  # fmt: skip
    for query in wrong:
        with pytest.raises(FileUrlRefused):
            await files.download(broker.parts, file_id, query)
    with pytest.raises(FileUrlRefused):
        await files.download(broker.parts, other["fileId"], get)
    past = broker.parts.journal.now().replace(year=2020)
    links = broker.parts.files.storage.links
    with pytest.raises(FileUrlRefused, match="expired"):
        await files.download(broker.parts, *parted(links.sign("get", file_id, past)))
    with pytest.raises(FileUrlRefused, match="expired"):
        await upload(broker, links.sign("put", other["fileId"], past))


async def test_a_responder_signs_for_a_bounded_number_of_files(broker: Broker) -> None:
    mine, id = await asked(broker, filesPolicy={"maxFiles": 1})
    for _ in range(4):
        await sign(mine, id)
    with pytest.raises(FileRefused, match="too many"):
        await sign(mine, id)
