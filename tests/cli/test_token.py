"""`pxbox token create` (X1, X5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pxbox.auth import authenticator
from pxbox.auth.keys import KEY_FILE
from pxbox.cli.token import parse_ttl
from pxbox.model.errors import Unauthenticated
from pxbox.model.principal import Principal
from pxbox.settings import Settings, SettingsError
from tests.auth.keypairs import SECRET, at_once
from tests.cli.conftest import Outcome, Pxbox, refused


def bearer(made: Outcome, settings: Settings) -> Principal:
    """Whom a broker with these settings takes the printed token for."""
    assert made.returncode == 0, made.stderr
    token, rest = made.stdout.split("\n", 1)
    assert rest == ""
    return at_once(authenticator(settings).verify(token))


def test_a_token_of_the_data_directory_is_believed_there(pxbox: Pxbox, tmp_path: Path) -> None:
    made = pxbox("token", "create", "--sub", "alice", "--data-dir", "data")
    principal = bearer(made, Settings(data_dir=tmp_path / "data"))
    assert principal.sub == "alice"
    assert principal.entity is None
    assert principal.scopes == {"request", "respond", "flow", "admin"}
    _lasts(principal, timedelta(hours=1))


def _lasts(principal: Principal, ttl: timedelta) -> None:
    assert principal.expires_at is not None
    left = principal.expires_at - datetime.now(UTC)
    assert ttl - timedelta(minutes=1) < left <= ttl


def test_the_flags_say_who_may_do_what_for_how_long(pxbox: Pxbox, tmp_path: Path) -> None:
    flags = ["--sub", "bot 7", "--scope", "respond  operate", "--entity", "group:ops"]
    principal = bearer(
        pxbox("token", "create", *flags, "--ttl", "7d"), Settings(data_dir=tmp_path / ".pxbox")
    )
    assert (principal.sub, principal.entity) == ("bot 7", "group:ops")
    assert principal.scopes == {"respond", "operate"}
    _lasts(principal, timedelta(days=7))


@pytest.mark.parametrize(
    ("text", "ttl"),
    [
        ("1s", timedelta(seconds=1)),
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("007h", timedelta(hours=7)),
        ("366d", timedelta(days=366)),
    ],
)
def test_a_time_is_a_number_and_its_unit(text: str, ttl: timedelta) -> None:
    assert parse_ttl(text) == ttl


@pytest.mark.parametrize(
    "text",
    ["0s", "", "1", "h", "1w", "-1h", "1.5h", "1h ", "1H", "\u0661h", "367d", "9" * 40 + "s"],
)
def test_a_time_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--ttl"):
        parse_ttl(text)


def test_a_wrong_time_is_a_wrong_call(pxbox: Pxbox) -> None:
    assert "--ttl" in refused(pxbox("token", "create", "--sub", "a", "--ttl", "soon"), 2)


@pytest.mark.parametrize("flags", [["--sub="], ["--sub", "a\nb"], ["--sub", "a", "--entity="]])
def test_what_no_broker_would_believe_is_a_wrong_call(pxbox: Pxbox, flags: list[str]) -> None:
    variables = {"PXBOX_SECRET": SECRET}
    assert "refuse" in refused(pxbox("token", "create", *flags, **variables), 2)


def test_a_new_key_is_announced_beside_the_token(pxbox: Pxbox, tmp_path: Path) -> None:
    first, second = (pxbox("token", "create", "--sub", "a") for _ in range(2))
    path = tmp_path / ".pxbox" / KEY_FILE
    assert str(path) in first.stderr
    assert path.read_text().strip() not in first.stderr + first.stdout
    assert second.stderr == ""


def test_a_scope_that_nobody_knows_is_kept_and_noted(pxbox: Pxbox) -> None:
    made = pxbox("token", "create", "--sub=a", "--scope", "requst worker:x", PXBOX_SECRET=SECRET)
    assert bearer(made, Settings(secret=SECRET)).scopes == {"requst", "worker:x"}
    assert "'requst'" in made.stderr
    assert "'worker:x'" not in made.stderr


def test_a_shared_secret_signs_in_place_of_the_data_directory(pxbox: Pxbox, tmp_path: Path) -> None:
    (tmp_path / "shared").write_text(SECRET)
    by_file = pxbox("token", "create", "--sub", "a", "--secret-file", "shared")
    by_variable = pxbox("token", "create", "--sub", "b", PXBOX_SECRET=SECRET)
    settings = Settings(secret=SECRET)
    assert [bearer(made, settings).sub for made in (by_file, by_variable)] == ["a", "b"]
    assert not (tmp_path / ".pxbox").exists()


def test_a_configured_audience_is_in_the_token(pxbox: Pxbox) -> None:
    made = pxbox(
        "token", "create", "--sub=a", "--jwt-issuer=us", PXBOX_SECRET=SECRET, PXBOX_JWT_AUDIENCE="x"
    )
    assert bearer(made, Settings(secret=SECRET, jwt_audience="x", jwt_issuer="us")).sub == "a"
    with pytest.raises(Unauthenticated):
        bearer(made, Settings(secret=SECRET, jwt_audience="y"))


def test_without_the_shared_secret_of_its_database_no_token_is_made(pxbox: Pxbox) -> None:
    made = pxbox("token", "create", "--sub", "a", PXBOX_DATABASE_URL="postgresql://h/d")
    assert "PXBOX_SECRET" in refused(made, 2)


def test_a_key_that_others_may_read_is_a_problem(pxbox: Pxbox, tmp_path: Path) -> None:
    pxbox("token", "create", "--sub", "a")
    (tmp_path / ".pxbox" / KEY_FILE).chmod(0o644)
    assert "chmod 600" in refused(pxbox("token", "create", "--sub", "a"), 1)


def test_a_missing_secret_file_is_a_problem(pxbox: Pxbox) -> None:
    made = pxbox("token", "create", "--sub", "a", "--secret-file", "nowhere")
    assert "nowhere" in refused(made, 1)
