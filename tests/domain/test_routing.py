"""Which event goes to which channels, and what it carries (E9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pxbox.domain import request as domain
from pxbox.domain.routing import (
    MOST_BYTES,
    MembershipData,
    channels_of,
    entity_channel,
    event_type,
    list_row,
    membership_event,
    request_channel,
    request_event,
    requestor_channel,
)
from pxbox.model import wire
from pxbox.model.ids import new_ulid
from pxbox.model.request import Claim, Request, Status
from tests.contract.documents import read, validator

NOW = datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
ADA, TEAM = "0b9c2a52-7f0e-4a45-9a3e-5a0f2d1c7b11", "5d1f7c0a-3c46-4b1c-8d6b-0f2f6f0f9e22"
SECRETS = ("the answer", "the prefill", "the reason")

REQUEST = Request(
    id=new_ulid(),
    requestor="asker",
    to=(ADA, TEAM),
    schema_hash="a" * 64,
    claim_ttl=timedelta(minutes=15),
    created_at=NOW,
    updated_at=NOW,
    version=3,
    title="Where?",
    deadline_at=NOW + timedelta(days=1),
)

EVENTS: list[tuple[domain.Event, str, str | None, Status]] = [
    (domain.Created(), "request.created", None, Status.PENDING),
    (domain.Claimed(ADA, NOW), "request.claimed", ADA, Status.CLAIMED),
    (
        domain.Released(ADA, domain.ReleaseCause.GIVEN_BACK),
        "request.released",
        ADA,
        Status.PENDING,
    ),
    (domain.Released(None, domain.ReleaseCause.LAPSED), "request.released", None, Status.PENDING),
    (domain.Answered(ADA, new_ulid(), "hash"), "request.answered", ADA, Status.ANSWERED),
    (domain.Declined(ADA, SECRETS[2], final=True), "request.declined", ADA, Status.DECLINED),
    (domain.Declined(ADA, SECRETS[2], final=False), "request.declined", ADA, Status.PENDING),
    (domain.Cancelled("asker", SECRETS[2]), "request.cancelled", "asker", Status.CANCELLED),
    (domain.Expired(), "request.expired", None, Status.EXPIRED),
]


def carried(data: bytes) -> dict[str, Any]:
    """The event as a client reads it, held to the contract."""
    event: dict[str, Any] = msgspec.json.decode(data)
    validator("Event").validate(event)
    return event


@pytest.mark.parametrize(("event", "type_", "actor", "status"), EVENTS)
def test_a_transition_is_told_by_its_type_and_actor(
    event: domain.Event, type_: str, actor: str | None, status: Status
) -> None:
    assert event_type(event) == (type_, actor)
    after = domain.evolve(REQUEST, event, NOW)
    event_id, data = request_event(after, type_, actor)
    told = carried(data)
    assert told["id"] == event_id == f"{REQUEST.id}.3.0"
    assert (told["type"], told["status"], told["actor"]) == (type_, status, actor)
    assert (told["version"], told["at"]) == (3, "2030-01-01T12:30:15.123456Z")
    assert (told["requestId"], told["to"], told["title"]) == (REQUEST.id, [ADA, TEAM], "Where?")
    assert not any(secret in data.decode() for secret in SECRETS)


@pytest.mark.parametrize("type_", ["request.attention", "request.deadline_near"])
def test_a_signal_of_time_says_how_late_it_comes(type_: str) -> None:
    _, data = request_event(REQUEST, type_, None, timedelta(seconds=2, microseconds=345_678))
    assert carried(data)["lateBy"] == 2.346
    assert "lateBy" not in carried(request_event(REQUEST, type_, None)[1])


def test_an_event_carries_nothing_but_what_a_list_row_shows() -> None:
    shown = {field.encode_name for field in msgspec.structs.fields(wire.RequestSummary)}
    claimed = replace(REQUEST, claim=Claim(ADA, NOW), status=Status.CLAIMED)
    told = carried(request_event(claimed, "request.claimed", ADA)[1])
    assert set(told) - shown == {"type", "requestId", "at", "actor"}
    assert told["claim"] == {"by": ADA, "expiresAt": "2030-01-01T12:30:15.123456Z"}


def test_a_request_is_told_of_on_its_own_channel_its_askers_and_each_addressees() -> None:
    mine = (f"request:{REQUEST.id}", "requestor:asker", f"entity:{ADA}", f"entity:{TEAM}")
    assert channels_of(REQUEST) == mine
    other = str(uuid4())
    assert channels_of(REQUEST, other) == (*mine, f"entity:{other}")
    assert channels_of(REQUEST, ADA, None) == mine
    assert channels_of(replace(REQUEST, to=(ADA,)), ADA) == mine[:3]


def test_channels_are_named_by_what_they_tell_of() -> None:
    assert request_channel("r") == "request:r"
    assert requestor_channel("s") == "requestor:s"
    assert entity_channel("e") == "entity:e"


WIDE = "\U0001d54f"


@pytest.mark.parametrize("title", ["\x01" * 200, WIDE * 200, '"' * 200, "a" * 200, None])
@pytest.mark.parametrize("sub", [WIDE * 256, '"' * 256, "s"])
def test_no_event_is_larger_than_the_contract_says(title: str | None, sub: str) -> None:
    limit = read("limits.json")["limits"]
    assert limit["eventBytes"]["value"] == MOST_BYTES
    largest = replace(
        REQUEST,
        requestor=sub,
        to=tuple(str(uuid4()) for _ in range(limit["addressees"]["value"])),
        title=title,
        version=2**63 - 1,
        attention_at=NOW,
        status=Status.CANCELLED,
        claim=Claim(ADA, NOW),
    )
    _, data = request_event(largest, "request.cancelled", sub, timedelta(days=9999))
    assert len(data) <= MOST_BYTES
    told = msgspec.json.decode(data)
    assert (told["requestor"], tuple(told["to"])) == (sub, largest.to)
    if title is None:
        assert told["title"] is None
    else:
        assert title.startswith(told["title"])
        assert len(told["title"]) == 200 or len(data) > MOST_BYTES - 12


@settings(deadline=None)
@given(st.text(max_size=200), st.text(min_size=1, max_size=256), st.integers(1, 32))
def test_what_fits_is_carried_whole(title: str, sub: str, addressees: int) -> None:
    request = replace(
        REQUEST, title=title, requestor=sub, to=tuple(str(uuid4()) for _ in range(addressees))
    )
    _, data = request_event(request, "request.created", sub)
    assert len(data) <= MOST_BYTES
    told = msgspec.json.decode(data)
    assert title.startswith(told["title"])
    if len(msgspec.json.encode([title, sub, sub])) + 39 * addressees < MOST_BYTES - 600:
        assert told["title"] == title


def test_a_membership_is_told_with_its_group_and_its_member() -> None:
    event = MembershipData(f"{TEAM}.2.0", "membership.added", ADA, TEAM, 2, NOW, "admin")
    told = carried(membership_event(event))
    assert (told["entityId"], told["groupId"], told["actor"]) == (ADA, TEAM, "admin")


def test_a_list_row_is_what_the_contract_says() -> None:
    claimed = replace(REQUEST, claim=Claim(ADA, NOW), status=Status.CLAIMED)
    row = wire.RequestSummary(**list_row(claimed))
    validator("RequestSummary").validate(msgspec.json.decode(msgspec.json.encode(row)))
    assert row.claim_ttl == 900
