"""Who is calling: one answer for both transports (X1)."""

from __future__ import annotations

from pxbox.auth.development import dev_principal
from pxbox.auth.headers import SUBPROTOCOL, Headers, caller_headers
from pxbox.auth.keyring import load_keyring
from pxbox.auth.keys import signing_secret
from pxbox.auth.tokens import Audience, Verifier
from pxbox.model.errors import Unauthenticated
from pxbox.model.principal import Principal
from pxbox.settings import Settings


class Authenticator:
    """Names the caller of a request or of a WebSocket upgrade."""

    def __init__(self, verifier: Verifier, dev: bool = False) -> None:
        self._verifier = verifier
        self._dev = dev

    def authenticate(self, headers: Headers, peer: str) -> Principal:
        """Who sent these headers from `peer`, an IP address without its port.

        A token is verified, in development too; only without one do the development headers
        count. Raises Unauthenticated or TokenExpired.
        """
        named = caller_headers(headers)
        token = named.token()
        if token is not None:
            return self._verifier.verify(token)
        if self._dev:
            return dev_principal(named, peer)
        raise Unauthenticated("send a token: Authorization: Bearer <token>")

    def verify(self, token: str) -> Principal:
        """Who bears a token that came by itself, such as a live connection's next one.

        Raises Unauthenticated or TokenExpired.
        """
        return self._verifier.verify(token)


def authenticator(settings: Settings) -> Authenticator:
    """The Authenticator of a broker with these settings; makes the data directory's secret if it
    is needed and missing. Raises OperatorError if a key cannot be used."""
    keyring = load_keyring(signing_secret(settings), settings.jwt_key_file, settings.jwks_file)
    return Authenticator(Verifier(keyring, audience(settings)), settings.dev)


def audience(settings: Settings) -> Audience:
    """Whom tokens must be for and by here."""
    return Audience(settings.jwt_audience, settings.jwt_issuer)


__all__ = ["SUBPROTOCOL", "Audience", "Authenticator", "audience", "authenticator"]
