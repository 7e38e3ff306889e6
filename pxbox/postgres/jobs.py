"""What operators do with what is kept: export it, let it go, erase one person's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from msgspec import Raw

from pxbox.model.request import Request
from pxbox.postgres.reader import Reader

_decode = msgspec.json.Decoder(Request).decode


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """None admits all; created from `since` on and before `until`."""

    statuses: Sequence[str]
    requestor: str | None
    tag: str | None
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Exported:
    """`payload` is None where there is no answer."""

    request: Request
    meta: Raw
    payload: Raw | None
    answered_by: str | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outdated:
    """Requests that are no longer kept; `upto`: look further after this one, None at the end."""

    answered: list[str]
    unanswered: list[str]
    upto: str | None


@dataclass(frozen=True, slots=True)
class Personal:
    """How much of a person's was erased, or is there to be."""

    answers: int
    drafts: int
    marks: int
    trail: int


class Jobs:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def exported(self, where: ExportFilter, after: str, limit: int) -> list[Exported]:
        """Requests after this id, in the order of their ids, which is that of their making."""
        rows = await self._reader.fetch_list(
            "exported", after, list(where.statuses), where.requestor, where.tag, where.since,
            where.until, limit,
        )  # fmt: skip
        return [
            Exported(
                _decode(row["state"]),
                Raw(row["meta"].encode()),
                None if row["payload"] is None else Raw(row["payload"].encode()),
                row["answered_by"],
                row["answered_at"],
            )
            for row in rows
        ]

    async def outdated(
        self, answered: timedelta | None, unanswered: timedelta | None, after: str, look_at: int
    ) -> Outdated:
        """Of so many requests after this id, those that were closed longer ago than this."""
        (row,) = await self._reader.fetch_list("outdated", answered, unanswered, after, look_at)
        return Outdated(row["answered"], row["unanswered"], row["upto"])

    async def purge(self, request_ids: Sequence[str]) -> int:
        """Delete these closed requests with all but their trail; how many those were."""
        (row,) = await self._reader.fetch_list("purge_requests", list(request_ids))
        return int(row["gone"])

    async def personal(self, entity_id: str) -> Personal:
        (row,) = await self._reader.fetch_list("personal", entity_id)
        return Personal(**dict(row))

    async def erase(self, entity_id: str, was: str, handle: str) -> Personal:
        """Erase what an entity has left, and its names but `handle`; `was` is the one before."""
        (row,) = await self._reader.fetch_list("erase", entity_id, was, handle)
        return Personal(**dict(row))
