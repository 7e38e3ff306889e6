"""Who may do what: scope by relation (schemas/README.md, "Access"; X2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from pxbox.domain.access import (
    Caller,
    may_act_for,
    may_override,
    may_read_answer,
    may_see,
    may_watch_requestor,
    require_scope,
)
from pxbox.model.entity import Entity, EntityKind
from pxbox.model.errors import Forbidden
from pxbox.model.principal import (
    ADMIN,
    AUDIT,
    FLOW,
    OPERATE,
    OVERRIDE,
    REQUEST,
    RESPOND,
    SCOPES,
    Principal,
)
from pxbox.model.request import Claim, Request, Status

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OPEN = Request(
    id="r",
    requestor="asker",
    to=("ada", "team"),
    schema_hash="h",
    claim_ttl=timedelta(minutes=15),
    created_at=NOW,
    updated_at=NOW,
)
CLAIMED = replace(OPEN, status=Status.CLAIMED, claim=Claim("ada", NOW))
ANSWERED = replace(OPEN, status=Status.ANSWERED, closed_by="ada", closed_at=NOW)
CANCELLED = replace(OPEN, status=Status.CANCELLED, closed_by="asker", closed_at=NOW)

# (sub, entity, groups) of a caller, by what it is to the request.
RELATIONS: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "asker": ("asker", None, ()),
    "addressee": ("client", "ada", ()),
    "member": ("client", "bob", ("team",)),
    "stranger": ("client", "eve", ("others",)),
    "nobody": ("client", None, ()),
}


def caller(relation: str, *scopes: str) -> Caller:
    sub, entity, groups = RELATIONS[relation]
    return Caller(
        Principal(sub, None, frozenset(scopes), None, "token"),
        Entity(entity, EntityKind.USER, entity, NOW, NOW) if entity else None,
        frozenset(groups),
    )


# relation -> the scope by which it sees the request, and by which it reads its answer.
SEES = {
    "asker": REQUEST,
    "addressee": RESPOND,
    "member": RESPOND,
    "stranger": None,
    "nobody": None,
}
READS = {"asker": REQUEST, "addressee": RESPOND, "member": None, "stranger": None, "nobody": None}


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("scope", [None, *sorted(SCOPES)])
def test_a_request_is_seen_by_scope_and_relation(relation: str, scope: str | None) -> None:
    who = caller(relation, *([scope] if scope else []))
    expected = scope == ADMIN or (scope is not None and scope == SEES[relation])
    for request in (OPEN, CLAIMED, ANSWERED, CANCELLED):
        assert may_see(who, request) == expected


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("scope", [None, *sorted(SCOPES)])
def test_an_answer_is_read_by_the_asker_and_by_who_gave_it(
    relation: str, scope: str | None
) -> None:
    who = caller(relation, *([scope] if scope else []))
    expected = scope == ADMIN or (scope is not None and scope == READS[relation])
    assert may_read_answer(who, ANSWERED) == expected


def test_scopes_do_not_lend_one_another_their_relation() -> None:
    """Who asks under `respond`, or answers under `request`, has no part in it."""
    every_other = sorted(SCOPES - {ADMIN, REQUEST, RESPOND})
    assert not may_see(caller("asker", RESPOND, *every_other), OPEN)
    assert not may_see(caller("addressee", REQUEST, *every_other), OPEN)
    assert not may_see(caller("stranger", REQUEST, RESPOND, *every_other), OPEN)


@pytest.mark.parametrize("relation", ["addressee", "member"])
def test_who_stepped_back_sees_it_no_more_unless_they_closed_it(relation: str) -> None:
    who = caller(relation, RESPOND)
    assert who.entity is not None
    declined = replace(OPEN, declined=(who.entity.id,))
    assert not may_see(who, declined)
    assert not may_read_answer(who, replace(ANSWERED, declined=(who.entity.id,), closed_by="cy"))
    final = replace(declined, status=Status.DECLINED, closed_by=who.entity.id)
    assert may_see(who, final)


def test_who_answered_and_left_the_group_still_sees_what_they_gave() -> None:
    left = Caller(
        Principal("client", None, frozenset({RESPOND}), None, "token"),
        Entity("bob", EntityKind.USER, "bob", NOW, NOW),
        frozenset(),
    )
    assert not may_see(left, OPEN)
    answered = replace(ANSWERED, closed_by="bob")
    assert may_see(left, answered)
    assert may_read_answer(left, answered)


@pytest.mark.parametrize("scope", [None, *sorted(SCOPES)])
def test_a_clients_channel_is_its_own_and_the_admins(scope: str | None) -> None:
    who = caller("asker", *([scope] if scope else []))
    assert may_watch_requestor(who, "asker") == (scope in (REQUEST, ADMIN))
    assert may_watch_requestor(who, "another") == (scope == ADMIN)


@pytest.mark.parametrize("scope", [None, *sorted(SCOPES)])
@pytest.mark.parametrize(
    ("relation", "entity", "related"),
    [
        ("addressee", "ada", True),
        ("member", "bob", True),
        ("member", "team", True),
        ("member", "ada", False),
        ("stranger", "team", False),
        ("nobody", "ada", False),
    ],
)
def test_an_entitys_lists_are_for_itself_its_members_and_the_admin(
    relation: str, entity: str, related: bool, scope: str | None
) -> None:
    who = caller(relation, *([scope] if scope else []))
    assert may_act_for(who, entity) == (scope == ADMIN or (scope == RESPOND and related))


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_only_override_overrides(scope: str) -> None:
    assert may_override(caller("stranger", scope)) == (scope == OVERRIDE)


@pytest.mark.parametrize("scope", sorted(SCOPES))
def test_an_operation_admits_any_one_of_its_scopes(scope: str) -> None:
    principal = caller("nobody", scope).principal
    require_scope(principal, ())
    require_scope(principal, (scope, "another"))
    others = tuple(sorted(SCOPES - {scope}))
    with pytest.raises(Forbidden) as refusal:
        require_scope(principal, others)
    assert refusal.value.members == {"scopes": list(others)}


def test_every_scope_of_the_contract_is_known() -> None:
    assert {ADMIN, AUDIT, FLOW, OPERATE, OVERRIDE, REQUEST, RESPOND} == SCOPES


def test_who_acts_as_no_entity_cannot_answer() -> None:
    with pytest.raises(Forbidden):
        caller("nobody", RESPOND).responder()
    responder = caller("member", RESPOND).responder()
    assert (responder.entity, responder.addresses) == ("bob", frozenset({"bob", "team"}))
