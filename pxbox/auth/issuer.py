"""The keys of an issuer, fetched from its URL (RFC 7517): kept fresh, and kept while it is down."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn

import httpx
import trio

from pxbox.auth.keyring import KeySet, read_key_set
from pxbox.auth.keys import KeyFileError

MOST_BYTES = 256 * 1024
FETCH_SECONDS = 5.0
_ASKED = {"accept": "application/jwk-set+json, application/json", "accept-encoding": "identity"}


class KeysUnavailable(Exception):
    """The key set could not be fetched, or not be used; the message ends a sentence about it."""


@dataclass(frozen=True, slots=True)
class IssuerTimes:
    """In seconds. `fetch`: the most that one fetch may take. A set counts as fresh for as long as
    its answer's headers say, `usual` where they say nothing, and within `least` and `most`.

    `again`: the least between two fetches that tokens with an unknown key may cause. `first_retry`,
    doubled up to `last_retry`: between fetches that fail. `stale`: how long after the last fetch
    that did not fail its keys are still believed.
    """

    fetch: float = FETCH_SECONDS
    least: float = 60.0
    usual: float = 600.0
    most: float = 86_400.0
    again: float = 30.0
    first_retry: float = 1.0
    last_retry: float = 300.0
    stale: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """`fresh_seconds` is what the headers say; None: nothing."""

    keys: KeySet
    fresh_seconds: float | None


async def fetch_once(url: str, seconds: float = FETCH_SECONDS) -> Fetched:
    """The key set at a URL, as it is now. Raises KeysUnavailable."""
    async with _client() as client:
        return await _fetch(client, url, seconds)


class IssuerKeys:
    """Keeps the key set of one URL up to date while `run` runs.

    `replace(keys)` is told of every set that was fetched, and given an empty one when the last has
    gone stale; `on_failure(text)` hears of every fetch that failed.
    """

    def __init__(
        self,
        url: str,
        replace: Callable[[KeySet], None],
        on_failure: Callable[[str], None],
        times: IssuerTimes = IssuerTimes(),
    ) -> None:
        self.failing = False
        self._url = url
        self._replace = replace
        self._on_failure = on_failure
        self._times = times
        self._failures = 0
        self._stale_at: float | None = None  # None: there are no keys
        self._asked = trio.Event()
        self._under_way: trio.Event | None = trio.Event()  # the first fetch is on its way
        self._begun_at = float("-inf")

    async def run(self) -> NoReturn:
        """Fetch now, and again before the keys cease to be fresh; never ends."""
        async with _client() as client:
            while True:
                pause = await self._refresh(client)
                with trio.move_on_after(pause):
                    await self._asked.wait()

    async def look_again(self) -> None:
        """Fetch for a token whose key is not known, or wait for the fetch under way.

        Returns at once where one began less than `again` seconds ago: whoever makes up keys costs
        the issuer nothing more. `failing` says then how the last one went.
        """
        if self._under_way is None:
            if trio.current_time() < self._begun_at + self._times.again:
                return
            self._under_way = trio.Event()
            self._asked.set()
        with trio.move_on_after(self._times.fetch):
            await self._under_way.wait()

    async def _refresh(self, client: httpx.AsyncClient) -> float:
        """Fetch; return how long to wait before the next time."""
        if self._under_way is None:
            self._under_way = trio.Event()
        self._begun_at = trio.current_time()
        try:
            fetched = await _fetch(client, self._url, self._times.fetch)
        except KeysUnavailable as error:
            pause = self._failed(str(error))
        else:
            pause = self._succeeded(fetched)
        self._under_way.set()
        self._under_way = None
        self._asked = trio.Event()
        return pause

    def _succeeded(self, fetched: Fetched) -> float:
        self._replace(fetched.keys)
        self._stale_at = trio.current_time() + self._times.stale
        self._failures = 0
        self.failing = False
        said = self._times.usual if fetched.fresh_seconds is None else fetched.fresh_seconds
        return min(max(said, self._times.least), self._times.most)

    def _failed(self, why: str) -> float:
        self._on_failure(why)
        self.failing = True
        pause = min(self._times.first_retry * 2.0**self._failures, self._times.last_retry)
        self._failures = min(self._failures + 1, 30)
        # Not in step with the other brokers, which lost it at the same moment.
        pause *= random.uniform(0.75, 1.0)
        if self._stale_at is None:
            return pause
        left = self._stale_at - trio.current_time()
        if left > 0:
            return min(pause, left)
        self._replace([])
        self._stale_at = None
        return pause


@asynccontextmanager
async def _client() -> AsyncIterator[httpx.AsyncClient]:
    # In a thread: it reads all of the system's certificates, which takes 0.2 s.
    tls = await trio.to_thread.run_sync(httpx.create_ssl_context)
    # Redirects are not followed: where they lead, nobody has said that keys may come from.
    async with httpx.AsyncClient(
        verify=tls,
        timeout=None,  # noqa: S113 (a fetch is bounded as a whole)
        headers=_ASKED,
        follow_redirects=False,
    ) as client:
        yield client


async def _fetch(client: httpx.AsyncClient, url: str, seconds: float) -> Fetched:
    try:
        with trio.fail_after(seconds):
            data, headers = await _read(client, url)
        return Fetched(read_key_set(data, "the answer"), fresh_seconds(headers))
    except trio.TooSlowError:
        raise KeysUnavailable(f"no whole answer came within {seconds:.0f} s") from None
    except KeyFileError as error:
        raise KeysUnavailable(str(error).rstrip(".")) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise KeysUnavailable(str(error) or type(error).__name__) from error


async def _read(client: httpx.AsyncClient, url: str) -> tuple[bytes, Mapping[str, str]]:
    async with client.stream("GET", url) as response:
        if response.status_code != httpx.codes.OK:
            raise KeysUnavailable(f"the answer is {response.status_code}")
        # As it was sent: what is packed could be of any size.
        if response.headers.get("content-encoding", "identity") != "identity":
            raise KeysUnavailable("the answer is packed, which was not asked for")
        return await _body(response), response.headers


async def _body(response: httpx.Response) -> bytes:
    data = bytearray()
    # Cancelled, not left by a break: httpx's iterators end in order only from within.
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) > MOST_BYTES:
                enough.cancel()
    if len(data) > MOST_BYTES:
        raise KeysUnavailable(f"the answer is larger than {MOST_BYTES // 1024} KiB")
    return bytes(data)


def fresh_seconds(headers: Mapping[str, str]) -> float | None:
    """For how long an answer may be kept (RFC 9111, 4.2.1), in seconds; None: it does not say."""
    said = [part.strip().partition("=") for part in headers.get("cache-control", "").split(",")]
    directives = {name.strip().lower(): value.strip('" ') for name, _, value in said}
    if "no-store" in directives or "no-cache" in directives:
        return 0.0
    age = _whole(headers.get("age", "")) or 0.0
    longest = _whole(directives.get("max-age", ""))
    if longest is not None:
        return max(0.0, longest - age)
    expires, date = _time(headers.get("expires", "")), _time(headers.get("date", ""))
    if "expires" in headers and expires is None:
        return 0.0  # "0" and the like mean: already (RFC 9111, 5.3)
    if expires is None or date is None:
        return None
    return max(0.0, (expires - date).total_seconds() - age)


def _whole(text: str) -> float | None:
    return float(text[:18]) if text.isascii() and text.isdecimal() else None


def _time(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
