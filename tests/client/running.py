"""Tests that run on trio and on asyncio, as users' programs do."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import anyio
import pytest

# Far above what a quiet machine needs: it only ends what would never end.
DEADLINE_SECONDS = 90.0
BACKENDS = ("trio", "asyncio")


def on(backend: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run async work to its end on this backend; TimeoutError where it does not come to one."""

    async def bounded() -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            await work()

    # Named: in this process trio-asyncio has been imported, after which asyncio's default loop
    # runs inside trio only.
    options = {"loop_factory": asyncio.SelectorEventLoop} if backend == "asyncio" else {}
    anyio.run(bounded, backend=backend, backend_options=options)


def on_both(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Have an async test run once on each backend."""

    @wraps(test)
    def run(backend: str, **fixtures: Any) -> None:
        on(backend, lambda: test(**fixtures))

    signature = inspect.signature(test)
    backend = inspect.Parameter("backend", inspect.Parameter.KEYWORD_ONLY)
    parameters = [*signature.parameters.values(), backend]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    both: Callable[..., None] = pytest.mark.parametrize("backend", BACKENDS)(run)
    return both
