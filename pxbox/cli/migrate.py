"""`pxbox migrate`: bring the database to the shape that this version needs."""

from __future__ import annotations

from pxbox.cli.options import with_settings
from pxbox.cli.servers import reached, run_asyncio
from pxbox.postgres.migrate import migrate as apply
from pxbox.postgres.probe import FAILURES, why_unreachable
from pxbox.settings import OperatorError, Settings


@with_settings("data_dir", "database_url")
def migrate(settings: Settings) -> int:
    """Apply the migrations that the database lacks, and name them, one a line.

    Without --database-url it is the embedded database of a running broker; the broker itself
    migrates when it starts.
    """
    url = reached(settings).database_url
    if url is None:
        raise OperatorError(
            "No database to migrate: give --database-url (PXBOX_DATABASE_URL). The embedded one "
            f"of {settings.data_dir} is not running; `pxbox serve` migrates it when it starts."
        )
    try:
        applied = run_asyncio(apply(url))
    except FAILURES as error:
        raise OperatorError(f"The database cannot be migrated: {why_unreachable(error)}.") from None
    for name in applied:
        print(name)
    return 0
