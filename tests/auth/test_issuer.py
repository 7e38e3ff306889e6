"""The keys of an issuer's URL: rotated, away, slow and endless (X1, X4)."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

import pytest
import trio

from pxbox.auth import Authenticator
from pxbox.auth.issuer import (
    MOST_BYTES,
    IssuerKeys,
    IssuerTimes,
    KeysUnavailable,
    fetch_once,
    fresh_seconds,
)  # fmt: skip
from pxbox.auth.keyring import MOST_KEYS, KeySet, load_keyring
from pxbox.auth.tokens import Verifier
from pxbox.model.errors import TokenExpired, Unauthenticated, Unavailable
from tests.auth.issuers import Answer, Issuer, http, issuing, key_set, saying
from tests.auth.keypairs import SECRET, jwk, signed

PATIENCE_SECONDS = 30.0
# Fetched once, and again only for a reason.
CALM = IssuerTimes(least=3600.0)
EAGER = replace(CALM, again=0.0)
OLD = http(key_set(jwk("ES256", kid="old"), jwk("EdDSA", kid="both")), "Cache-Control: max-age=600")
NEW = http(key_set(jwk("RS256", kid="new"), jwk("EdDSA", kid="both")), "Cache-Control: max-age=600")


class Believer:
    """What a broker makes of an issuer: a verifier that is kept up to date, with what it heard."""

    def __init__(self, url: str, times: IssuerTimes) -> None:
        self.verifier = Verifier(load_keyring(SECRET, None, None))
        self.sets: list[list[str | None]] = []
        self.failures: list[str] = []
        self.keys = IssuerKeys(url, self._replace, self._failed, times)
        self.verify = Authenticator(self.verifier, issuer=self.keys).verify
        self._news = trio.Event()

    def _replace(self, keys: KeySet) -> None:
        self.verifier.replace_key_set(keys)
        self.sets.append([kid for kid, _ in keys])
        self._tell()

    def _failed(self, why: str) -> None:
        self.failures.append(why)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            while not holds():
                await self._news.wait()

    async def refuses(self, token: str) -> bool:
        try:
            await self.verify(token)
        except Unauthenticated:
            return True
        return False


async def believing(issuer: Issuer, nursery: trio.Nursery, times: IssuerTimes) -> Believer:
    """Who has heard from the issuer once."""
    believer = Believer(issuer.url, times)
    nursery.start_soon(believer.keys.run)
    await believer.until(lambda: bool(believer.sets or believer.failures))
    return believer


async def test_tokens_of_the_issuer_are_believed_beside_our_own() -> None:
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = await believing(issuer, nursery, CALM)
        assert (await believer.verify(signed("ES256", kid="old"))).sub == "alice"
        assert (await believer.verify(signed("EdDSA", kid="both"))).sub == "alice"
        assert (await believer.verify(signed())).sub == "alice"
        assert await believer.refuses(signed("EdDSA", kid="old"))
        with pytest.raises(TokenExpired):
            await believer.verify(signed("ES256", kid="old", exp=1))
        assert issuer.asked == 1


async def test_the_first_token_waits_for_the_first_keys() -> None:
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = Believer(issuer.url, CALM)
        nursery.start_soon(believer.keys.run)
        assert (await believer.verify(signed("ES256", kid="old"))).sub == "alice"


async def test_an_unknown_key_is_looked_for_at_once_and_an_old_one_is_believed_no_more() -> None:
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = await believing(issuer, nursery, EAGER)
        old = signed("ES256", kid="old")
        assert not await believer.refuses(old)
        issuer.answer = saying(NEW)
        assert not await believer.refuses(signed("RS256", kid="new"))
        assert believer.sets == [["old", "both"], ["new", "both"]]
        # It was verified, and remembered, by a key that is not the issuer's any more.
        assert await believer.refuses(old)
        assert not await believer.refuses(signed("EdDSA", kid="both"))


async def test_made_up_keys_cause_one_fetch_in_an_interval() -> None:
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = await believing(issuer, nursery, CALM)
        for n in range(50):
            assert await believer.refuses(signed("RS256", kid=f"made up {n}"))
            assert await believer.refuses(signed("HS256", kid="old"))
        assert issuer.asked == 1


async def test_those_who_look_for_a_key_together_wait_for_one_fetch() -> None:
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = await believing(issuer, nursery, EAGER)
        found = trio.Event()

        async def late(stream: trio.SocketStream) -> None:
            await found.wait()
            await stream.send_all(NEW)

        issuer.answer = late
        believed: list[bool] = []

        async def ask(kid: str) -> None:
            believed.append(not await believer.refuses(signed("RS256", kid=kid)))

        async with trio.open_nursery() as asking:
            for n in range(30):
                asking.start_soon(ask, "new" if n % 3 else "made up")
            await issuer.until(2)
            # Whoever is known is not held up.
            assert not await believer.refuses(signed("ES256", kid="old"))
            found.set()
        assert (believed.count(True), believed.count(False)) == (20, 10)
        assert issuer.asked == 2


async def test_keys_are_fetched_again_when_their_answer_says_that_they_are_old() -> None:
    brief = http(key_set(jwk("ES256", kid="old")), "Cache-Control: no-cache")
    async with issuing(saying(brief)) as (issuer, nursery):
        believer = await believing(issuer, nursery, IssuerTimes(least=0.01, again=3600.0))
        issuer.answer = saying(NEW)
        await believer.until(lambda: believer.sets[-1] == ["new", "both"])
        # That answer may be kept for ten minutes.
        assert not await believer.refuses(signed("RS256", kid="new"))
        assert issuer.asked == len(believer.sets)


async def test_keys_of_a_dead_issuer_are_believed_for_a_time_and_those_of_the_next_at_once() -> (
    None
):
    times = IssuerTimes(least=0.01, most=0.01, first_retry=0.02, last_retry=0.1, stale=1.0)
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = await believing(issuer, nursery, times)
        issuer.die()
        await believer.until(lambda: len(believer.failures) >= 2)
        assert (await believer.verify(signed("ES256", kid="old"))).sub == "alice"
        # What only newer keys could decide is not refused, and not believed either.
        with pytest.raises(Unavailable):
            await believer.verify(signed("RS256", kid="new"))
        await believer.until(lambda: believer.sets[-1] == [])
        with pytest.raises(Unavailable):
            await believer.verify(signed("ES256", kid="old"))
        assert (await believer.verify(signed())).sub == "alice"
        issuer.answer = saying(NEW)
        await nursery.start(issuer.serve)
        await believer.until(lambda: believer.sets[-1] == ["new", "both"])
        assert (await believer.verify(signed("RS256", kid="new"))).sub == "alice"
        assert await believer.refuses(signed("ES256", kid="old"))


async def test_a_bad_answer_leaves_the_keys_as_they_are() -> None:
    async with issuing(saying(OLD)) as (issuer, nursery):
        believer = await believing(issuer, nursery, EAGER)
        issuer.answer = saying(http(b"<html>", status="503 Service Unavailable"))
        with pytest.raises(Unavailable):
            await believer.verify(signed("RS256", kid="new"))
        assert believer.failures == ["the answer is 503"]
        assert not await believer.refuses(signed("ES256", kid="old"))


async def drip(stream: trio.SocketStream) -> None:
    """A byte now and then: no timeout between two bytes ever comes."""
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.01)


async def drip_head(stream: trio.SocketStream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        await stream.send_all(b"x")
        await trio.sleep(0.01)


async def silence(stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("answer", [drip, drip_head, silence])
async def test_an_answer_that_takes_too_long_is_given_up(answer: Answer) -> None:
    async with issuing(answer) as (issuer, _):
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(KeysUnavailable, match="within"):
            await fetch_once(issuer.url, seconds=0.3)


class Endless:
    """Sends 100 MB; `sent` says how far it came."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self.sent = 0
        self._head = head
        self._piece = piece

    async def __call__(self, stream: trio.SocketStream) -> None:
        await stream.send_all(self._head)
        while self.sent < 100_000_000:
            await stream.send_all(self._piece)
            self.sent += len(self._piece)


SPACES = b" " * 50_000


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", SPACES),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"c350\r\n%b\r\n" % SPACES),
        (b"HTTP/1.1 200 OK\r\n\r\n", SPACES),
        (b"HTTP/1.1 200 OK\r\n", b"X-Long:%b\r\n" % SPACES),
    ],
)
async def test_an_answer_without_end_is_cut_off(head: bytes, piece: bytes) -> None:
    endless = Endless(head, piece)
    async with issuing(endless) as (issuer, _):
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(KeysUnavailable):
            await fetch_once(issuer.url, seconds=PATIENCE_SECONDS)
    # The rest is what lies in the buffers of two sockets.
    assert endless.sent < 20_000_000


PRIVATE = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (http(b"", "Location: http://127.0.0.1/", status="302 Found"), "302"),
        (http(b"", status="404 Not Found"), "404"),
        (http(b"", status="204 No Content"), "204"),
        (http(b"not json"), "is not a JSON Web Key Set"),
        (http(b"[" * 100_000), "is not a JSON Web Key Set"),
        (http(key_set()), "no key"),
        (http(key_set({"kty": "oct", "k": "AAAA"})), "no key"),
        (http(key_set(PRIVATE)), "a private key"),
        (http(key_set(*[jwk("EdDSA", kid=str(n)) for n in range(MOST_KEYS + 1)])), "more than"),
        (http(key_set(jwk("ES256", kid="a"), jwk("EdDSA", kid="a"))), "one `kid`"),
        (http(gzip.compress(key_set(jwk("ES256"))), "Content-Encoding: gzip"), "packed"),
        (http(key_set(jwk("ES256")) + b" " * MOST_BYTES), "larger than 256 KiB"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", ""),
    ],
)
async def test_an_answer_that_is_no_key_set_is_refused_in_words(response: bytes, why: str) -> None:
    async with issuing(saying(response)) as (issuer, _):
        with trio.fail_after(PATIENCE_SECONDS), pytest.raises(KeysUnavailable) as refusal:
            await fetch_once(issuer.url)
    assert why in str(refusal.value)
    assert 0 < len(str(refusal.value)) < 300


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "http://"])
async def test_an_issuer_that_is_not_there_is_said_so(url: str) -> None:
    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(KeysUnavailable) as refusal:
        await fetch_once(url)
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": ""}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "max-age=300"}, 300),
        ({"cache-control": "public, MAX-AGE=300, must-revalidate"}, 300),
        ({"cache-control": 'max-age="300"'}, 300),
        ({"cache-control": "max-age=300", "age": "200"}, 100),
        ({"cache-control": "max-age=300", "age": "400"}, 0),
        ({"cache-control": "max-age=300", "age": "old"}, 300),
        ({"cache-control": "no-store"}, 0),
        ({"cache-control": "max-age=300, no-cache"}, 0),
        ({"cache-control": "max-age=-1"}, None),
        ({"cache-control": "max-age=" + "9" * 5000}, 10**18 - 1),
        ({"cache-control": "max-age=٣"}, None),
        ({"expires": "0"}, 0),
        ({"expires": "Thu, 01 Jan 2026 00:10:00 GMT"}, None),
        (
            {
                "expires": "Thu, 01 Jan 2026 00:10:00 GMT",
                "date": "Thu, 01 Jan 2026 00:00:00 -0000",
                "age": "60",
            },
            540,
        ),
        (
            {
                "expires": "Wed, 01 Jan 2025 00:10:00 GMT",
                "date": "Thu, 01 Jan 2026 00:00:00 GMT",
            },
            0,
        ),
        ({"cache-control": "max-age=5", "expires": "0"}, 5),
    ],
)
def test_headers_say_for_how_long_an_answer_may_be_kept(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert fresh_seconds(headers) == (seconds if seconds is None else pytest.approx(seconds))
