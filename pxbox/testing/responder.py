"""People who answer by a script."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio

from pxbox.client import AsyncPxBox, ChangeKind
from pxbox.model import wire


@dataclass(frozen=True, slots=True)
class Decline:
    """In the place of an answer: decline, for this reason."""

    reason: str | None = None


class _Leave:
    def __repr__(self) -> str:
        return "LEAVE"


LEAVE: Final = _Leave()
"""In the place of an answer: do nothing with the request."""

Script = Any
"""What is answered: data, Decline or LEAVE; or a function, sync or async, from the request (a
wire.RequestDetail) to one of these; or several of them, by `in_turn`."""


def in_turn(*scripts: Script) -> Callable[[wire.RequestDetail], Any]:
    """Each request gets the next of these; one more than there are is an AssertionError."""
    left = list(scripts)

    async def answer(request: wire.RequestDetail) -> Any:
        assert left, f"a request more than the script has: {request.title or request.id}"
        return await _play(left.pop(0), request)

    return answer


class Responder:
    """Answers each request to one entity, in the order in which they are seen.

    `seen` are the requests so far, each as it was before it was answered.
    """

    def __init__(self, px: AsyncPxBox, entity: str, script: Script) -> None:
        self._px = px
        self._entity = entity
        self._script = script
        self.seen: list[wire.RequestDetail] = []

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Answer until cancelled. Raises what the broker says of an answer."""
        async with self._px.inbox(self._entity) as inbox:
            task_status.started()
            for item in inbox.items:
                await self._answer(item.id)
            async for change in inbox:
                if change.kind is ChangeKind.ADDED:
                    await self._answer(change.item.id)

    async def _answer(self, request_id: str) -> None:
        request = await self._px.requests.get(request_id)
        self.seen.append(request)
        answer = await _play(self._script, request)
        if isinstance(answer, Decline):
            await self._px.requests.decline(request_id, answer.reason)
        elif answer is not LEAVE:
            await self._px.requests.answer(request_id, answer)


async def _play(script: Script, request: wire.RequestDetail) -> Any:
    answer = script(request) if callable(script) else script
    return await answer if inspect.isawaitable(answer) else answer


@asynccontextmanager
async def responding(px: AsyncPxBox, entity: str, script: Script) -> AsyncIterator[Responder]:
    """A responder at work while the block lasts; what goes wrong with it ends the block."""
    try:
        async with px, anyio.create_task_group() as group:
            responder = Responder(px, entity, script)
            await group.start(responder.run)
            yield responder
            group.cancel_scope.cancel()
    except BaseExceptionGroup as failures:
        # Whoever reads the failed test wants the reason, in no group.
        if len(failures.exceptions) == 1:
            raise failures.exceptions[0] from None
        raise
