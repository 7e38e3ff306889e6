"""Where files are kept, by the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import trio

from pxbox.blobs.links import Links
from pxbox.blobs.local import LocalStorage
from pxbox.blobs.storage import Storage
from pxbox.settings import OperatorError, Settings


async def open_storage(
    settings: Settings, links: Links, on_trouble: Callable[[str], None]
) -> Storage:
    """The storage of files, once it was seen to be there. `on_trouble` hears why it fails later.

    Raises OperatorError.
    """
    if settings.files_url is not None:
        return await _bucket(settings.files_url, links, on_trouble)
    directory = settings.files_dir or settings.data_dir / "files"
    storage = LocalStorage(directory, links)
    try:
        await trio.to_thread.run_sync(storage.open)
    except OSError as error:
        raise OperatorError(
            f"files cannot be kept in {directory}: {error.strerror}; choose another --files-dir"
        ) from None
    return storage


async def _bucket(url: str, links: Links, on_trouble: Callable[[str], None]) -> Storage:
    # Here, for it takes 8 MB, which brokers with a directory do without.
    from pxbox.blobs.buckets import BucketUnusable, check_bucket, open_bucket
    from pxbox.blobs.objects import ObjectStorage

    try:
        bucket = open_bucket(url)
        origin = await trio.to_thread.run_sync(check_bucket, bucket)
    except BucketUnusable as error:
        raise OperatorError(
            f"files cannot be kept in {url}: {error}; mend --files-url (PXBOX_FILES_URL), or the "
            "credentials, region and endpoint in the environment"
        ) from None
    return ObjectStorage(replace(bucket, origin=origin), links, on_trouble)
