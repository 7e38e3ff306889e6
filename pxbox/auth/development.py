"""Who is calling while developing: whoever they say they are, on this machine only."""

from __future__ import annotations

from pxbox.auth.headers import CallerHeaders
from pxbox.auth.tokens import name_or_refuse
from pxbox.model.errors import Unauthenticated
from pxbox.model.principal import EVERY_WORKER, SCOPES, Principal
from pxbox.settings import is_loopback

TOKEN_ID = "dev"  # noqa: S105 (what the log shows in place of a token's fingerprint)


def dev_principal(headers: CallerHeaders, peer: str) -> Principal:
    """The caller that `X-Client-ID` (its `sub`) and `X-Entity-ID` (whom it acts as) name; one of
    the two is enough. It has every scope and does not expire.

    Raises Unauthenticated without either, and for callers that a web page elsewhere may have sent
    here: a peer or a Host that is not loopback (another name may have been rebound to this
    machine), an Origin that is not this one.
    """
    client, entity = headers.one(b"x-client-id"), headers.one(b"x-entity-id")
    if client is None and entity is None:
        raise Unauthenticated(
            "send a token (Authorization: Bearer), or, in development, X-Client-ID or X-Entity-ID"
        )
    _require_this_machine(headers, peer)
    return Principal(
        sub=name_or_refuse(client if client is not None else entity, "X-Client-ID"),
        entity=None if entity is None else name_or_refuse(entity, "X-Entity-ID"),
        scopes=SCOPES | {EVERY_WORKER},
        expires_at=None,
        token_id=TOKEN_ID,
    )


def _require_this_machine(headers: CallerHeaders, peer: str) -> None:
    host, origin = headers.one(b"host"), headers.one(b"origin")
    if not is_loopback(peer) or host is None or not is_loopback(_without_port(host)):
        raise Unauthenticated("X-Client-ID and X-Entity-ID are for callers on this machine")
    here = (f"http://{host}".lower(), f"https://{host}".lower())
    if origin is not None and origin.lower() not in here:
        raise Unauthenticated("X-Client-ID and X-Entity-ID are not for pages of another origin")


def _without_port(host: str) -> str:
    """The name or address in a Host header (RFC 9110, 7.2); "" if there is none."""
    if host.startswith("["):
        address, bracket, port = host[1:].partition("]")
        return address if bracket and _is_port(port) else ""
    name, colon, digits = host.partition(":")
    return name if _is_port(colon + digits) else ""


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdecimal())
