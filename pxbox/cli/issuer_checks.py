"""What `pxbox doctor` looks at where tokens come from an issuer with a URL."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from pxbox.cli.check import Check, fine, problem
from pxbox.settings import Settings, without_password


def issuer_checks(settings: Settings) -> Iterator[Check]:
    """Whether the keys of `--jwks-url` can be fetched and used, tried once."""
    if settings.jwks_url is None:
        return
    # Late: only who needs an HTTP client pays for its import.
    from pxbox.auth.issuer import KeysUnavailable, fetch_once

    where = without_password(settings.jwks_url)
    try:
        fetched = trio.run(fetch_once, settings.jwks_url)
    except KeysUnavailable as error:
        yield problem(
            "issuer",
            f"the key set at {where} cannot be used: {error}",
            "See that the issuer runs, and that --jwks-url names its key set. Until it can be "
            "fetched, its tokens are answered by 503.",
        )
        return
    keys = len(fetched.keys)
    yield fine("issuer", f"the key set at {where} has {keys} {'key' if keys == 1 else 'keys'}")
