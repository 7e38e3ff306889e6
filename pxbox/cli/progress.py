"""How far a file has gone, drawn on standard error where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pxbox.cli.terminal import clean
from pxbox.client.transfer import Progress


@contextmanager
def shown_progress(name: str) -> Iterator[Progress | None]:
    """What to tell as the file goes; None where nobody looks."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(clean(name), total=None)

        def told(done: int, of: int) -> None:
            bars.update(task, completed=done, total=of)

        yield told
