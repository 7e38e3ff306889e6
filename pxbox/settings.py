"""What an operator can set, in one table: each field of `Settings` is a flag, a variable of the
environment and a line of the documentation.

A flag beats the environment, which beats the default. An empty variable counts as not set, as
compose files write it.
"""

# ruff: noqa: RUF009 (`_option` makes a field, as `dataclasses.field` does)

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

from pxbox.domain.allowlist import Allowlist, parse_allowlist

ENV_PREFIX = "PXBOX_"
MOST_EMBEDDED_WORKERS = 12
MIN_SECRET_BYTES = 32
"""RFC 7518, 3.2: a key of HS256 is at least as long as its hash."""


class OperatorError(Exception):
    """Something that whoever runs PxBox must mend. The message says what and how, in plain words,
    and holds no secret."""


class SettingsError(OperatorError):
    """A setting is wrong, or does not go with another one."""


def raise_operators(group: BaseExceptionGroup) -> NoReturn:
    """Raise the first OperatorError of what ended a nursery, and the whole where there is none:
    whoever runs PxBox is to read a sentence."""
    operators = group.subgroup(OperatorError)
    if operators is None:
        raise group
    first: BaseException = operators
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    raise first from None


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


_BUCKET = re.compile(
    r"(s3|gs|az)://[a-z0-9][a-z0-9._-]{1,221}[a-z0-9](/[A-Za-z0-9!_.*'()-]+){0,16}/?", re.ASCII
)


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        # Not repeated: somebody may have put credentials into it.
        raise ValueError(
            "must be s3://bucket, gs://bucket or az://container, with a prefix behind it or "
            "without; credentials are given by the environment"
        )
    if any(part.strip(".") == "" for part in text.rstrip("/").split("/")[3:]):
        raise ValueError("must have a prefix without empty parts and dots alone")
    return text.rstrip("/")


def _modules(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(one.strip()) for one in text.split(",") if one.strip())


def _origin(text: str) -> str:
    """An origin as browsers write it: lower case, without the port that its scheme implies."""
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    plain = f"{parts.scheme}://{parts.netloc}"
    if usual is None or not parts.hostname or "@" in parts.netloc or text.lower() != plain:
        raise ValueError(
            f"must be origins such as https://app.example, separated by commas, not {text[:40]!r}"
        )
    return plain.removesuffix(f":{usual}") if port == usual else plain


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
    workers: int = _option(
        1,
        _whole(1, 64),
        "Broker processes to run behind the one port; those that die are started again.",
        "N",
    )
    flows: tuple[str, ...] = _option(
        (),
        _modules,
        "Modules, separated by commas, whose flows a worker beside the broker runs.",
        "MODULES",
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
    jwks_url: str | None = _option(
        None,
        _url("https", "http"),
        "Where such a key set is fetched from, and again in time: keys may be rotated. https, but "
        "for --dev with a URL of this machine.",
        "URL",
    )
    jwt_audience: str | None = _option(
        None, _text, "Tokens must name this audience (`aud`).", "TEXT"
    )
    jwt_issuer: str | None = _option(None, _text, "Tokens must name this issuer (`iss`).", "TEXT")
    token_notice_seconds: int = _option(
        60,
        _whole(0, 86_400),
        "How long before its token expires a WebSocket is told.",
        "SECONDS",
    )
    token_grace_seconds: int = _option(
        10,
        _whole(0, 3600),
        "How long after its token expired a WebSocket is closed, if no new token came.",
        "SECONDS",
    )
    allow_origin: tuple[str, ...] = _option(
        (),
        _origins,
        "Origins, separated by commas, whose pages may open WebSockets beside the broker's own: "
        "https://app.example.",
        "ORIGINS",
    )
    schema_allow: Allowlist = _option(
        Allowlist(),
        parse_allowlist,
        "Where schemas may be fetched from that others refer to, separated by commas: hosts "
        "(https), prefixes of URLs and ranges of addresses; nowhere by default.",
        "PLACES",
    )
    heartbeat_seconds: int = _option(
        25,
        _whole(1, 3600),
        "How often a WebSocket is sent a heartbeat and a Ping.",
        "SECONDS",
    )
    answer_seconds: int = _option(
        10,
        _whole(1, 3600),
        "How long after a heartbeat a WebSocket is closed from which nothing came; at most "
        "--heartbeat-seconds.",
        "SECONDS",
    )
    event_days: int = _option(
        30, _whole(1, 36_500), "How long events are kept, and how far clients have read.", "DAYS"
    )
    answered_days: int = _option(
        0, _whole(0, 36_500), "How long requests are kept once answered; 0 is for ever.", "DAYS"
    )
    unanswered_days: int = _option(
        0,
        _whole(0, 36_500),
        "How long requests are kept once expired, declined or cancelled; 0 is for ever.",
        "DAYS",
    )
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
        _whole(1024, 1_048_576),
        "Largest WebSocket message, and largest request body that carries no payload.",
        "BYTES",
    )
    max_payload_bytes: int = _option(
        16_777_216,
        _whole(1024, 16_777_216),
        "Largest request body, and largest command in parts, that carries a response or a prefill.",
        "BYTES",
    )
    parts_seconds: int = _option(
        60,
        _whole(1, 3600),
        "How long the parts of one command may take to arrive.",
        "SECONDS",
    )
    max_connections: int = _option(
        10_000,
        _whole(1, 1_000_000),
        "How many connections this broker serves; others are told to come again later.",
        "N",
    )
    max_connections_per_client: int = _option(
        1_000,
        _whole(1, 1_000_000),
        "How many WebSockets of one client (`sub`) this broker serves.",
        "N",
    )
    files_dir: Path | None = _option(
        None,
        _path,
        "Where uploaded files are kept, in place of `files` in --data-dir; brokers on several "
        "hosts share it.",
        "DIR",
    )
    files_url: str | None = _option(
        None,
        _bucket,
        "Bucket of an object store where files are uploaded to and kept, in place of a directory: "
        "s3://bucket/prefix, gs:// or az://; credentials by the environment.",
        "URL",
    )
    max_file_mb: int = _option(
        5_120,
        _whole(1, 102_400),
        "Largest file that is taken, whatever a request admits, in units of 1,048,576 bytes.",
        "MB",
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


def environment(settings: Settings) -> dict[str, str]:
    """The variables by which `load` makes the same settings in another process."""
    values = {option: getattr(settings, option.name) for option in OPTIONS}
    return {
        option.env: _as_text(value) for option, value in values.items() if value != option.default
    }


def _as_text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


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
    if settings.workers > MOST_EMBEDDED_WORKERS and not settings.database_url:
        raise SettingsError(
            f"The embedded PostgreSQL takes at most {MOST_EMBEDDED_WORKERS} --workers; for more, "
            "give a --database-url that takes six connections for each."
        )
    if settings.workers > 1 and (settings.redis_url or "").startswith("memory:"):
        raise SettingsError(
            "--redis-url memory:// is for a broker that is alone, and --workers asks for "
            f"{settings.workers} of them: name a Redis, or leave out --workers."
        )
    if settings.answer_seconds > settings.heartbeat_seconds:
        raise SettingsError(
            "--answer-seconds must not be greater than --heartbeat-seconds: an answer belongs to "
            "the last heartbeat."
        )
    if settings.files_url and settings.files_dir:
        raise SettingsError(
            "--files-url (PXBOX_FILES_URL) and --files-dir (PXBOX_FILES_DIR) are both set: files "
            "are kept in one place."
        )
    _require_one_issuer(settings)
    require_secret(settings)


def _require_one_issuer(settings: Settings) -> None:
    given = [
        option.flag
        for option in OPTIONS
        if option.name in ("jwt_key_file", "jwks_file", "jwks_url")
        and getattr(settings, option.name)
    ]
    if len(given) > 1:
        raise SettingsError(
            f"{' and '.join(map(str, given))} exclude each other: put all keys into one key set."
        )
    url = urlsplit(settings.jwks_url or "")
    here = settings.dev and is_loopback(url.hostname or "")
    if url.scheme == "http" and not here:
        raise SettingsError(
            "--jwks-url must begin with https://: whoever can change what is fetched can make "
            "tokens. http:// is for --dev, with a URL of this machine."
        )


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
