"""Files over HTTP against what is made up: names, URLs, methods; and a disk that is full (X1)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.domain.files import label
from pxbox.model.errors import FileRefused
from tests.brokers import NO_TLS, Broker, Brokers
from tests.contract.documents import Json
from tests.transports.checking import check_read
from tests.transports.clients import Party, unique
from tests.transports.test_rest_files import PHOTO, PNG, signed
from tests.transports.test_resumable import BYTES, TUS, at

FUZZED = settings(max_examples=80, deadline=None)
POLICY = {"maxFiles": 64}
METHODS = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")
URLS = ("putUrl", "getUrl", "resumeUrl")
ODD = st.sampled_from([
    "../", "..\\", "%2e%2e%2f", "\0", "%00", "\u202e", "\u2066", "\u200c", "\ud800", "a" * 4096,
    "\r\nx: y", "\x1b[2J", "~", "CON", ".", " ", "\u0301", '";', "ü", "報告", "'", "%", "+", "&",
])  # fmt: skip
NAMES = st.lists(st.one_of(ODD, st.text(max_size=8)), min_size=1, max_size=4).map("".join)


@pytest.fixture
def rest(shared_broker: Broker) -> Iterator[httpx.Client]:
    # What is refused before all of it came ends its connection: another one for each.
    anew = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=shared_broker.url, verify=NO_TLS, timeout=60, limits=anew) as client:
        yield client


@pytest.fixture
async def request_id(asker: Party, ana: Party) -> str:
    """A request that asks ana for files."""
    return await asker.ask(ana.entity_id, schema=PHOTO, filesPolicy=POLICY)


def bearer(ana: Party) -> dict[str, str]:
    return {"authorization": f"Bearer {ana.token}"}


MOST_HEAD_BYTES = 32 * 1024


def query(**about: Any) -> str:
    """A query string, of text that no URL may hold too."""
    pairs = (f"{name}={_quoted(str(value))}" for name, value in about.items())
    return "&".join(pairs)


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


async def test_a_name_is_a_label_or_is_refused(
    rest: httpx.Client, asker: Party, ana: Party, request_id: str
) -> None:
    kept: list[Json] = []

    @FUZZED
    @given(NAMES)
    def sign(name: str) -> None:
        about = query(requestId=request_id, name=name, contentType="image/png", size=len(PNG))
        reply = rest.post(f"/v1/files/sign?{about}", headers=bearer(ana))
        check_read(reply)
        try:
            wanted = label(name)
        except FileRefused:
            # A very long one, with the other fields beside it, is too much for a head already.
            too_long = [431] if len(about) > MOST_HEAD_BYTES - 1024 else []
            assert reply.status_code in (400, 422, *too_long), (ascii(name), reply.text)
            return
        if reply.status_code == 201:
            kept.append({**reply.json(), "name": wanted})
        else:
            assert "too many" in reply.json()["detail"], (ascii(name), reply.text)

    sign()
    assert kept
    for file in kept:
        assert rest.put(file["putUrl"], content=PNG).json()["name"] == file["name"]
        down = rest.get(file["getUrl"])
        assert down.content == PNG
        header = down.headers["content-disposition"]
        # As those who read mail and the web take it apart.
        told = message_from_string(f"content-disposition: {header}\n\n")
        assert told.get_content_disposition() == "attachment"
        assert unquote(header.rpartition("filename*=UTF-8''")[2]) == file["name"]


async def test_a_url_that_was_changed_in_any_way_gives_and_takes_nothing(
    rest: httpx.Client, asker: Party, ana: Party
) -> None:
    file, other = await signed(asker, ana), await signed(asker, ana)
    assert rest.put(other["putUrl"], content=PNG).status_code == 200
    intact = {one[url] for one in (file, other) for url in URLS}
    same = {unquote(url) for url in intact}

    @st.composite
    def changed(draw: st.DrawFn) -> str:
        url = str(draw(st.sampled_from([file, other]))[draw(st.sampled_from(URLS))])
        how = draw(st.sampled_from(["cut", "put in", "exchange", "mix", "twice", "sign"]))
        place = draw(st.integers(len("/v1/files/"), len(url) - 1))
        text = draw(st.text("0123456789abcdefABCDEF%=&?./-_~", min_size=1, max_size=3))
        path, _, signature = url.partition("?")
        match how:
            case "cut":
                return url[:place]
            case "put in":
                return url[:place] + text + url[place:]
            case "exchange":
                return url[:place] + text + url[place + len(text) :]
            case "mix":
                return f"{path}?{str(draw(st.sampled_from(sorted(intact)))).partition('?')[2]}"
            case "twice":
                return f"{url}&{draw(st.sampled_from(signature.split('&')))}"
        return url.replace("expires=", f"expires={text}")

    @settings(max_examples=250, deadline=None)
    @given(changed(), st.sampled_from(METHODS))
    def send(url: str, method: str) -> None:
        # One that says the same is the same: `%31` is `1`.
        if unquote(url).rstrip("?&") in same:
            return
        body = PNG if method in ("PUT", "PATCH") else None
        reply = rest.request(method, url, headers=at(0), content=body)
        assert reply.status_code in (400, 401, 403, 404, 405), (method, url)
        assert PNG not in reply.content

    send()
    assert rest.get(file["getUrl"]).status_code == 404, "nothing came by any of them"
    assert rest.head(file["resumeUrl"], headers=TUS).headers["upload-offset"] == "0"
    assert rest.get(other["getUrl"]).content == PNG


async def test_a_disk_that_is_full_is_said_and_shows_no_part_of_a_file(
    shared_brokers: Brokers, asker: Party, ana: Party, tmp_path: Path
) -> None:
    """A file system of 4 MiB of its own, which another mount namespace than ours has."""
    as_root = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    mounted = f'mount -t tmpfs -o size=4m pxbox {tmp_path} && exec "$@"'
    within = ("unshare", *as_root, "--mount", "sh", "-c", mounted, "sh")
    pxbox = (sys.executable, "-m", "pxbox")
    broker = shared_brokers("--files-dir", str(tmp_path), command=(*within, *pxbox))
    data = PNG.ljust(6 * 2**20, b"x")
    file, small = await signed(asker, ana, size=len(data)), await signed(asker, ana)
    url = file["resumeUrl"]
    with httpx.Client(base_url=broker.url, verify=NO_TLS, timeout=60) as client:
        for _ in range(2):
            refused = client.put(file["putUrl"], content=data)
            check_read(refused)
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            assert client.get(file["getUrl"]).status_code == 404
        refused = client.patch(url, headers=at(0), content=data)
        check_read(refused)
        assert refused.json()["code"] == "storage_full"
        come = int(client.head(url, headers=TUS).headers["upload-offset"])
        assert 2**20 < come <= 4 * 2**20, "what there was room for stays"
        again = client.patch(url, headers=at(come), content=data[come:])
        assert again.json()["code"] == "storage_full"
        assert int(client.head(url, headers=TUS).headers["upload-offset"]) >= come
        assert client.get(file["getUrl"]).status_code == 404
        assert client.put(small["putUrl"], content=PNG).status_code == 507
        assert client.delete(url, headers=TUS).status_code == 204
        assert client.put(small["putUrl"], content=PNG).status_code == 200
        assert list(tmp_path.iterdir()) == [], "it is not ours that was written to"
    broker.kill()


async def test_policies_hold_at_their_very_edges(
    rest: httpx.Client, asker: Party, ana: Party
) -> None:
    policy = {"maxFileMB": 1, "maxTotalMB": 2, "maxFiles": 2, "extensions": ["png"]}
    id = await asker.ask(ana.entity_id, schema=PHOTO, filesPolicy=policy)
    most = 2**20
    for size, name, fits in (
        (most, "a.png", True), (most + 1, "a.png", False), (0, "a.png", True),
        (1, "a.PNG", True), (1, "a.png.", False), (1, "png", False), (1, ".png", True),
    ):  # fmt: skip
        about = query(requestId=id, name=name, contentType=BYTES, size=size)
        reply = rest.post(f"/v1/files/sign?{about}", headers=bearer(ana))
        check_read(reply)
        assert reply.status_code == (201 if fits else 422), (size, name)
    for wrong in (-1, 2**63, 2**64, "1.5", "", "٣", "0x10", "nan"):
        about = query(requestId=id, name=f"{unique('a')}.png", contentType=BYTES, size=wrong)
        reply = rest.post(f"/v1/files/sign?{about}", headers=bearer(ana))
        check_read(reply)
        assert reply.status_code in (400, 422), wrong
