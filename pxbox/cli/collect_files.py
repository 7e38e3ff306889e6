"""`pxbox collect-files`: delete files that no answer refers to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import trio
from cyclopts import Parameter

from pxbox.app.storage import open_storage
from pxbox.blobs.links import Links
from pxbox.cli.options import with_settings
from pxbox.cli.servers import reached
from pxbox.jobs import open_residents
from pxbox.model.errors import PxError
from pxbox.postgres.files import FileTable
from pxbox.postgres.reader import Reader
from pxbox.service.adopting import Adoptions
from pxbox.service.collecting import Collector, Found, find_orphans
from pxbox.service.core import Files
from pxbox.settings import OperatorError, Settings

_AT_ONCE = 1_000


@with_settings("data_dir", "database_url", "files_dir", "files_url")
def collect_files(
    settings: Settings,
    *,
    dry_run: Annotated[bool, Parameter(help="Say what would be deleted.", negative=())] = False,
) -> int:
    """Delete files that no answer refers to: of requests that were closed two days ago, those that
    never were uploaded, and what lies in the storage and belongs to no file. Each is named, one a
    line.

    Running brokers do the same every ten minutes or so. With --dry-run nothing is deleted.
    """
    url = reached(settings).database_url
    if url is None:
        raise OperatorError(
            "No database to look into: give --database-url (PXBOX_DATABASE_URL), or start the "
            f"broker of {settings.data_dir} first."
        )
    try:
        trio.run(_collect, url, settings, dry_run)
    except* (PxError, OSError) as group:
        raise OperatorError(f"Files cannot be collected: {_first(group)}.") from None
    return 0


async def _collect(url: str, settings: Settings, dry_run: bool) -> None:
    links = Links(b"no URL is made here")
    storage = await open_storage(settings, links, lambda why: print(f"the store fails: {why}"))
    async with open_residents() as residents:
        reader = Reader(url)
        reader.open(residents)
        table = FileTable(reader)
        files = Files(table, storage, Adoptions(table, storage), 0, _no_clock)
        collector, after = Collector(files), ""
        while True:
            found = await find_orphans(files, _AT_ONCE, after=after)
            _name(found)
            done = not (found.orphans or found.strays or found.leftovers)
            if not dry_run:
                await collector.collect(_AT_ONCE)
            after = found.after
            if not after and (done or dry_run):
                return


def _name(found: Found) -> None:
    for one in found.orphans:
        why = "never uploaded" if one.blob is None else f"request {one.request_status}"
        print(f"{one.id}  {one.size:>12}  {why}  {one.name}")
    for key in found.strays:
        print(f"{key}  belongs to no file")
    for id in found.leftovers:
        print(f"{id}  was uploaded, and no file waits for it")


def _no_clock() -> datetime:
    raise AssertionError("no URL is made here")


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
