"""`pxbox token link`: make a link that signs a browser in."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from pxbox.auth.links import link_key, link_url, make_link
from pxbox.auth.tokens import Grant
from pxbox.cli.options import with_settings
from pxbox.cli.token import note_unknown, parse_ttl, signing_secret_here
from pxbox.cli.where import own_url
from pxbox.model.errors import Unauthenticated
from pxbox.settings import Settings, SettingsError

DEFAULT_SCOPE = "request respond flow"


@with_settings("data_dir", "secret_file")
def link(
    settings: Settings,
    *,
    entity: Annotated[
        str, Parameter(help="The entity to sign in as, by any address.", metavar="ADDRESS")
    ],
    sub: Annotated[
        str | None,
        Parameter(
            help="Who the bearer is, as asker; by default the entity as given.",
            metavar="ID",
            show_default=False,
        ),
    ] = None,
    scope: Annotated[
        str, Parameter(help="What the bearer may do, separated by spaces.", metavar="SCOPES")
    ] = DEFAULT_SCOPE,
    ttl: Annotated[
        str, Parameter(help="How long it can be used: 30s, 15m, 1h, 7d.", metavar="TIME")
    ] = "15m",
    url: Annotated[
        str | None,
        Parameter(
            help="The address by which browsers reach the broker; by default that of the one with "
            "this data directory.",
            metavar="URL",
            env_var="PXBOX_URL",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Make a link that signs a browser in as an entity, once, and print it alone.

    Whoever opens it first is signed in: give it to nobody else. It is signed with the shared secret
    or the data directory's key.
    """
    grant = Grant(sub or entity, frozenset(scope.split()), entity)
    lifetime = parse_ttl(ttl)
    note_unknown(grant.scopes)
    try:
        made = make_link(link_key(signing_secret_here(settings)), grant, lifetime)
    except Unauthenticated as error:
        raise SettingsError(f"Every broker would refuse it: {error.detail}.") from None
    print(link_url(url or own_url(settings, loopback_only=False), made))
    return 0
