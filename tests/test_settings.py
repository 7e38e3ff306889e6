"""The table of settings: flags, environment, defaults, and what does not go together."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.allowlist import parse_allowlist
from pxbox.settings import (
    OPTIONS,
    Settings,
    SettingsError,
    environment,
    is_loopback,
    load,
    require_servable,
    without_password,
)

SECRET = "a-secret-of-thirty-two-bytes-or-so"


def test_without_anything_given_the_defaults_hold() -> None:
    assert load({}, {}) == Settings()
    assert (Settings().host, Settings().port) == ("127.0.0.1", 8080)
    assert Settings().data_dir == Path(".pxbox")


def test_every_field_is_a_row_with_its_default_and_its_help() -> None:
    assert [option.name for option in OPTIONS] == [f.name for f in fields(Settings)]
    for option in OPTIONS:
        assert option.default == getattr(Settings(), option.name)
        assert option.help.endswith(".")
        assert option.env == f"PXBOX_{option.name.upper()}"


def test_a_secret_has_no_flag_that_a_list_of_processes_would_show() -> None:
    assert [option.name for option in OPTIONS if option.flag is None] == ["secret"]


GIVEN: list[tuple[str, str, object]] = [
    ("host", "::1", "::1"),
    ("port", "0", 0),
    ("port", "65535", 65535),
    ("flows", "one, two.three", ("one", "two.three")),
    ("data_dir", "some/where", Path("some/where")),
    ("data_dir", "~/px", Path.home() / "px"),
    ("database_url", "postgresql://u:p@h:5432/d?sslmode=require", ...),
    ("database_url", "postgres:///d?host=/run", ...),
    ("redis_url", "redis://h:6379/1", ...),
    ("redis_url", "rediss://:p@h", ...),
    ("redis_url", "unix:///run/redis.sock", ...),
    ("redis_url", "memory://", ...),
    ("dev", "true", True),
    ("dev", "1", True),
    ("dev", "Off", False),
    ("secret", SECRET, SECRET),
    ("secret_file", "s", Path("s")),
    ("jwt_key_file", "k.pem", Path("k.pem")),
    ("jwks_file", "k.json", Path("k.json")),
    ("jwks_url", "https://id.example/keys", ...),
    ("jwt_audience", "pxbox", "pxbox"),
    ("jwt_issuer", "https://id.example", ...),
    ("token_notice_seconds", "0", 0),
    ("token_grace_seconds", "3600", 3600),
    ("allow_origin", "https://app.example", ("https://app.example",)),
    (
        "allow_origin",
        "HTTPS://App.example:443, http://b:81,",
        ("https://app.example", "http://b:81"),
    ),
    (
        "schema_allow",
        "schemas.example, http://localhost:8000/@127.0.0.0/8,10.1.0.0/16",
        parse_allowlist("schemas.example,http://localhost:8000/@127.0.0.0/8,10.1.0.0/16"),
    ),
    ("heartbeat_seconds", "1", 1),
    ("answer_seconds", "3600", 3600),
    ("event_days", "36500", 36_500),
    ("answered_days", "365", 365),
    ("unanswered_days", "36500", 36_500),
    ("log_level", "DEBUG", "debug"),
    ("log_format", "json", "json"),
    ("workers", "3", 3),
    ("grace_seconds", "30", 30),
    ("max_body_bytes", "2048", 2048),
    ("max_payload_bytes", "4096", 4096),
    ("parts_seconds", "5", 5),
    ("max_connections", "20", 20),
    ("max_connections_per_client", "3", 3),
    ("files_dir", "f", Path("f")),
    ("files_url", "s3://my.bucket", ...),
    ("files_url", "gs://bucket/some/prefix", ...),
    ("files_url", "az://container/prefix/", "az://container/prefix"),
    ("max_file_mb", "7", 7),
    ("inbox_attention_seconds", "60", 60),
    ("inbox_due_soon_seconds", "120", 120),
]


def test_every_setting_is_tried_below() -> None:
    assert {name for name, _, _ in GIVEN} == {option.name for option in OPTIONS}


@pytest.mark.parametrize(("name", "text", "value"), GIVEN)
def test_a_setting_is_read_from_its_variable_and_from_its_flag(
    name: str, text: str, value: object
) -> None:
    wanted = text if value is ... else value
    assert getattr(load({}, {f"PXBOX_{name.upper()}": text}), name) == wanted
    assert getattr(load({name: text}, {}), name) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("host", ""),
        ("host", "  "),
        ("port", "65536"),
        ("port", "-1"),
        ("port", "8_0"),
        ("port", "+80"),
        ("port", "80.0"),
        ("port", "٨٠"),
        ("port", "9" * 5000),
        ("port", ""),
        ("data_dir", ""),
        ("database_url", "h:5432"),
        ("database_url", "mysql://h"),
        ("database_url", "http://[::1"),
        ("redis_url", "localhost:6379"),
        ("redis_url", "memory"),
        ("dev", "maybe"),
        ("secret", "short"),
        ("secret", "x" * 31),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("grace_seconds", "10s"),
        ("grace_seconds", "3601"),
        ("max_body_bytes", "10"),
        ("max_body_bytes", "1MB"),
        ("jwks_url", "id.example/keys"),
        ("jwks_url", "file:///keys.json"),
        ("token_notice_seconds", "86401"),
        ("token_grace_seconds", "-1"),
        ("heartbeat_seconds", "0"),
        ("answer_seconds", "0"),
        ("event_days", "0"),
        ("answered_days", "-1"),
        ("unanswered_days", "36501"),
        ("files_url", "bucket"),
        ("files_url", "https://bucket.s3.amazonaws.com"),
        ("files_url", "s3://"),
        ("files_url", "s3:///prefix"),
        ("files_url", "s3://key:secret@bucket"),
        ("files_url", "s3://bucket?region=x"),
        ("files_url", "s3://bucket/a//b"),
        ("files_url", "s3://bucket/../b"),
        ("files_url", "s3://Bucket"),
        ("allow_origin", "app.example"),
        ("allow_origin", "*"),
        ("allow_origin", "null"),
        ("allow_origin", "https://app.example/"),
        ("allow_origin", "https://app.example/page"),
        ("allow_origin", "https://me@app.example"),
        ("allow_origin", "https://app.example:99999"),
        ("allow_origin", "https://"),
        ("allow_origin", "wss://app.example"),
    ],
)
def test_a_wrong_value_is_named_by_flag_and_variable(name: str, text: str) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    with pytest.raises(SettingsError) as error:
        load({name: text}, {})
    assert option.env in str(error.value)
    assert (option.flag or "") in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("name", ["database_url", "redis_url", "secret", "files_url"])
def test_a_wrong_value_that_may_hold_a_password_is_not_repeated(name: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({}, {f"PXBOX_{name.upper()}": "user:hunter2@host"})
    assert "hunter2" not in str(error.value)


def test_a_flag_beats_the_environment_which_beats_the_default() -> None:
    environ = {"PXBOX_PORT": "9000", "PXBOX_DEV": "true"}
    assert load({}, environ).port == 9000
    assert load({"port": "9001"}, environ).port == 9001
    assert load({"dev": False}, environ).dev is False
    assert load({"dev": True}, {}).dev is True


def test_a_wrong_variable_does_not_matter_where_a_flag_is_given() -> None:
    assert load({"port": "9001"}, {"PXBOX_PORT": "nine"}).port == 9001


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({}, {option.env: "" for option in OPTIONS}) == Settings()


def test_repr_hides_secrets_and_passwords() -> None:
    settings = Settings(
        secret="hunter2",
        database_url="postgresql://px:hunter2@h/d",
        redis_url="redis://h/0?password=hunter2",
    )
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in f"{settings} {[settings]}"
    assert "postgresql://px@h/d" in repr(settings)
    assert "port=8080" in repr(settings)


SHARED = {"database_url": "postgresql://h/d", "redis_url": "redis://h"}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"dev": True},
        {"dev": True, "host": "::1"},
        {"dev": True, "host": "localhost"},
        {"host": "0.0.0.0"},  # noqa: S104
        {"redis_url": "memory://"},
        SHARED | {"secret": SECRET},
        SHARED | {"secret_file": "s"},
        SHARED | {"secret": SECRET, "redis_url": "memory://"},
        {"jwks_url": "https://id.example/keys"},
        {"jwks_url": "http://127.0.0.1:9/keys", "dev": True},
    ],
)
def test_what_goes_together_can_be_served(given: dict[str, str | bool]) -> None:
    require_servable(load(given, {}))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"dev": True, "host": "0.0.0.0"}, ["--dev", "--host"]),  # noqa: S104
        ({"dev": True, "host": "::"}, ["--dev"]),
        ({"dev": True, "host": "box.example"}, ["--dev"]),
        (SHARED, ["--database-url", "PXBOX_SECRET", "--secret-file"]),
        (SHARED | {"secret": SECRET, "secret_file": "s"}, ["PXBOX_SECRET", "--secret-file"]),
        (
            {"database_url": "postgresql://h/d", "secret": SECRET},
            ["--redis-url", "PXBOX_REDIS_URL", "memory://"],
        ),
        ({"heartbeat_seconds": "9"}, ["--answer-seconds", "--heartbeat-seconds"]),
        ({"workers": "2", "redis_url": "memory://"}, ["--workers", "memory://"]),
        ({"workers": "13"}, ["--workers", "--database-url", "12"]),
        ({"jwt_key_file": "k", "jwks_file": "j"}, ["--jwt-key-file", "--jwks-file"]),
        ({"jwks_url": "https://h/k", "jwks_file": "j"}, ["--jwks-url", "--jwks-file"]),
        ({"jwks_url": "https://h/k", "jwt_key_file": "k"}, ["--jwks-url", "--jwt-key-file"]),
        ({"jwks_url": "http://id.example/keys"}, ["--jwks-url", "https://"]),
        ({"jwks_url": "http://127.0.0.1:9/keys"}, ["--jwks-url", "https://"]),
        ({"jwks_url": "http://id.example/keys", "dev": True}, ["--jwks-url", "https://"]),
        ({"jwks_url": "http:///keys", "dev": True}, ["--jwks-url", "https://"]),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(
    given: dict[str, str | bool], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as error:
        require_servable(load(given, {}))
    for name in named:
        assert name in str(error.value)


@pytest.mark.parametrize(("name", "text", "value"), GIVEN)
def test_settings_pass_to_another_process_by_its_environment(
    name: str, text: str, value: object
) -> None:
    settings = load({name: text}, {})
    assert load({}, environment(settings)) == settings


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.255.0.1", "::1", "localhost", "LocalHost", "::ffff:127.0.0.1"]
)
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "10.0.0.1", "127.1", "localhost.", "a.localhost"],  # noqa: S104
)
def test_whatever_else_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:5/d?sslmode=require", "postgresql://u@h:5/d?sslmode=require"),
        ("postgresql://h/d?host=%2Frun&password=p", "postgresql://h/d?host=%2Frun"),
        ("redis://:p@h:1/0", "redis://h:1/0"),
        ("unix:///run/s.sock?db=1&password=p", "unix:///run/s.sock?db=1"),
        ("postgresql://u@/d?host=%2Frun%2Fa&port=1", "postgresql://u@/d?host=%2Frun%2Fa&port=1"),
        ("http://[::1", "?"),
        ("memory://", "memory://"),
        ("postgresql://u:pass/word@h/d", "?"),
        ("redis://:pass?word@h", "?"),
        ("redis://:pass#word@h", "?"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


@given(st.from_regex(r"[a-z]{2,8}", fullmatch=True), st.from_regex(r"Z[!-~]{1,12}", fullmatch=True))
def test_no_password_of_any_letters_is_shown(user: str, password: str) -> None:
    assert password not in without_password(f"postgresql://{user}:{password}@host/db")
