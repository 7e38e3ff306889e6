"""Fetching by TLS at an address that was pinned: the certificate is held to the host's name."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pxbox.domain.allowlist import parse_allowlist
from pxbox.references.fetcher import Fetcher, Unreachable
from tests.references.hosts import Host, open_host

HOST = "schemas.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of HOST, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "host.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def served_by(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def fetcher(host: Host, certificate: Path) -> Fetcher:
    """One that finds every name on loopback, and believes this certificate."""
    names = f"https://{HOST}:{host.port}@127.0.0.0/8,https://other.example:{host.port}@127.0.0.0/8"
    context = ssl.create_default_context(cafile=certificate)
    return Fetcher(parse_allowlist(names), on_loopback, context)


async def on_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


async def test_a_pinned_address_is_asked_by_the_name_of_its_host(certificate: Path) -> None:
    async with open_host(served_by(certificate)) as host:
        host.pages["/a.json"] = True
        fetched = await fetcher(host, certificate).fetch(host.url("/a.json", HOST, "https"))
        assert fetched.body == b"true"
        assert f"host: {HOST}:{host.port}".encode() in host.heads[0].lower()


async def test_the_certificate_of_another_host_is_refused(certificate: Path) -> None:
    async with open_host(served_by(certificate)) as host:
        host.pages["/a.json"] = True
        with pytest.raises(Unreachable):
            await fetcher(host, certificate).fetch(host.url("/a.json", "other.example", "https"))
        assert host.heads == []
