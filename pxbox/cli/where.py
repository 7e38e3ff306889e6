"""Which broker a command speaks to, and as whom."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Group, Parameter

from pxbox.cli.exits import CommandFailed, Exit
from pxbox.settings import Settings, SettingsError, is_loopback, load

URL_FILE = "broker-url.txt"
"""In the data directory: where the broker listens, for commands on the same machine."""
DEFAULT_URL = "http://127.0.0.1:8080"
LOCAL_SUB = "admin"
"""Who asks where no token was given: the same as the token that a new broker prints."""
_TTL = timedelta(hours=1)
_CONNECTION = Group("Connection", sort_key=10)

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option without a value."""
Token = str | Callable[[], str]


@Parameter(name="*", group=_CONNECTION)
@dataclass(frozen=True, slots=True)
class Where:
    """What every command that speaks to a broker takes."""

    url: Annotated[
        str | None,
        Parameter(
            help="The broker's address; by default of the one with this data directory.",
            metavar="URL",
            env_var="PXBOX_URL",
            show_default=False,
        ),
    ] = None
    token: Annotated[
        str | None,
        Parameter(
            help="Who you are; by default made with the key of the data directory. Better by the "
            "variable: others see flags.",
            metavar="TOKEN",
            env_var="PXBOX_TOKEN",
            show_default=False,
        ),
    ] = None
    acting_as: Annotated[
        str | None,
        Parameter(
            name="--as",
            help="The entity to act as, by any address; only without a token.",
            metavar="ADDRESS",
            env_var="PXBOX_AS",
            show_default=False,
        ),
    ] = None
    data_dir: Annotated[
        str | None,
        Parameter(
            help="Where a broker on this machine keeps its key.",
            metavar="DIR",
            env_var="PXBOX_DATA_DIR",
            show_default=False,
        ),
    ] = None


NOWHERE = Where()


def find(where: Where) -> tuple[str, Token]:
    """The URL to call and the token to call it with, or a function that makes one when it is
    needed. Raises CommandFailed, and SettingsError for a wrong setting."""
    if where.url is not None and not where.url.startswith(("http://", "https://")):
        raise CommandFailed(
            f"--url (PXBOX_URL) must begin with http:// or https://, not {where.url[:60]!r}.",
            Exit.WRONG_CALL,
        )
    settings = load({"data_dir": where.data_dir} if where.data_dir else {}, os.environ)
    if where.token:
        if where.acting_as:
            raise CommandFailed(
                "--as goes without a token only: a token says itself whom it acts as.",
                Exit.WRONG_CALL,
            )
        return where.url or own_url(settings, loopback_only=True), where.token
    shared = bool(settings.secret or settings.secret_file)
    return where.url or own_url(settings, loopback_only=shared), _own_token(settings, where)


def own_url(settings: Settings, *, loopback_only: bool) -> str:
    """Where the broker with this data directory listens.

    What the folder itself does not hold, a token or a shared secret, is used with this machine
    only: the folder may be somebody else's.
    """
    try:
        url = (settings.data_dir / URL_FILE).read_text("utf-8").strip()
        host = urlsplit(url).hostname or ""
    except (OSError, ValueError):
        return DEFAULT_URL
    return url if is_loopback(host) or not loopback_only else DEFAULT_URL


def _own_token(settings: Settings, where: Where) -> Token:
    # Late: cryptography is slow to import, and who has a token does not need it.
    from pxbox.auth import audience
    from pxbox.auth.keys import KEY_FILE, signing_secret
    from pxbox.auth.tokens import Grant, mint
    from pxbox.model.errors import Unauthenticated
    from pxbox.model.principal import EVERY_WORKER, SCOPES

    if not (settings.secret or settings.secret_file or (settings.data_dir / KEY_FILE).exists()):
        raise CommandFailed(
            f"No token. Set PXBOX_TOKEN (`pxbox token create` makes one where the broker runs), or "
            f"name the broker's data directory by --data-dir; {settings.data_dir.absolute()} has "
            "no key.",
            Exit.AUTH,
        )
    secret = signing_secret(settings)
    grant = Grant(LOCAL_SUB, SCOPES | {EVERY_WORKER}, where.acting_as)

    def fresh() -> str:
        return mint(secret, grant, _TTL, audience(settings))

    try:
        fresh()
    except Unauthenticated as error:
        raise SettingsError(f"Nobody can be called so: {error.detail}.") from None
    return fresh
