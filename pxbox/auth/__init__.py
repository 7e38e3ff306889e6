"""Who is calling: one answer for both transports (X1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pxbox.auth.cookies import login_value
from pxbox.auth.development import dev_principal
from pxbox.auth.headers import SUBPROTOCOL, CallerHeaders, Headers, caller_headers
from pxbox.auth.keyring import load_keyring
from pxbox.auth.keys import signing_secret
from pxbox.auth.origins import require_origin, require_own_page
from pxbox.auth.tokens import Audience, UnknownKey, Verifier
from pxbox.model.errors import Unauthenticated, Unavailable
from pxbox.model.principal import Principal
from pxbox.settings import Settings

if TYPE_CHECKING:
    from pxbox.auth.issuer import IssuerKeys


class Authenticator:
    """Names the caller of a request or of a WebSocket upgrade.

    `issuer` are the keys that come from a URL; who makes one with them runs `issuer.run`.
    """

    def __init__(
        self,
        verifier: Verifier,
        dev: bool = False,
        issuer: IssuerKeys | None = None,
        origins: tuple[str, ...] = (),
    ) -> None:
        self.issuer = issuer
        self._verifier = verifier
        self._dev = dev
        self._origins = origins

    async def authenticate(self, headers: Headers, peer: str) -> Principal:
        """Who sent these headers from `peer`, an IP address without its port.

        A token is verified, in development too; only without one do the development headers
        count. Raises Unauthenticated, TokenExpired or Unavailable.
        """
        named = caller_headers(headers)
        token = named.token()
        if token is not None:
            return await self.verify(token)
        if self._dev:
            return dev_principal(named, peer)
        raise Unauthenticated("send a token: Authorization: Bearer <token>")

    async def verify(self, token: str) -> Principal:
        """Who bears a token that came by itself, such as a live connection's next one.

        It waits only where the token names a key that the issuer may have made since its keys were
        fetched. Raises Unauthenticated, TokenExpired, and Unavailable where those keys cannot be
        had now.
        """
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            if self.issuer is None:
                raise
        await self.issuer.look_again()
        try:
            return self._verifier.verify(token)
        except UnknownKey:
            if not self.issuer.failing:
                raise
            raise Unavailable("the keys of the token's issuer cannot be fetched now") from None

    def login(self, headers: Headers, method: str) -> str | None:
        """What the cookie holds of a browser that has signed in, where nothing but it names the
        caller; else None.

        Raises OriginRefused where another origin's page may have caused the call, and
        Unauthenticated for headers that could be read in two ways.
        """
        named = caller_headers(headers)
        value = login_value(named)
        if value is None or named.token() is not None or (self._dev and _says_who(named)):
            return None
        self.require_own_page(headers, method)
        return value

    def require_own_page(self, headers: Headers, method: str) -> None:
        """Raise OriginRefused unless a call by cookie comes from a page that may make it."""
        require_own_page(headers, self._origins, method)

    def require_origin(self, headers: Headers) -> None:
        """Raise OriginRefused for a handshake of a page that may not connect."""
        require_origin(headers, self._origins)


def _says_who(named: CallerHeaders) -> bool:
    """Whether it has the headers of development."""
    return named.one(b"x-client-id") is not None or named.one(b"x-entity-id") is not None


def authenticator(
    settings: Settings, on_failure: Callable[[str], None] = lambda why: None
) -> Authenticator:
    """The Authenticator of a broker with these settings; makes the data directory's secret if it
    is needed and missing. `on_failure` hears why the keys of `--jwks-url` could not be fetched.
    Raises OperatorError if a key cannot be used."""
    keyring = load_keyring(signing_secret(settings), settings.jwt_key_file, settings.jwks_file)
    verifier = Verifier(keyring, audience(settings))
    issuer = None
    if settings.jwks_url is not None:
        # Late: only who needs an HTTP client pays for its import.
        from pxbox.auth.issuer import IssuerKeys

        issuer = IssuerKeys(settings.jwks_url, verifier.replace_key_set, on_failure)
    return Authenticator(verifier, settings.dev, issuer, settings.allow_origin)


def audience(settings: Settings) -> Audience:
    """Whom tokens must be for and by here."""
    return Audience(settings.jwt_audience, settings.jwt_issuer)


__all__ = ["SUBPROTOCOL", "Audience", "Authenticator", "audience", "authenticator"]
