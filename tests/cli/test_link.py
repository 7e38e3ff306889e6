"""`pxbox token link`, and the link that a new broker gives whoever started it (X1, X5)."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from pxbox.auth.keys import signing_secret
from pxbox.auth.links import Link, link_key, read_link
from pxbox.cli.greeting import FILE_NAME
from pxbox.settings import Settings
from tests.brokers import SECRET, Broker, Brokers
from tests.cli.asking import Shell
from tests.cli.conftest import Outcome, Pxbox, refused

LINK = re.compile(r"(http://\S+)/#link=(\S+)")


def read(made: Outcome, settings: Settings) -> Link:
    """What the printed link grants, at a broker with these settings."""
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("\n") == 1
    return read_link(link_key(signing_secret(settings)), made.stdout.strip().partition("#link=")[2])


def sign_in(url: str, link: str) -> httpx.Response:
    headers = {"origin": url, "x-pxbox-page": "1"}
    return httpx.post(f"{url}/v1/session", json={"link": link}, headers=headers, timeout=30)


def test_a_link_grants_what_its_flags_say(pxbox: Pxbox, tmp_path: Path) -> None:
    flags = ["--entity", "mailto:ana@example.org", "--ttl", "1h", "--url", "https://px.example/"]
    made = pxbox("token", "link", *flags, "--sub", "ana", "--scope", "respond admin")
    assert made.stdout.startswith("https://px.example/#link=")
    assert "made a new key" in made.stderr
    link = read(made, Settings(data_dir=tmp_path / ".pxbox"))
    assert (link.grant.sub, link.grant.entity) == ("ana", "mailto:ana@example.org")
    assert link.grant.scopes == {"respond", "admin"}
    assert timedelta(minutes=59) < link.expires_at - datetime.now(UTC) <= timedelta(hours=1)


def test_a_link_may_do_little_and_not_for_long_unless_told_otherwise(pxbox: Pxbox) -> None:
    link = read(
        pxbox("token", "link", "--entity", "ana", PXBOX_SECRET=SECRET), Settings(secret=SECRET)
    )
    assert (link.grant.sub, link.grant.entity) == ("ana", "ana")
    assert link.grant.scopes == {"request", "respond", "flow"}
    assert timedelta(minutes=14) < link.expires_at - datetime.now(UTC) <= timedelta(minutes=15)


@pytest.mark.parametrize("flags", [[], ["--entity", "a\nb"], ["--entity", "a", "--ttl", "soon"]])
def test_a_link_that_nobody_could_use_is_not_made(pxbox: Pxbox, flags: list[str]) -> None:
    refused(pxbox("token", "link", *flags, PXBOX_SECRET=SECRET), 2)


def test_a_printed_link_signs_in_where_it_leads(
    shell: Shell, ana: str, module_broker: Broker
) -> None:
    said = shell.good("token", "link", "--entity", ana)
    found = LINK.fullmatch(said.strip())
    assert found is not None, said
    assert found[1] == module_broker.url
    made = sign_in(found[1], found[2])
    assert (made.status_code, made.json()["handle"]) == (200, ana)
    assert sign_in(found[1], found[2]).status_code == 401


def test_a_new_broker_writes_a_link_that_only_its_owner_reads(
    module_broker: Broker, module_brokers: Brokers
) -> None:
    path = module_brokers.data_dir / FILE_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = LINK.search(path.read_text())
    assert found is not None
    assert urlsplit(found[1]).port == urlsplit(module_broker.url).port
    made = sign_in(found[1], found[2]).json()
    assert made["scopes"] == ["admin", "flow", "request", "respond"]
    assert found[2] not in module_broker.log.read_text()
