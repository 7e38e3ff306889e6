"""Files of 5 GB, up in both ways and down again, in constant memory. Run it by
`python -m pytest -s tests/long/test_large_files.py`; it takes 20 GB of disk, and gives them back.

The bound: while files of 5 GB go, the broker's memory grows by less than GROWTH_BYTES over what it
has after a file of 64 MB went the same ways; so does ours, with the client in it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import trio

from pxbox.client import AsyncPxBox
from pxbox.client.http import send_file
from pxbox.client.rest import Call
from pxbox.client.transfer import open_source
from tests.brokers import Broker, Brokers
from tests.client.people import Cast
from tests.client.proxy import open_proxy
from tests.client.test_files import cutting_at

SIZE = 5 * 10**9
WARM = 64 * 10**6
GROWTH_BYTES = 24 * 2**20
BYTES = "application/octet-stream"
FILE = {"type": "string", "format": "pxbox-file"}
POLICY = {"maxFileMB": 5120, "maxTotalMB": 51_200, "maxFiles": 10}


class Memory:
    """How much two processes have, sampled; `peaks` are the most since `begin`."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self.peaks = self.now()

    def now(self) -> list[int]:
        return [_resident(pid) for pid in self._pids]

    def begin(self) -> list[int]:
        self.peaks = self.now()
        return self.peaks

    async def sample(self) -> None:
        while True:
            self.peaks = [max(pair) for pair in zip(self.peaks, self.now(), strict=True)]
            await trio.sleep(0.05)


async def test_five_gigabytes_pass_in_constant_memory(brokers: Brokers, tmp_path: Path) -> None:
    broker = await trio.to_thread.run_sync(lambda: brokers("--files-dir", str(tmp_path / "files")))
    people = Cast(broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        handle = await asker.requests.create(FILE, to=people.alice, files_policy=POLICY)
        memory = Memory(broker.pid, os.getpid())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(memory.sample)
            for size in (WARM, SIZE):
                source = tmp_path / f"{size}.bin"
                digest = await trio.to_thread.run_sync(write, source, size)
                before = memory.begin()
                await go(broker, people, alice, handle.id, source, digest)
                grown = [peak - now for peak, now in zip(memory.peaks, before, strict=True)]
                print(f"{size} bytes: broker {before[0] >> 20} MiB, grew by {grown[0] / 2**20:.1f}"
                      f" MiB; client {before[1] >> 20} MiB, by {grown[1] / 2**20:.1f}")  # fmt: skip
            assert max(grown) < GROWTH_BYTES
            nursery.cancel_scope.cancel()


async def go(
    broker: Broker, people: Cast, alice: AsyncPxBox, request: str, source: Path, digest: str
) -> None:
    """Up by tus, cut in the middle; down again, cut in the middle; up by one PUT."""
    size = source.stat().st_size
    to = source.with_suffix(".down")
    async with open_proxy(broker.url) as proxy, people.responding(proxy.url) as cut_off:
        async with timed("up by tus, cut in the middle", size):
            progress = cutting_at(proxy, size // 2)
            view = await cut_off.files.upload(request, source, progress=progress)
        assert view.sha256 == digest
        async with timed("down, cut in the middle", size):
            await cut_off.files.download(view.id, to, progress=cutting_at(proxy, size // 2))
    assert to.stat().st_size == size
    await trio.to_thread.run_sync(to.unlink)
    about = {"requestId": request, "name": "a", "contentType": BYTES, "size": size}
    signed = await alice.call("signFile", about)
    async with timed("up by one PUT", size), open_source(source) as whole:
        call = Call("PUT", signed["putUrl"], {})
        answered = await send_file(alice.link.http, call, whole, 0, lambda done: None)
    assert msgspec.json.decode(answered.body)["sha256"] == digest


def write(path: Path, size: int) -> str:
    """Fill a file with what does not repeat, and return its SHA-256."""
    digest = hashlib.sha256()
    block = bytearray(os.urandom(2**20))
    with path.open("wb") as file:
        for number in range(0, size, len(block)):
            block[:8] = number.to_bytes(8, "big")
            piece = memoryview(block)[: size - number]
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


@asynccontextmanager
async def timed(what: str, size: int) -> AsyncIterator[None]:
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    print(f"{what}: {size / 1e6:.0f} MB in {seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s")


def _resident(pid: int) -> int:
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    ]  # fmt: skip
    return int(line.split()[1]) * 1024
