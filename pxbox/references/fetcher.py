"""One document from one URL: allowed, at an address that was checked, and within bounds (X3)."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from socket import SOCK_STREAM
from urllib.parse import urldefrag, urljoin

import httpx
import trio

from pxbox.domain.allowlist import Allowlist, NotAllowed, Place, check_address, literal_address

MOST_BYTES = 256 * 1024
MOST_REDIRECTS = 3
FETCH_SECONDS = 5.0
_MOST_ETAG = 256
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ASKED = {"accept": "application/schema+json, application/json", "accept-encoding": "identity"}

# It trusts nobody: where no TLS is spoken, no certificates need to be read for it.
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text. Raises OSError."""


class NotFetched(Exception):
    """There is no document: the message continues a sentence about the reference."""


class Unreachable(Exception):
    """It could not be reached this time; the same sentence."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where it was found after all redirects; `body` None: it is as it was (304)."""

    url: str
    body: bytes | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """The addresses of a host by the system's resolver."""
    found = await trio.socket.getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Fetcher:
    """Fetches from where `allowlist` allows.

    A host is resolved once for each request, all of its addresses are judged, and the connection
    is made to one of them: nothing that a second look-up might say counts. Redirects are judged as
    if they had been asked for. No proxy, no cookie, no credentials, no packed answer.
    """

    def __init__(
        self,
        allowlist: Allowlist,
        resolve: Resolve = resolve_by_system,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allowlist = allowlist
        self._resolve = resolve
        self._tls = tls

    async def fetch(self, url: str, etag: str | None = None) -> Fetched:
        """Fetch the document at `url`; `etag` names the one that is here already.

        Raises NotFetched, which another try will not change, and Unreachable.
        """
        try:
            with trio.fail_after(FETCH_SECONDS):
                return await self._follow(url, etag)
        except trio.TooSlowError:
            raise Unreachable(f"did not arrive within {FETCH_SECONDS:.0f} s") from None
        except NotAllowed as error:
            raise NotFetched(str(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unreachable(f"could not be fetched ({type(error).__name__})") from error

    async def _follow(self, url: str, etag: str | None) -> Fetched:
        for _ in range(MOST_REDIRECTS + 1):
            place, networks = self._allowlist.admit(url)
            addresses = await self._addresses(place)
            # One that is not allowed condemns them all: who answers may mix what he likes.
            pinned = [check_address(one, networks) for one in addresses]
            answer = await self._ask(place, pinned[0], etag)
            if isinstance(answer, Fetched):
                return answer
            url = urldefrag(urljoin(place.url, answer.location)).url
        raise NotFetched(f"is redirected more than {MOST_REDIRECTS} times")

    async def _addresses(self, place: Place) -> Sequence[str]:
        if literal_address(place.host) is not None:
            return [place.host]
        found = await self._resolve(place.host, place.port)
        if not found:
            raise Unreachable("has a host without an address")
        return found

    async def _ask(self, place: Place, address: str, etag: str | None) -> Fetched | _Redirect:
        headers = {**_ASKED, "host": place.authority}
        if etag is not None:
            headers["if-none-match"] = etag
        host = f"[{address}]" if ":" in address else address
        # A client of its own: a connection that is kept open would be shared by address, and that
        # two hosts may have in common. The certificate is held to the host's name.
        async with (
            httpx.AsyncClient(
                verify=await self._context(place),
                timeout=None,  # noqa: S113 (a fetch is bounded as a whole)
                trust_env=False,
                follow_redirects=False,
            ) as client,
            client.stream(
                "GET",
                f"{place.scheme}://{host}:{place.port}{place.target}",
                headers=headers,
                extensions={"sni_hostname": place.host},
            ) as response,
        ):
            return await _read(place, response)

    async def _context(self, place: Place) -> ssl.SSLContext:
        if place.scheme == "http":
            return _NO_TLS
        if self._tls is None:
            # In a thread: it reads all of the system's certificates, which takes 0.2 s.
            self._tls = await trio.to_thread.run_sync(httpx.create_ssl_context)
        return self._tls


async def _read(place: Place, response: httpx.Response) -> Fetched | _Redirect:
    status, headers = response.status_code, response.headers
    if status in _REDIRECTS and "location" in headers:
        return _Redirect(headers["location"])
    etag = headers.get("etag", "")[:_MOST_ETAG] or None
    if status == httpx.codes.NOT_MODIFIED:
        return Fetched(place.url, None, etag)
    if status >= 500 or status in (408, 429):
        raise Unreachable(f"was answered with {status}")
    if status != httpx.codes.OK:
        raise NotFetched(f"was answered with {status}")
    # As it was sent: what is packed could be of any size.
    if headers.get("content-encoding", "identity") != "identity":
        raise NotFetched("was answered packed, which was not asked for")
    return Fetched(place.url, await _body(response), etag)


async def _body(response: httpx.Response) -> bytes:
    data = bytearray()
    # Cancelled, not left by a break: httpx's iterators end in order only from within.
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > MOST_BYTES:
                enough.cancel()
    if len(data) > MOST_BYTES:
        raise NotFetched(f"is larger than {MOST_BYTES // 1024} KiB")
    return bytes(data)
