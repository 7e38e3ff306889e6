"""A broker's parts as `app` joins them, without the transports, and clients who call operations."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import msgspec
import structlog
import trio
from structlog.testing import LogCapture

from pxbox.app.core import Base, Choices, Core, open_core
from pxbox.blobs.links import Links
from pxbox.blobs.local import LocalStorage
from pxbox.blobs.storage import Storage
from pxbox.domain.allowlist import Allowlist
from pxbox.domain.inbox import Thresholds
from pxbox.jobs import open_residents
from pxbox.model.decoding import decode_input
from pxbox.model.file import MEGABYTE
from pxbox.model.ids import new_uuid
from pxbox.model.principal import ADMIN, OVERRIDE, REQUEST, RESPOND, Principal
from pxbox.observe import Log
from pxbox.postgres.installation import install
from pxbox.postgres.reader import Reader
from pxbox.references.fetcher import Fetcher
from pxbox.service import operations
from pxbox.service.core import Outcome, Parts
from pxbox.service.served import Line
from tests.postgres.sessions import run_asyncio

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}},
    "required": ["city"],
}
ROME = {"city": "Rome"}


def unique(prefix: str = "u") -> str:
    """A name that nobody has."""
    return f"{prefix}-{new_uuid()}"


@dataclass(frozen=True)
class Client:
    """A caller of one broker's operations, by a token that was verified; `line`: its connection."""

    parts: Parts
    principal: Principal
    line: Line | None = None

    async def outcome(self, operation: str, key: str | None = None, **members: object) -> Outcome:
        """Call an operation with an input of these members, decoded as from a transport."""
        found = operations.find(operation)
        input = decode_input(msgspec.json.encode(members), found.input)
        return await operations.perform(self.parts, self.principal, found, input, key, self.line)

    async def call(self, operation: str, key: str | None = None, **members: object) -> Any:
        """The reply as JSON says it. Raises PxErrors."""
        outcome = await self.outcome(operation, key, **members)
        return msgspec.json.decode(msgspec.json.encode(outcome.reply))

    async def ask(self, to: str | list[str], key: str | None = None, **members: object) -> Any:
        """Create a request for a city."""
        members = {"schema": CITY, "to": to, **members}
        return await self.call("createRequest", key, **members)


@dataclass(frozen=True)
class Broker:
    core: Core
    url: str

    @property
    def parts(self) -> Parts:
        return self.core.parts

    def client(self, sub: str, *scopes: str, entity: str | None = None) -> Client:
        return Client(self.parts, Principal(sub, entity, frozenset(scopes), None, "token"))

    def asker(self, sub: str = "asker") -> Client:
        return self.client(sub, REQUEST)

    def responder(self, entity: str) -> Client:
        return self.client(f"client of {entity}", RESPOND, entity=entity)

    def admin(self) -> Client:
        return self.client("admin", ADMIN)

    def operator(self) -> Client:
        return self.client("operator", OVERRIDE)

    async def user(self, kind: str = "user", **members: object) -> str:
        """The id of a new entity; its handle is its own."""
        made = {"kind": kind, "handle": unique(), **members}
        return str((await self.admin().call("createEntity", None, **made))["id"])

    async def group(self, *members: str) -> str:
        """The id of a new group of these."""
        group = await self.user("group")
        for member in members:
            await self.admin().call("addMember", id=group, member=member)
        return group

    async def query(self, text: str, *arguments: object) -> list[asyncpg.Record]:
        """The rows of a statement of the test's own, on a connection beside the broker's."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url)
            try:
                return await connection.fetch(text, *arguments)
            finally:
                await connection.close()

        return await trio.to_thread.run_sync(lambda: run_asyncio(fetch))

    async def events(self, channel: str) -> list[dict[str, Any]]:
        """The events of a channel, which must be numbered 1, 2, 3, ..."""
        page = await self.parts.log.page(channel, 0, 10_000)
        assert [item.seq for item in page.items] == list(range(1, page.bounds.head + 1))
        return [msgspec.json.decode(item.data) for item in page.items]


@asynccontextmanager
async def open_broker(url: str, storage: Storage | None = None) -> AsyncIterator[Broker]:
    """Run a broker's parts on the migrated database at `url`, with files in a directory of its own
    or in `storage`; no fault of its own may happen."""
    logged = LogCapture()
    log = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[logged],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    directory = await trio.to_thread.run_sync(tempfile.mkdtemp)
    local = LocalStorage(Path(directory), Links(b"key"))
    local.open()
    async with open_residents() as residents:
        reader = Reader(url)
        reader.open(residents)
        installation = await install(reader, new_uuid(), "fingerprint")
        base = Base(residents, reader, url, "memory://", installation, cast(Log, log))
        choices = Choices(Thresholds(), storage or local, 100 * MEGABYTE, Fetcher(Allowlist()))
        async with open_core(base, choices) as core:
            yield Broker(core, url)
    shutil.rmtree(directory)
    assert [entry for entry in logged.entries if entry["log_level"] == "error"] == []


Brokers = tuple[Broker, Broker]
