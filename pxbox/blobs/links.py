"""URLs that the broker serves files by: signed, expiring, each for one purpose (X1).

The signature is over all that the URL permits, so that no part of one can be used with another.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from pxbox.model.errors import FileUrlRefused, UploadGone

Purpose = Literal["put", "get", "tus"]
MEMBERS = frozenset({"purpose", "expires", "signature"})
_MOST_DIGITS = 12


class Links:
    """Makes such URLs, and checks them. `key` is for this use alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, purpose: Purpose, file_id: str, until: datetime) -> str:
        """The path and query of a URL, relative to where the broker is reached."""
        expires = str(int(until.astimezone(UTC).timestamp()))
        signature = self._signature(purpose, file_id, expires)
        query = f"purpose={purpose}&expires={expires}&signature={signature}"
        return f"/v1/files/{file_id}/{'tus' if purpose == 'tus' else 'content'}?{query}"

    def check(
        self, purpose: Purpose, file_id: str, query: Mapping[str, str], now: datetime
    ) -> None:
        """Raise FileUrlRefused unless `query` was signed for this purpose and file, until later.

        Of an upload that could have been gone on with until then, UploadGone.
        """
        expires = query.get("expires", "")
        given = query.get("signature", "")
        whole = query.keys() == MEMBERS and expires.isascii() and expires.isdigit()
        expected = self._signature(purpose, file_id, expires)
        # The signature first: what was not signed here learns nothing of what else is wrong.
        if not (whole and hmac.compare_digest(given.encode(), expected.encode())):
            raise FileUrlRefused("this URL was not given out for this")
        if query["purpose"] != purpose or len(expires) > _MOST_DIGITS:
            raise FileUrlRefused("this URL was not given out for this")
        if int(expires) <= now.timestamp():
            if purpose == "tus":
                raise UploadGone("this upload has expired; sign for the file anew")
            raise FileUrlRefused("this URL has expired; ask for a new one")

    def _signature(self, purpose: str, file_id: str, expires: str) -> str:
        signed = msgspec.json.encode([purpose, file_id, expires])
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()
