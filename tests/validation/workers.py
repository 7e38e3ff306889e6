"""The worker processes of this one, as the system sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psutil
import pytest

from pxbox.validation.pool import ValidationPool, open_validation_pool


@pytest.fixture
async def pool() -> AsyncIterator[ValidationPool]:
    async with open_validation_pool() as opened:
        yield opened


def workers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "pxbox.validation.worker" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found
