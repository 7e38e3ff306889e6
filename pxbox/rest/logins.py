"""Signing in and out: the calls that make, show, renew and end the cookie of a browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pxbox.auth import Authenticator
from pxbox.auth.cookies import login_cookie, login_value, no_cookie
from pxbox.auth.headers import Headers, caller_headers
from pxbox.auth.links import read_link
from pxbox.model import wire
from pxbox.model.errors import FieldError, InvalidRequest, Unauthenticated
from pxbox.rest.call import RestCall, RestReply, read_input, read_query, reply_json
from pxbox.service import logins
from pxbox.service.core import Parts
from pxbox.service.logins import SignedIn


@dataclass(frozen=True, slots=True)
class Door:
    """What signing in works with; `link_key` is what links are signed with."""

    parts: Parts
    authenticator: Authenticator
    link_key: bytes


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser's call, its headers as they were sent, and the address that it came from."""

    headers: Headers
    peer: str
    call: RestCall


class _Nothing(wire.Input):
    """These calls take nothing but the cookie."""


async def show_login(door: Door, visit: Visit) -> RestReply:
    """Who has signed in. Nobody is no error: a page that opens has to ask."""
    read_query(visit.call, _Nothing)
    value = door.authenticator.login(visit.headers, "GET")
    return _reply(await logins.show(door.parts, value))


async def sign_in(door: Door, visit: Visit) -> RestReply:
    """Sign in by a link or a token in the body, or else by what names any caller."""
    door.authenticator.require_own_page(visit.headers, "POST")
    made = await _sign_in(door, visit, read_input(visit.call, wire.SignIn))
    await _forget(door, visit)
    cookie = login_cookie(caller_headers(visit.headers), made.value, made.login.expires_at)
    return _reply(await logins.describe(door.parts, made.login), cookie)


async def renew_login(door: Door, visit: Visit) -> RestReply:
    """Put the login's expiry off."""
    read_input(visit.call, _Nothing)
    value = door.authenticator.login(visit.headers, "POST")
    if value is None:
        raise Unauthenticated("only who has signed in, by a cookie, can renew that")
    login = await logins.renew(door.parts, value)
    cookie = login_cookie(caller_headers(visit.headers), value, login.expires_at)
    return _reply(await logins.describe(door.parts, login), cookie)


async def sign_out(door: Door, visit: Visit) -> RestReply:
    """End the login, if there is one."""
    door.authenticator.require_own_page(visit.headers, "DELETE")
    read_input(visit.call, _Nothing)
    await _forget(door, visit)
    cookie = no_cookie(caller_headers(visit.headers))
    return RestReply(204, b"", {"cache-control": "no-store", "set-cookie": cookie})


Serve = Callable[[Door, Visit], Awaitable[RestReply]]
LOGIN_ROUTES: tuple[tuple[str, str, str, Serve], ...] = (
    ("GET", "/v1/session", "getLogin", show_login),
    ("POST", "/v1/session", "signIn", sign_in),
    ("DELETE", "/v1/session", "signOut", sign_out),
    ("POST", "/v1/session/renew", "renewLogin", renew_login),
)
"""Method, path, name, and what serves it. They ask for no token; who acts by the cookie is judged
by each itself."""


async def _sign_in(door: Door, visit: Visit, input: wire.SignIn) -> SignedIn:
    if input.link is not None and input.token is not None:
        why = "give a link or a token"
        raise InvalidRequest(f"{why}, not both", errors=[FieldError("/link", why, "oneOf")])
    if input.link is not None:
        return await logins.sign_in_by_link(door.parts, read_link(door.link_key, input.link))
    if input.token is not None:
        principal = await door.authenticator.verify(input.token)
    else:
        principal = await door.authenticator.authenticate(visit.headers, visit.peer)
    return await logins.sign_in(door.parts, principal)


async def _forget(door: Door, visit: Visit) -> None:
    """End the login that this browser had before."""
    value = login_value(caller_headers(visit.headers))
    if value is not None:
        await logins.sign_out(door.parts, value)


def _reply(login: wire.Login, cookie: str | None = None) -> RestReply:
    headers = {"cache-control": "no-store", **({"set-cookie": cookie} if cookie else {})}
    return reply_json(200, login, headers)
