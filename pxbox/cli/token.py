"""`pxbox token create`: make a token for a caller."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from pxbox.auth import audience
from pxbox.auth.keys import KEY_FILE, signing_secret
from pxbox.auth.tokens import Grant, mint
from pxbox.cli.options import with_settings
from pxbox.model.errors import Unauthenticated
from pxbox.model.principal import SCOPES
from pxbox.settings import Settings, SettingsError

MAX_TTL = timedelta(days=366)
DEFAULT_SCOPE = "request respond flow admin"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@with_settings("data_dir", "secret_file", "jwt_audience", "jwt_issuer")
def create(
    settings: Settings,
    *,
    sub: Annotated[str, Parameter(help="Who the bearer is.", metavar="ID")],
    scope: Annotated[
        str, Parameter(help="What the bearer may do, separated by spaces.", metavar="SCOPES")
    ] = DEFAULT_SCOPE,
    entity: Annotated[
        str | None, Parameter(help="The entity it acts as, by any address.", metavar="ADDRESS")
    ] = None,
    ttl: Annotated[
        str, Parameter(help="How long it is valid: 30s, 15m, 1h, 7d.", metavar="TIME")
    ] = "1h",
) -> int:
    """Make a token, signed with the shared secret or the data directory's key, and print it alone.

    The key is made if there is none yet.
    """
    scopes = frozenset(scope.split())
    grant = Grant(sub, scopes, entity)
    lifetime = parse_ttl(ttl)
    note_unknown(scopes)
    try:
        token = mint(signing_secret_here(settings), grant, lifetime, audience(settings))
    except Unauthenticated as error:
        raise SettingsError(f"Every broker would refuse it: {error.detail}.") from None
    print(token)
    return 0


def parse_ttl(text: str) -> timedelta:
    """A whole number of seconds, minutes, hours or days, up to 366 days. Raises SettingsError."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is not None:
        ttl = timedelta(**{_UNITS[found[2]]: int(found[1])})
        if timedelta(seconds=1) <= ttl <= MAX_TTL:
            return ttl
    raise SettingsError(
        f"--ttl must be a time such as 30s, 15m, 1h or 7d, up to {MAX_TTL.days}d, "
        f"not {text[:40]!r}."
    )


def note_unknown(scopes: frozenset[str]) -> None:
    """Say on standard error which of these scopes open nothing."""
    unknown = sorted(s for s in scopes - SCOPES if not s.startswith("worker:"))
    if unknown:
        print(
            f"pxbox: note: no scope is called {', '.join(map(repr, unknown))}; known are "
            f"{', '.join(sorted(SCOPES))} and worker:<kind>.",
            file=sys.stderr,
        )


def signing_secret_here(settings: Settings) -> str:
    """What signs tokens and links here; says on standard error where it had to be made first."""
    path = settings.data_dir / KEY_FILE
    own = not (settings.secret or settings.secret_file)
    missing = own and not path.exists()
    secret = signing_secret(settings)
    if missing:
        print(
            f"pxbox: note: made a new key, {path.absolute()}; tokens made with it are for brokers "
            "on this data directory only.",
            file=sys.stderr,
        )
    return secret
