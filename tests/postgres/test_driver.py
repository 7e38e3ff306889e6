"""asyncpg driven by trio: all that the broker uses of it. A new asyncpg that asks more of its
loop, or is called differently, fails here."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pxbox.postgres import connection as bounds
from pxbox.postgres.connection import Connection, ConnectionLost, NotConnected
from pxbox.postgres.driver import connect, is_up
from tests.postgres.proxy import open_proxy

SECONDS = 10.0
LARGE = "x" * 5_000_000


async def test_statements_answer_over_a_unix_socket_and_over_tcp(database_url: str) -> None:
    async with open_proxy(database_url) as (_, tcp_url):
        for url in (database_url, tcp_url):
            connection = await connect(url, SECONDS, server_settings={"application_name": "me"})
            assert await connection.fetchval("show application_name") == "me"
            rows = await connection.fetch("select n from generate_series(1, $1::int) as n", 3)
            assert [row["n"] for row in rows] == [1, 2, 3]
            connection.terminate()


async def test_what_the_kernel_does_not_take_at_once_is_sent_all_the_same(
    database_url: str,
) -> None:
    connection = await connect(database_url, SECONDS)
    assert await connection.fetchval("select $1::text", LARGE) == LARGE
    connection.terminate()


async def test_after_an_error_of_the_server_the_connection_goes_on(database_url: str) -> None:
    connection = await connect(database_url, SECONDS)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.fetchval("select 1 / 0")
    with pytest.raises(asyncpg.DataError):
        await connection.fetchval("select $1::int", "no number")
    async with connection.transaction():
        assert await connection.fetchval("select 1") == 1
    connection.terminate()


async def test_a_connection_that_the_server_ended_while_idle_is_not_up(database_url: str) -> None:
    ended, other = await connect(database_url, SECONDS), await connect(database_url, SECONDS)
    assert is_up(ended)
    await other.fetchval("select pg_terminate_backend($1, 5000)", ended.get_server_pid())
    with trio.fail_after(SECONDS):
        while is_up(ended):
            await trio.lowlevel.checkpoint()
    other.terminate()


async def test_a_connection_that_ends_under_a_statement_is_told_as_lost(database_url: str) -> None:
    lost, other = Connection(database_url, "lost"), await connect(database_url, SECONDS)
    pid = await lost.use(lambda c: c.fetchval("select pg_backend_pid()"))

    async def end() -> None:
        waits = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"
        while not await other.fetch(waits, pid):
            pass
        await other.fetchval("select pg_terminate_backend($1)", pid)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        with pytest.raises(ConnectionLost):
            await lost.use(lambda c: c.fetchval("select pg_sleep(60)"))
    assert await lost.use(lambda c: c.fetchval("select 1")) == 1
    lost.close()
    other.terminate()


async def test_after_a_cancelled_wait_nobody_gets_the_answer_of_another(database_url: str) -> None:
    connection = Connection(database_url, "cancelled")
    await connection.use(lambda c: c.fetchval("select 1"))
    with trio.move_on_after(0.05) as given_up:
        await connection.use(lambda c: c.fetchval("select 'late' from pg_sleep(1)"))
    assert given_up.cancelled_caught
    assert await connection.use(lambda c: c.fetchval("select 'mine'")) == "mine"
    connection.close()


async def test_a_statement_is_not_waited_for_longer_than_its_bound(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "CALL_SECONDS", 0.2)
    connection = Connection(database_url, "slow")
    with pytest.raises(ConnectionLost, match="in time"):
        await connection.use(lambda c: c.fetchval("select pg_sleep(60)"))
    assert await connection.use(lambda c: c.fetchval("select 1")) == 1
    connection.close()


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    url = f"postgresql://u@127.0.0.1:{listener.socket.getsockname()[1]}/d"
    with trio.fail_after(SECONDS), pytest.raises(TimeoutError):
        await connect(url, 0.2)
    await listener.aclose()
    with pytest.raises(NotConnected):
        await Connection(url, "nobody").use(lambda c: c.fetchval("select 1"))


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
async def test_tls_is_spoken_where_the_url_wants_it(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    async with tls_front(database_url, tmp_path) as (url, shaken):
        options = f"sslmode={mode}" + ("&sslrootcert=" + str(tmp_path / "cert.pem")) * (
            mode == "verify-full"
        )
        connection = await connect(f"{url}?{options}", SECONDS)
        assert len(shaken) == 1
        assert await connection.fetchval("select $1::text", LARGE) == LARGE
        assert is_up(connection)
        connection.terminate()


async def test_a_certificate_that_is_not_trusted_is_refused(
    database_url: str, tmp_path: Path
) -> None:
    async with tls_front(database_url, tmp_path) as (url, shaken):
        other = tmp_path / "other"
        other.mkdir()
        make_certificate(other)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"{url}?sslmode=verify-full&sslrootcert={other / 'cert.pem'}", SECONDS)
        assert shaken == []


async def test_tls_that_the_server_does_not_speak_is_not_done_without(database_url: str) -> None:
    async with open_proxy(database_url) as (_, url):
        plain = url.removesuffix("?sslmode=disable")
        assert plain != url
        # Behind a Unix socket Postgres refuses TLS, which `prefer` may accept and `require` not.
        with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
            await connect(f"{plain}?sslmode=require", SECONDS)
        connection = await connect(f"{plain}?sslmode=prefer", SECONDS)
        assert await connection.fetchval("select 1") == 1
        connection.terminate()


@asynccontextmanager
async def tls_front(database_url: str, directory: Path) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that speaks TLS in front of the database, and a list of the handshakes done."""
    make_certificate(directory)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    parts = urlsplit(database_url)
    query = parse_qs(parts.query)
    path = f"{unquote(query['host'][0])}/.s.PGSQL.{query['port'][0]}"
    shaken: list[int] = []

    async def serve(client: trio.SocketStream) -> None:
        async with await trio.open_unix_socket(path) as server, client:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                assert len(await client.receive_some(8)) == 8
                await client.send_all(b"S")
                secure = trio.SSLStream(client, context, server_side=True, https_compatible=True)
                await secure.do_handshake()
                shaken.append(1)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pump, secure, server)
                    await pump(server, secure)
                    nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            lambda task_status: trio.serve_tcp(serve, 0, host="127.0.0.1", task_status=task_status)
        )
        port = listeners[0].socket.getsockname()[1]
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}", shaken
        nursery.cancel_scope.cancel()


async def pump(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await source.receive_some(65536):
            await sink.send_all(data)
        await sink.aclose()


def make_certificate(directory: Path) -> None:
    """A certificate of 127.0.0.1 that is its own issuer, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (directory / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
