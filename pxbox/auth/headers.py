"""Where a caller's headers say who it is. Nothing here is verified yet.

Header fields come as the bytes that were sent (RFC 9110, 5.5), or from a mapping, as the text that
frameworks make of those bytes: one character each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pxbox.model.errors import Unauthenticated

Headers = Iterable[tuple[bytes, bytes]] | Mapping[str, str]

SUBPROTOCOL = "pxbox.v1"
TOKEN_SUBPROTOCOL = "pxbox.token."  # noqa: S105 (a prefix, not a token)

_WANTED = {
    b"authorization",
    b"sec-websocket-protocol",
    b"x-entity-id",
    b"x-client-id",
    b"host",
    b"origin",
    b"cookie",
    b"sec-fetch-site",
    b"x-pxbox-page",
}


@dataclass(frozen=True, slots=True)
class CallerHeaders:
    """The fields that name a caller, each with all its values, in the order sent."""

    values: Mapping[bytes, list[bytes]] = field(repr=False)

    def one(self, name: bytes) -> str | None:
        """The only value of a field, or None. Raises Unauthenticated for several, or for bytes
        that are not text: what two readers could take for two things is refused."""
        values = self.values.get(name, [])
        if len(values) > 1:
            raise Unauthenticated(f"the header {name.decode()} was sent more than once")
        return _text(name, values[0]).strip() if values else None

    def token(self) -> str | None:
        """The bearer token, from Authorization (RFC 6750, 2.1) or, for WebSocket, from the
        subprotocol `pxbox.token.<jwt>`; never from the URL, which gets logged.

        Raises Unauthenticated for another scheme, and for more tokens than one.
        """
        tokens = self._subprotocol_tokens()
        authorization = self.one(b"authorization")
        if authorization is not None:
            scheme, _, credentials = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("the header authorization must read: Bearer <token>")
            tokens.append(credentials.strip())
        if len(tokens) > 1:
            raise Unauthenticated("several tokens were sent; send one")
        return tokens[0] if tokens else None

    def _subprotocol_tokens(self) -> list[str]:
        name = b"sec-websocket-protocol"
        # RFC 6455, 4.2.1: a list, which may be spread over several fields.
        offered = [
            offer.strip()
            for value in self.values.get(name, [])
            for offer in _text(name, value).split(",")
        ]
        return [
            offer.removeprefix(TOKEN_SUBPROTOCOL)
            for offer in offered
            if offer.startswith(TOKEN_SUBPROTOCOL)
        ]


def caller_headers(headers: Headers) -> CallerHeaders:
    """Pick what names the caller; field names in any case. Raises Unauthenticated for text that
    no header can hold."""
    pairs = _as_bytes(headers) if isinstance(headers, Mapping) else headers
    values: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        lowered = name.lower()
        if lowered in _WANTED:
            values.setdefault(lowered, []).append(value)
    return CallerHeaders(values)


def _as_bytes(headers: Mapping[str, str]) -> Iterable[tuple[bytes, bytes]]:
    try:
        return [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
        ]
    except UnicodeEncodeError:
        raise Unauthenticated("the headers are not text") from None


def _text(name: bytes, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Unauthenticated(f"the header {name.decode()} is not UTF-8 text") from None
