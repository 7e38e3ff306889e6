"""Waiting for answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from pxbox.client.errors import Conflict, NotFound
from pxbox.client.rest import Prefer
from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox
    from pxbox.client.requests import Answer, RequestHandle

T = TypeVar("T")

POLL_SECONDS = 30


class Waits:
    """Waits for the end of requests, for as long as it takes."""

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px

    async def answer(self, handle: RequestHandle[T]) -> Answer[T]:
        """The answer. Raises Declined, Cancelled, Expired."""
        return handle.read(await self._poll(handle))

    async def _poll(self, handle: RequestHandle[T]) -> wire.Response:
        link = self._px.link
        data = msgspec.json.encode({"id": handle.id})

        async def once() -> bytes | None:
            try:
                return (await link.rest("getResponse", data, None, Prefer(POLL_SECONDS))).body
            except NotFound as error:
                if error.code == "not_answered":
                    return None
                raise

        while True:
            try:
                body = await link.persist(once, float("inf"))
            except Conflict:
                return await self._px.requests.response(handle.id)
            if body is not None:
                return msgspec.json.decode(body, type=wire.Response)
