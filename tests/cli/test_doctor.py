"""`pxbox doctor`: what it finds, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pxbox.auth.keys import fingerprint
from tests.auth.keypairs import SECRET
from tests.cli.conftest import Outcome, Pxbox, refused
from tests.servers import AsyncpgThread, DisposableServers

FREE_PORT = "--port=0"


def report(outcome: Outcome) -> dict[str, Any]:
    """The report, once its shape and its exit code were found to be right."""
    assert outcome.stderr == ""
    found: dict[str, Any] = json.loads(outcome.stdout)
    assert found.keys() == {"checks", "databaseUrl", "redisUrl"}
    for check in found["checks"]:
        assert check.keys() == {"name", "ok", "severity", "detail", "hint"}
        assert check["ok"] == (check["severity"] != "error")
        assert (check["hint"] is None) == (check["severity"] == "ok")
    assert outcome.returncode == (0 if all(check["ok"] for check in found["checks"]) else 1)
    return found


def severities(outcome: Outcome) -> dict[str, str]:
    return {check["name"]: check["severity"] for check in report(outcome)["checks"]}


def detail(outcome: Outcome, name: str) -> str:
    return next(str(c["detail"]) for c in report(outcome)["checks"] if c["name"] == name)


def test_a_fresh_machine_is_in_order_and_stays_untouched(pxbox: Pxbox, tmp_path: Path) -> None:
    found = pxbox("doctor", "--json", FREE_PORT)
    assert set(severities(found).values()) == {"ok"}
    assert report(found)["databaseUrl"] is None
    assert report(found)["redisUrl"] is None
    assert list(tmp_path.iterdir()) == []


def test_in_words_every_check_is_a_line(pxbox: Pxbox, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    shown = pxbox("doctor", FREE_PORT, "--data-dir", "data/below")
    assert shown.returncode == 1
    assert "error    data directory: " in shown.stdout
    assert "--data-dir" in shown.stdout
    assert "ok       python: Python 3" in shown.stdout
    assert "To mend: 2." in shown.stdout
    assert "\x1b" not in shown.stdout


def test_the_urls_of_embedded_servers_are_given_whole(
    pxbox: Pxbox, session_servers: DisposableServers, database_url: str, redis_url: str
) -> None:
    assert database_url
    found = pxbox("doctor", "--json", FREE_PORT, "--data-dir", session_servers.data_dir.root)
    assert report(found)["databaseUrl"] == session_servers.database_url
    assert report(found)["redisUrl"] == redis_url
    looked_at = severities(found)
    for name in ("database", "durability", "clock", "redis", "redis memory"):
        assert looked_at[name] == "ok"
    assert looked_at["migrations"] == "warning"


def test_configured_servers_are_looked_at(
    pxbox: Pxbox, database_url: str, fresh_redis_url: str
) -> None:
    found = _joined(pxbox, database_url, fresh_redis_url)
    assert set(severities(found).values()) == {"ok"}
    assert "no broker has run" in detail(found, "shared secret")
    assert report(found)["databaseUrl"] == database_url


def _joined(pxbox: Pxbox, database_url: str, redis_url: str = "memory://") -> Outcome:
    urls = ["--database-url", database_url, "--redis-url", redis_url]
    return pxbox("doctor", "--json", FREE_PORT, *urls, PXBOX_SECRET=SECRET)


def test_settings_that_endanger_data_are_errors(
    pxbox: Pxbox, database_url: str, postgres_admin: AsyncpgThread
) -> None:
    name = database_url.partition("?")[0].rpartition("/")[2]
    postgres_admin.execute(f"alter database {name} set synchronous_commit = off")
    found = _joined(pxbox, database_url)
    assert severities(found)["durability"] == "error"
    assert "synchronous_commit" in detail(found, "durability")


@pytest.mark.parametrize(
    ("secret", "severity"), [(SECRET, "ok"), ("another secret of enough bytes, and more", "error")]
)
def test_a_database_of_another_secret_is_an_error(
    pxbox: Pxbox, database_url: str, secret: str, severity: str
) -> None:
    _install(database_url, secret)
    assert severities(_joined(pxbox, database_url))["shared secret"] == severity


def test_a_lost_key_of_the_data_directory_is_an_error(
    pxbox: Pxbox, tmp_path: Path, database_url: str
) -> None:
    _install(database_url, SECRET)
    found = pxbox("doctor", "--json", FREE_PORT, "--database-url", database_url)
    assert severities(found)["settings"] == "error"
    assert severities(found)["secret"] == "error"
    assert list(tmp_path.iterdir()) == []


def _install(database_url: str, secret: str) -> None:
    connection = AsyncpgThread(database_url)
    try:
        connection.execute(
            "insert into installation (epoch, system_identifier, database_oid, secret_fingerprint) "
            f"values ('e', 1, 1, '{fingerprint(secret)}')"
        )
    finally:
        connection.close()


def test_servers_that_cannot_be_reached_are_errors_without_their_passwords(pxbox: Pxbox) -> None:
    found = _joined(pxbox, "postgresql://u:hunter2@127.0.0.1:1/d", "redis://:hunter2@127.0.0.1:1/0")
    assert severities(found)["database"] == "error"
    assert severities(found)["redis"] == "error"
    assert "hunter2" not in found.stdout
    assert report(found)["databaseUrl"] == "postgresql://u@127.0.0.1:1/d"


def test_settings_that_cannot_be_served_are_an_error(pxbox: Pxbox) -> None:
    found = pxbox("doctor", "--json", FREE_PORT, "--dev", "--host", "::")
    assert severities(found)["settings"] == "error"


def test_a_wrong_value_is_a_wrong_call(pxbox: Pxbox) -> None:
    assert "PXBOX_PORT" in refused(pxbox("doctor", "--port", "x"), 2)
