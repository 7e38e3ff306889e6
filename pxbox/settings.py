"""What an operator can set, in one table: each field of `Settings` is a flag, a variable of the
environment and a line of the documentation.

A flag beats the environment, which beats the default. An empty variable counts as not set, as
compose files write it.
"""

# ruff: noqa: RUF009 (`_option` makes a field, as `dataclasses.field` does)

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

ENV_PREFIX = "PXBOX_"
MIN_SECRET_BYTES = 32
"""RFC 7518, 3.2: a key of HS256 is at least as long as its hash."""


class OperatorError(Exception):
    """Something that whoever runs PxBox must mend. The message says what and how, in plain words,
    and holds no secret."""


class SettingsError(OperatorError):
    """A setting is wrong, or does not go with another one."""


@dataclass(frozen=True, slots=True)
class Option:
    """One row of the table.

    `flag` is None for what must not be seen in a list of processes; the environment has it.
    `metavar` is None for a switch. `parse` raises ValueError with the end of a sentence that
    begins with the names: "must be ...".
    """

    name: str
    help: str
    metavar: str | None
    default: object
    secret: bool
    parse: Callable[[str], object]

    @property
    def env(self) -> str:
        return ENV_PREFIX + self.name.upper()

    @property
    def flag(self) -> str | None:
        return None if self.secret else "--" + self.name.replace("_", "-")

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.flag} ({self.env})" if self.flag else self.env


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser()


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # isdecimal alone takes digits of every script, and int() underscores and signs.
        if not (text.isascii() and text.isdecimal() and low <= int(text[:20]) <= high):
            raise ValueError(f"must be a whole number from {low} to {high}, not {text[:40]!r}")
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}, not {text[:40]!r}")
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"must be true or false, not {text[:40]!r}")


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            known = urlsplit(text).scheme in schemes
        except ValueError:
            known = False
        if not known:
            # The value is not repeated: it may hold a password.
            raise ValueError("must begin with " + " or ".join(f"{s}://" for s in schemes))
        return text

    return parse


def _secret(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) < MIN_SECRET_BYTES:
        raise ValueError(
            f"must be at least {MIN_SECRET_BYTES} bytes long; `openssl rand -base64 33` makes one"
        )
    return text


def _option(
    default: object,
    parse: Callable[[str], object],
    help: str,
    metavar: str | None = None,
    secret: bool = False,
) -> Any:
    row = {"parse": parse, "help": help, "metavar": metavar, "secret": secret}
    return field(default=default, metadata=row)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything an operator can set. `repr` hides secrets and the passwords inside URLs (X5)."""

    host: str = _option("127.0.0.1", _text, "Address to listen on.", "ADDRESS")
    port: int = _option(
        8080, _whole(0, 65535), "TCP port to listen on; 0 takes any free one.", "PORT"
    )
    data_dir: Path = _option(
        Path(".pxbox"),
        _path,
        "Where the embedded servers and the signing key live; made on first use.",
        "DIR",
    )
    database_url: str | None = _option(
        None,
        _url("postgresql", "postgres"),
        "PostgreSQL to use, 14 or later, instead of the embedded one.",
        "URL",
    )
    redis_url: str | None = _option(
        None,
        _url("redis", "rediss", "unix", "memory"),
        "Redis or Valkey to use instead of the embedded one; memory:// keeps the window of events "
        "in this process, for a broker that is alone.",
        "URL",
    )
    dev: bool = _option(
        False,
        _switch,
        "Development, on loopback only: X-Entity-ID and X-Client-ID headers stand in for a token, "
        "with every scope.",
    )
    secret: str | None = _option(
        None,
        _secret,
        "Shared secret, at least 32 bytes: signs tokens (HS256), and other keys are derived from "
        "it. The same for every broker on one database.",
        "TEXT",
        secret=True,
    )
    secret_file: Path | None = _option(
        None, _path, "File that holds the shared secret, in place of PXBOX_SECRET.", "FILE"
    )
    jwt_key_file: Path | None = _option(
        None,
        _path,
        "PEM file with a public key whose tokens are accepted too: RSA (RS256), P-256 (ES256) or "
        "Ed25519 (EdDSA).",
        "FILE",
    )
    jwks_file: Path | None = _option(
        None,
        _path,
        "JSON Web Key Set with several such keys, chosen by `kid`; read once, at start.",
        "FILE",
    )
    jwt_audience: str | None = _option(
        None, _text, "Tokens must name this audience (`aud`).", "TEXT"
    )
    jwt_issuer: str | None = _option(None, _text, "Tokens must name this issuer (`iss`).", "TEXT")
    log_level: str = _option(
        "info", _one_of("debug", "info", "warning", "error"), "Least level that is logged.", "LEVEL"
    )
    log_format: str = _option(
        "auto",
        _one_of("auto", "json", "text"),
        "How the log is written; auto is text on a terminal, else json.",
        "FORMAT",
    )
    grace_seconds: int = _option(
        10, _whole(0, 3600), "How long a stopping broker may take to finish its work.", "SECONDS"
    )
    max_body_bytes: int = _option(
        1_048_576,
        _whole(1024, 16_777_216),
        "Largest request body, and largest WebSocket message.",
        "BYTES",
    )
    inbox_attention_seconds: int = _option(
        3_600,
        _whole(0, 31_536_000),
        "How near its deadline an inquiry is in the section of those that need attention.",
        "SECONDS",
    )
    inbox_due_soon_seconds: int = _option(
        86_400,
        _whole(0, 31_536_000),
        "How near its deadline an inquiry is in the section of those that are due soon.",
        "SECONDS",
    )

    def __repr__(self) -> str:
        shown = ", ".join(f"{o.name}={_shown(o, getattr(self, o.name))}" for o in OPTIONS)
        return f"Settings({shown})"


def _rows() -> tuple[Option, ...]:
    return tuple(Option(name=f.name, default=f.default, **f.metadata) for f in fields(Settings))


OPTIONS: tuple[Option, ...] = _rows()
"""The table, in the order of the documentation."""


def load(flags: Mapping[str, str | bool], environ: Mapping[str, str]) -> Settings:
    """The settings from what was given on the command line, by field name, and the environment.

    Each value is judged on its own here; `require_servable` judges them together. Raises
    SettingsError, which names the flag and the variable.
    """
    return Settings(**dict(_given(flags, environ)))


def _given(flags: Mapping[str, str | bool], environ: Mapping[str, str]) -> list[tuple[str, Any]]:
    given: list[tuple[str, Any]] = []
    for option in OPTIONS:
        value = flags.get(option.name, environ.get(option.env) or None)
        if isinstance(value, str):
            try:
                given.append((option.name, option.parse(value)))
            except ValueError as error:
                raise SettingsError(f"{option.label} {error}.") from None
        elif value is not None:
            given.append((option.name, value))
    return given


def require_servable(settings: Settings) -> None:
    """Raise SettingsError if a broker cannot be run safely with these settings."""
    if settings.dev and not is_loopback(settings.host):
        raise SettingsError(
            f"--dev trusts its callers and listens on loopback only, not on {settings.host}. "
            "Leave out --dev, or use --host 127.0.0.1."
        )
    if settings.database_url and not settings.redis_url:
        raise SettingsError(
            "--database-url needs --redis-url (PXBOX_REDIS_URL) too: brokers on one database share "
            "one Redis. For a broker that is alone, --redis-url memory:// does."
        )
    if settings.jwt_key_file and settings.jwks_file:
        raise SettingsError(
            "--jwt-key-file and --jwks-file exclude each other: put both keys into the key set."
        )
    require_secret(settings)


def require_secret(settings: Settings) -> None:
    """Raise SettingsError unless it is clear which secret signs tokens here."""
    if settings.secret and settings.secret_file:
        raise SettingsError("PXBOX_SECRET and --secret-file (PXBOX_SECRET_FILE) are both set.")
    if settings.database_url and not (settings.secret or settings.secret_file):
        raise SettingsError(
            "--database-url needs a shared secret, the same for every broker on that database: "
            "set PXBOX_SECRET or --secret-file (PXBOX_SECRET_FILE)."
        )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an IP address without a port, is this machine for certain."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def without_password(url: str) -> str:
    """The same URL less any password; what may hide one, or is no URL, becomes `?`."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return "?"
    if "@" in parts.path + parts.query + parts.fragment:
        # A password with an unquoted / ? or # in it: the rest of it has slipped in here.
        return "?"
    kept = [(key, value) for key, value in pairs if "password" not in key.lower()]
    user, _, host = parts.netloc.rpartition("@")
    if ":" not in user and len(kept) == len(pairs):
        return url
    name = user.partition(":")[0]
    netloc = f"{name}@{host}" if name else host
    query = f"?{urlencode(kept)}" if kept else ""
    # By hand: urlunsplit drops the slashes of unix:///path.
    return f"{parts.scheme}://{netloc}{parts.path}{query}"


def _shown(option: Option, value: object) -> str:
    if value is None:
        return "None"
    if option.secret:
        return "***"
    if option.name.endswith("_url"):
        return repr(without_password(str(value)))
    return repr(value)
