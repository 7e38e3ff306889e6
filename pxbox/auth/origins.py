"""Which pages may open a WebSocket, or act by a cookie: browsers say by `Origin` whose page it is
(RFC 6455, 10.2).

No rule of browsers keeps a page from connecting to another site's WebSockets, nor from posting to
another origin of the same site with its cookies; it is the server that has to look.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from pxbox.auth.headers import Headers, caller_headers
from pxbox.model.errors import OriginRefused

_PORTS = {"http": 80, "https": 443}
_SAFE = ("GET", "HEAD")


def require_origin(headers: Headers, allowed: tuple[str, ...]) -> None:
    """Raise OriginRefused for a handshake of a page that is neither the broker's own nor of an
    origin in `allowed`, and Unauthenticated for two headers where one belongs.

    Without `Origin` it comes from no browser, and nothing is refused.
    """
    named = caller_headers(headers)
    origin, host = named.one(b"origin"), named.one(b"host")
    if origin is None or origin.lower() in allowed:
        return
    if host is None or not _is_of(origin.lower(), host.lower()):
        raise OriginRefused("pages of this origin may not connect; see --allow-origin")


def require_own_page(headers: Headers, allowed: tuple[str, ...], method: str) -> None:
    """Raise OriginRefused for a call by cookie that a page of another origin may have caused.

    What changes anything must also say which page it is from, and carry `X-PxBox-Page: 1`, which no
    form can send, and no script of another origin without asking first.
    """
    named = caller_headers(headers)
    if (named.one(b"sec-fetch-site") or "same-origin") not in ("same-origin", "none"):
        raise OriginRefused("the browser says that another site's page has sent this")
    require_origin(headers, allowed)
    if method in _SAFE:
        return
    if named.one(b"origin") is None or named.one(b"x-pxbox-page") != "1":
        raise OriginRefused("who acts by a cookie sends the headers Origin and X-PxBox-Page: 1")


def _is_of(origin: str, host: str) -> bool:
    """Whether the page comes from this host and port. A proxy may have ended TLS before us: by
    which of the two schemes the page came cannot be told, and is not asked."""
    page, here = _split(origin), _split(f"//{host}")
    if page is None or here is None or origin != f"{page.scheme}://{page.netloc}":
        return False
    usual = _PORTS.get(page.scheme)
    if usual is None or page.hostname is None or page.username is not None:
        return False
    return page.hostname == here.hostname and (page.port or usual) == (here.port or usual)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
