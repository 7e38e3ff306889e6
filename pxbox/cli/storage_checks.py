"""What `pxbox doctor` looks at in an object store."""

from __future__ import annotations

from collections.abc import Iterator

from pxbox.blobs.buckets import BucketUnusable, check_bucket, open_bucket
from pxbox.cli.check import Check, fine, problem

_HINT = (
    "Mend --files-url (PXBOX_FILES_URL), or the credentials, region and endpoint that the "
    "environment gives."
)


def storage_checks(files_url: str | None) -> Iterator[Check]:
    """Whether the bucket can be read, where there is one. Changes nothing there."""
    if files_url is None:
        return
    try:
        origin = check_bucket(open_bucket(files_url))
    except BucketUnusable as error:
        yield problem("object store", f"{files_url}: {error}", _HINT)
    else:
        yield fine("object store", f"{files_url} answers; uploads go to {origin}")
