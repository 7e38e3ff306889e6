"""`pxbox restore-done`: say that the database was restored."""

from __future__ import annotations

from pxbox.cli.options import with_settings
from pxbox.cli.servers import reached, run_asyncio
from pxbox.postgres.installation import restore_done as begin
from pxbox.postgres.probe import FAILURES, why_unreachable
from pxbox.settings import OperatorError, Settings


@with_settings("data_dir", "database_url")
def restore_done(settings: Settings) -> int:
    """Begin a new epoch after a restore, and print it.

    Every running broker drops what it knows and has its clients read their lists anew, within
    seconds; one that is started later begins with it. Without --database-url it is the embedded
    database of a running broker. To say it once too often costs no more than that.
    """
    url = reached(settings).database_url
    if url is None:
        raise OperatorError(
            "No database to speak of: give --database-url (PXBOX_DATABASE_URL), or start the "
            f"broker of {settings.data_dir} first."
        )
    try:
        epoch = run_asyncio(begin(url))
    except FAILURES as error:
        raise OperatorError(f"The database cannot be used: {why_unreachable(error)}.") from None
    if epoch is None:
        raise OperatorError("No broker has run on this database yet: there is nothing to end.")
    print(epoch)
    return 0
