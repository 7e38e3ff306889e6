"""The one way to read a value that may be large: here if it is small, else in a process."""

from __future__ import annotations

from pxbox.model.document import Document, read_document
from pxbox.validation.pool import ValidationPool

INLINE_BYTES = 128 * 1024
"""Reading goes over a value several times, each at some 50 ns a byte at worst (X4)."""


class Documents:
    """Reads what callers send as payloads, without holding the event loop (X4)."""

    def __init__(self, pool: ValidationPool) -> None:
        self._pool = pool

    async def read(self, raw: bytes) -> Document:
        """Read a value. Raises what `decode_json` does, PayloadTooLarge where it takes more time
        or memory than the broker gives, and Overloaded."""
        if len(raw) <= INLINE_BYTES:
            return read_document(raw)
        return await self._pool.read(raw)
