"""Files for programs without an event loop; see pxbox.client.sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox
    from pxbox.client.files import Place
    from pxbox.client.sync import Loop
    from pxbox.client.transfer import Progress


class SyncFiles:
    """As Files. `progress` is called in the thread of the client."""

    def __init__(self, loop: Loop, px: AsyncPxBox) -> None:
        self._loop = loop
        self._files = px.files

    def upload(
        self,
        request_id: str,
        source: Place,
        *,
        name: str | None = None,
        content_type: str | None = None,
        progress: Progress | None = None,
    ) -> wire.FileView:
        """Upload a file for one's answer to a request; see Files.upload."""
        return self._loop.run(
            lambda: self._files.upload(
                request_id, source, name=name, content_type=content_type, progress=progress
            )
        )

    def get(self, id: str) -> wire.FileView:
        """A file that one may read, with a URL for some minutes. Raises NotFound."""
        return self._loop.run(lambda: self._files.get(id))

    def download(
        self, file: str | wire.FileView, to: Place, *, progress: Progress | None = None
    ) -> wire.FileView:
        """Download a file by its id, or one of a response; see Files.download."""
        return self._loop.run(lambda: self._files.download(file, to, progress=progress))
