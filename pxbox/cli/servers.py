"""Which servers a broker with these settings has, and how a command speaks with them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from pxbox.embedded import Servers, running_urls
from pxbox.settings import OperatorError, Settings

T = TypeVar("T")


def reached(settings: Settings) -> Servers:
    """Where the servers are, the configured ones, else the embedded ones; None: not running.

    Raises OperatorError if the data directory is not to be looked into.
    """
    if settings.database_url and settings.redis_url:
        return Servers(settings.database_url, settings.redis_url)
    try:
        embedded = running_urls(settings.data_dir)
    except PermissionError:
        raise OperatorError(
            f"The data directory {settings.data_dir} belongs to another user: run this as the user "
            "that runs the broker."
        ) from None
    except OSError as error:
        raise OperatorError(
            f"The data directory {settings.data_dir} cannot be used: {error.strerror}."
        ) from None
    return Servers(
        settings.database_url or embedded.database_url, settings.redis_url or embedded.redis_url
    )


def run_asyncio(work: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end on a loop of asyncio's own.

    By a selector loop, whatever policy other libraries have set.
    """
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(work)
