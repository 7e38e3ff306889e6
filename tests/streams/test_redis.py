"""Windows in a real Valkey do what all do; and what only such windows can do."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pxbox.jobs import open_residents
from pxbox.ports import Append, StreamsUnavailable
from pxbox.streams.redis import RedisStreams
from tests.servers import DisposableServers
from tests.streams.conftest import EPOCH, OpenSide, client, eventually, opening
from tests.suites.streams import (
    RunWithSides,
    Side,
    StreamsSuite,
    Wakes,
    a_channel,
    append,
    entries,
    window_of,
)  # fmt: skip


class TestRedisStreams(StreamsSuite):
    @pytest.fixture
    async def here(self, open_side: OpenSide, fresh_redis_url: str) -> Side:
        return await open_side(fresh_redis_url)

    @pytest.fixture
    async def there(self, open_side: OpenSide, fresh_redis_url: str) -> Side:
        return await open_side(fresh_redis_url)

    @pytest.fixture
    def run_with_sides(self, fresh_redis_url: str) -> RunWithSides:
        async def run(task: Callable[[Side, Side], Awaitable[None]]) -> None:
            async with opening() as open_one:
                await task(await open_one(fresh_redis_url), await open_one(fresh_redis_url))

        return lambda task: trio.run(run, task)


async def test_a_window_is_a_stream_as_the_design_names_it(
    open_side: OpenSide, fresh_redis_url: str
) -> None:
    side = await open_side(fresh_redis_url)
    await append(side.streams, "entity:x", 7, 8)
    with client(fresh_redis_url) as redis:
        rows = redis.xrange(f"px:{{entity:x}}:{EPOCH}")
    assert rows == [(b"7-0", {b"d": b'{"n":7}'}), (b"8-0", {b"d": b'{"n":8}'})]


async def test_a_window_expires_an_hour_after_its_last_use(
    open_side: OpenSide, fresh_redis_url: str
) -> None:
    side, channel = await open_side(fresh_redis_url), a_channel()
    key = f"px:{{{channel}}}:{EPOCH}"
    await append(side.streams, channel, 1, 2)
    with client(fresh_redis_url) as redis:
        for use in (
            lambda: side.streams.append([Append(channel, entries(3, 3))]),
            lambda: side.streams.append([Append(channel, entries(3, 3))]),
            lambda: side.streams.read(channel, 0, 10),
            lambda: side.streams.reseed(Append(channel, entries(2, 2))),
        ):
            redis.expire(key, 60)
            await use()
            assert 3_590 < int(redis.ttl(key)) <= 3_600


async def test_windows_of_another_epoch_are_others(fresh_redis_url: str) -> None:
    channel = a_channel()
    async with open_residents() as residents:
        old, new, wakes = RedisStreams(fresh_redis_url, "old"), None, Wakes()
        new = RedisStreams(fresh_redis_url, "new")
        old.open(residents, Wakes().note)
        new.open(residents, wakes.note)
        await eventually(lambda: old.available and new.available)
        new.watch(channel)
        await wakes.until(channel, 0)
        await append(old, channel, 1, 500)
        assert await new.read(channel, 0, 10) is None
        assert await append(new, channel, 7, 7) is None
        await wakes.until(channel, 7)
        assert (channel, 500) not in wakes.told
        await old.aclose()
        await new.aclose()


async def test_a_thousand_callers_share_pipelines_and_each_gets_its_own_answer(
    open_side: OpenSide, fresh_redis_url: str
) -> None:
    side = await open_side(fresh_redis_url)
    channels = [a_channel() for _ in range(1_000)]
    windows: dict[str, object] = {}

    async def one(n: int, channel: str) -> None:
        await append(side.streams, channel, n, n + 1)
        windows[channel] = await side.streams.read(channel, n - 1, 10)

    async with trio.open_nursery() as nursery:
        for n, channel in enumerate(channels, 1):
            nursery.start_soon(one, n, channel)
    assert windows == {channel: list(entries(n, n + 1)) for n, channel in enumerate(channels, 1)}


async def test_a_caller_that_goes_away_disturbs_nobody(
    open_side: OpenSide, fresh_redis_url: str
) -> None:
    side, channel = await open_side(fresh_redis_url), a_channel()
    for n in range(1, 101):
        with trio.CancelScope() as scope:
            scope.cancel()
            await append(side.streams, channel, n, n)
        assert await append(side.streams, channel, n, n) is None
        assert await side.streams.read(channel, n - 1, 10) == list(entries(n, n))


async def test_many_channels_are_watched_at_once(open_side: OpenSide, fresh_redis_url: str) -> None:
    side = await open_side(fresh_redis_url)
    channels = [a_channel() for _ in range(2_500)]
    for channel in channels:
        side.streams.watch(channel)
    for channel in channels:
        await side.wakes.until(channel, 0)
    await append(side.streams, channels[-1], 1, 1)
    await side.wakes.until(channels[-1], 1)


async def test_what_others_publish_under_our_names_is_at_most_a_reason_to_look(
    open_side: OpenSide, fresh_redis_url: str
) -> None:
    side, channel = await open_side(fresh_redis_url), a_channel()
    await side.watch(channel)
    side.wakes.told.clear()
    with client(fresh_redis_url) as redis:
        for message in (b"", b"-1", b"x\r\n", b"1" * 5_000, b"8"):
            redis.publish(f"px:wake:{{{channel}}}:{EPOCH}", message)
    await side.wakes.until(channel, 8)
    assert side.wakes.told == [(channel, 0)] * 4 + [(channel, 8)]


async def test_a_wake_under_way_to_who_no_longer_watches_is_not_told(
    open_side: OpenSide, fresh_redis_url: str
) -> None:
    side, channel, after = await open_side(fresh_redis_url), a_channel(), a_channel()
    await side.watch(channel)
    await side.watch(after)
    with client(fresh_redis_url) as redis:
        redis.publish(f"px:wake:{{{channel}}}:{EPOCH}", "7")
        side.streams.unwatch(channel)
        redis.publish(f"px:wake:{{{after}}}:{EPOCH}", "8")
    await side.wakes.until(after, 8)
    assert (channel, 7) not in side.wakes.told


async def test_closed_streams_leave_no_connection_and_refuse(fresh_redis_url: str) -> None:
    async with open_residents() as residents:
        streams = RedisStreams(fresh_redis_url, EPOCH)
        streams.open(residents, Wakes().note)
        await eventually(lambda: streams.available)
        with client(fresh_redis_url) as redis:
            name = urlsplit(fresh_redis_url).query.partition("=")[2]

            def others() -> int:
                mine = [each for each in redis.client_list() if each["db"] == name]
                return len(mine) - 1

            assert others() == 2
            await streams.aclose()
            await eventually(lambda: others() == 0)
        assert not streams.available
        with pytest.raises(StreamsUnavailable):
            await append(streams, "c", 1, 1)


async def test_streams_that_were_never_opened_refuse_and_can_be_closed() -> None:
    streams = RedisStreams("redis://127.0.0.1:1", EPOCH)
    with pytest.raises(StreamsUnavailable):
        await append(streams, "c", 1, 1)
    await streams.aclose()


@pytest.mark.parametrize(
    "url",
    [
        "http://x:pass-word@localhost",
        "redis://x:pass-word@localhost/0?db=one",
        "redis://x:pass-word@localhost/0?no_such_setting=1",
        "redis://x:pass-word@localhost:port",
    ],
)
def test_a_wrong_url_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="Redis") as refused:
        RedisStreams(url, EPOCH)
    assert "pass-word" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_over_tcp_with_a_password_and_a_database(
    valkey: DisposableServers, open_side: OpenSide, unused_port: int
) -> None:
    with client(valkey.redis_url) as redis:
        redis.config_set("port", unused_port)
        redis.config_set("requirepass", "pass-word")
    # What a URL says of retries and protocols is not for it to say.
    url = f"redis://:pass-word@127.0.0.1:{unused_port}/5?protocol=3&retry_on_timeout=yes"
    side, channel = await open_side(url), a_channel()
    await side.watch(channel)
    await append(side.streams, channel, 1, 3)
    await side.wakes.until(channel, 3)
    assert await window_of(side.streams, channel, 5) == list(entries(1, 3))


async def test_a_wrong_password_is_a_trouble_that_does_not_repeat_it(
    valkey: DisposableServers, unused_port: int
) -> None:
    with client(valkey.redis_url) as redis:
        redis.config_set("port", unused_port)
        redis.config_set("requirepass", "right")
    async with open_residents() as residents:
        streams = RedisStreams(f"redis://:pass-word@127.0.0.1:{unused_port}", EPOCH)
        streams.open(residents, Wakes().note)
        await eventually(lambda: "password" in (streams.trouble or ""))
        assert "pass-word" not in (streams.trouble or "")
        await streams.aclose()


async def test_over_tls(fresh_redis_url: str, open_side: OpenSide, tls_front: str) -> None:
    side, channel = await open_side(tls_front), a_channel()
    await side.watch(channel)
    await append(side.streams, channel, 1, 3)
    await side.wakes.until(channel, 3)


@pytest.fixture
async def unused_port() -> int:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port: int = listener.socket.getsockname()[1]
    await listener.aclose()
    return port


@pytest.fixture
async def tls_front(fresh_redis_url: str, tmp_path: Path) -> AsyncIterator[str]:
    """A rediss:// URL, by a proxy in front of the Valkey that we have, which speaks no TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = _certificate(tmp_path)
    context.load_cert_chain(certificate)
    path = unquote(urlsplit(fresh_redis_url).path)

    async def forward(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
        except trio.BrokenResourceError:
            pass

    async def serve(front: trio.SSLStream[trio.SocketStream]) -> None:
        async with await trio.open_unix_socket(path) as back, trio.open_nursery() as nursery:
            nursery.start_soon(forward, back, front)
            await forward(front, back)
            nursery.cancel_scope.cancel()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    secured = [trio.SSLListener(each, context) for each in listeners]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, secured)
        yield f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
        nursery.cancel_scope.cancel()


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
