"""JSON Web Tokens (RFC 7519): checked on every call, made by `pxbox token create`."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import jwt
import msgspec

from pxbox.auth.keyring import Keyring, KeySet, hmac_key
from pxbox.model.errors import TokenExpired, Unauthenticated
from pxbox.model.principal import Principal

if TYPE_CHECKING:
    from jwt.types import Options

MAX_TOKEN_BYTES: Final = 8192
LEEWAY_SECONDS: Final = 10
LEEWAY: Final = timedelta(seconds=LEEWAY_SECONDS)
"""How far the issuer's clock may be off: `exp` counts this much later, `nbf` and `iat` earlier."""
CACHE_SIZE: Final = 4096
MAX_NAME: Final = 256
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime can hold
_INVALID: Final = "the token is not valid here"
_EXPIRED: Final = "the token has expired; get a new one"


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None


class UnknownKey(Unauthenticated):
    """The key that the token names is in no key set read so far; a newer one may have it."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a token must have been made for (`aud`) and by (`iss`); None accepts any."""

    audience: str | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new token says about its bearer."""

    sub: str
    scopes: frozenset[str]
    entity: str | None = None


class Verifier:
    """Turns a token into a Principal, or says why not.

    Verified tokens are remembered by their hash, the 4,096 last used ones: a client that polls
    pays for its signature once. Expiry is checked every time.
    """

    def __init__(
        self,
        keyring: Keyring,
        audience: Audience = Audience(),
        clock: Callable[[], float] = time.time,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        self._keyring = keyring
        self._audience = audience
        self._clock = clock
        # Times are left to `_check_times`: the cache needs the same rule without the signature.
        self._options: Options = {
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
            "verify_aud": audience.audience is not None,
        }
        self._cache_size = cache_size
        self._verified: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Who bears this token.

        Raises TokenExpired for one that was valid until its `exp`, Unauthenticated for any other
        that is not valid, UnknownKey among them. None repeats anything of an unverified token.
        """
        if len(token) > MAX_TOKEN_BYTES or (compact := _COMPACT.fullmatch(token)) is None:
            raise Unauthenticated(_INVALID)
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None:
            self._verified.move_to_end(digest)
            self._check_expiry(known[0])
            return known[1]
        claims = self._claims(token, compact[1])
        expiry = _seconds(claims, "exp")
        self._check_times(claims, expiry)
        principal = _principal(claims, expiry, digest.hex()[:16])
        self._remember(digest, expiry, principal)
        return principal

    def replace_key_set(self, keys: KeySet) -> None:
        """Believe these keys of the issuer from now on, and tokens of those before no more."""
        self._keyring = self._keyring.with_key_set(keys)
        self._verified.clear()

    def _claims(self, token: str, head: str) -> dict[str, Any]:
        """What the token says, once its signature and its audience were found to be right."""
        try:
            header = msgspec.json.decode(_unbase64(head), type=_Header)
            key = self._keyring.find(header.alg, header.kid)
            if key is None:
                learnable = self._keyring.could_learn(header.alg, header.kid)
                raise (UnknownKey if learnable else Unauthenticated)(_INVALID)
            return jwt.decode(
                token,
                key.key,
                [key.algorithm],
                self._options,
                audience=self._audience.audience,
                issuer=self._audience.issuer,
            )
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError):
            raise Unauthenticated("the token was made for, or by, somebody else") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated(_INVALID) from None

    def _check_times(self, claims: dict[str, Any], expiry: float) -> None:
        self._check_expiry(expiry)
        for name in ("nbf", "iat"):
            start = _seconds(claims, name) if name in claims else 0
            if self._clock() < start - LEEWAY.total_seconds():
                raise Unauthenticated(f"the token is not valid yet: its `{name}` lies ahead")

    def _check_expiry(self, expiry: float) -> None:
        if self._clock() >= expiry + LEEWAY.total_seconds():
            raise TokenExpired(_EXPIRED)

    def _remember(self, digest: bytes, expiry: float, principal: Principal) -> None:
        self._verified[digest] = (expiry, principal)
        if len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)


def require_current(principal: Principal) -> None:
    """Raise TokenExpired once the token that named this principal counts no more."""
    expiry = principal.expires_at
    if expiry is not None and datetime.now(UTC) >= expiry + LEEWAY:
        raise TokenExpired(_EXPIRED)


def mint(secret: str, grant: Grant, ttl: timedelta, audience: Audience = Audience()) -> str:
    """A token signed with the secret (HS256), valid from now on for `ttl`.

    Raises Unauthenticated if no broker would accept what it grants, OperatorError if the secret
    is none.
    """
    key = hmac_key(secret)
    start = time.time()
    expiry = start + ttl.total_seconds()
    claims: dict[str, Any] = {
        "sub": grant.sub,
        "scope": " ".join(sorted(grant.scopes)),
        "iat": int(start),
        "exp": int(expiry),
    }
    optional = {"entity": grant.entity, "aud": audience.audience, "iss": audience.issuer}
    claims.update({name: value for name, value in optional.items() if value is not None})
    _principal(claims, expiry, "")
    return jwt.encode(claims, secret.encode(), key.algorithm)


def name_or_refuse(value: object, what: str) -> str:
    """`value` if it can name a client or an entity: 1 to 256 characters, no control characters,
    nothing that Postgres cannot hold (S9). Raises Unauthenticated."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or _UNPRINTABLE.search(value):
        raise Unauthenticated(
            f"{what} must be text of 1 to {MAX_NAME} characters without control characters"
        )
    return value


def _principal(claims: dict[str, Any], expiry: float, token_id: str) -> Principal:
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise Unauthenticated("the token's `scope` must be text, its scopes separated by spaces")
    entity = claims.get("entity")
    return Principal(
        sub=name_or_refuse(claims.get("sub"), "the token's `sub`"),
        entity=None if entity is None else name_or_refuse(entity, "the token's `entity`"),
        scopes=frozenset(scope.split()),
        expires_at=datetime.fromtimestamp(expiry, UTC),
        token_id=token_id,
    )


def _seconds(claims: dict[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, 2). Raises Unauthenticated for what is none, or is missing."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise Unauthenticated(f"the token needs an `{name}`: a time, in seconds since 1970")
    if value > _LAST_SECOND:
        raise Unauthenticated(f"the token's `{name}` lies beyond the year 9999")
    return float(value)


def _unbase64(text: str) -> bytes:
    """Raises ValueError (binascii.Error) for what cannot be decoded."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
