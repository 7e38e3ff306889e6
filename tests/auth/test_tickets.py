"""Where a handshake's ticket is found, and what it looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.auth.tickets import new_ticket, ticket_hash, ticket_of
from pxbox.model.errors import Unauthenticated

TICKET = "q3Jx0Vb5YtR8mK2pN7sD4wF6hG9jL1zC5vB8nM0aQeE"


def test_no_two_tickets_are_alike_and_a_hash_gives_none_away() -> None:
    made = {new_ticket() for _ in range(100)}
    assert len(made) == len({ticket_hash(one) for one in made}) == 100
    assert not any(one.encode() in ticket_hash(one) for one in made)


@pytest.mark.parametrize(
    "query", [f"ticket={TICKET}", f"a=1&ticket={TICKET}&b", f"ticket={TICKET}&Ticket=x"]
)
def test_a_ticket_is_found_in_the_query(query: str) -> None:
    assert ticket_of(query, {"Host": "h"}) == TICKET


@pytest.mark.parametrize("query", ["", "a=1", "TICKET=x", "tickets=x", f"a=ticket%3D{TICKET}"])
def test_without_a_ticket_there_is_none(query: str) -> None:
    assert ticket_of(query, {}) is None


@pytest.mark.parametrize(
    "query",
    [
        "ticket", "ticket=", "ticket=x", f"ticket={TICKET}x", f"ticket={TICKET[:-1]}",
        f"ticket={TICKET[:-1]}%00", f"ticket={TICKET[:-1]}%C3%A9", f"ticket={TICKET}&ticket=x",
        f"ticket={TICKET}&ticket={TICKET}", f"ticket={TICKET}&ticket=",
        "&".join(["a=1"] * 101) + f"&ticket={TICKET}",
    ],
)  # fmt: skip
def test_what_cannot_be_one_ticket_is_refused(query: str) -> None:
    with pytest.raises(Unauthenticated):
        ticket_of(query, {})


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer x"},
        {"Authorization": ""},
        {"Sec-WebSocket-Protocol": "pxbox.v1, pxbox.token.x"},
    ],
)
def test_a_ticket_beside_a_token_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        ticket_of(f"ticket={TICKET}", headers)
    assert ticket_of("", headers) is None


@given(st.text(max_size=60))
def test_any_query_has_a_ticket_or_none_or_is_refused(query: str) -> None:
    try:
        found = ticket_of(query, {})
    except Unauthenticated:
        return
    assert found is None or len(found) == len(TICKET)
