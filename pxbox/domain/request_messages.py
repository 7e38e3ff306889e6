"""What somebody may want of a request (commands), and what may have happened to it (events)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pxbox.model.file import FileFacts


@dataclass(frozen=True, slots=True)
class Responder:
    """Who acts: an entity, everything it can be addressed as now (itself, its groups), and the
    client (`sub`) that acts as it."""

    entity: str
    addresses: frozenset[str]
    client: str | None = None


@dataclass(frozen=True, slots=True)
class TakeClaim:
    by: Responder


@dataclass(frozen=True, slots=True)
class Renew:
    """Begin the lease anew, if it is the responder's; nothing else."""

    by: Responder


@dataclass(frozen=True, slots=True)
class Release:
    """`override`: the caller may release what another holds."""

    by: Responder | None
    override: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`answer_hash` tells whether a repeated answer is the same one (S7)."""

    by: Responder
    response_id: str
    answer_hash: str


@dataclass(frozen=True, slots=True)
class Decline:
    """`last`: no other eligible candidate would be left."""

    by: Responder
    reason: str | None
    last: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Snooze:
    """Out of the responder's sight until then; nobody else is concerned."""

    by: Responder
    until: datetime


@dataclass(frozen=True, slots=True)
class Wake:
    by: Responder


@dataclass(frozen=True, slots=True)
class Reassign:
    """Ask `to` instead of all who were asked. `by` is None where `override` alone permits it."""

    by: Responder | None
    override: bool
    actor: str
    to: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Delegate:
    """Have `to` hold the claim, as a candidate beside the others."""

    by: Responder | None
    override: bool
    actor: str
    to: Responder
    reason: str | None


Command = (
    TakeClaim | Renew | Release | Answer | Decline | Cancel | Snooze | Wake | Reassign | Delegate
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Created:
    pass


@dataclass(frozen=True, slots=True)
class Claimed:
    by: str
    expires_at: datetime


class ReleaseCause(StrEnum):
    GIVEN_BACK = "givenBack"
    OVERRIDDEN = "overridden"
    LAPSED = "lapsed"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Released:
    by: str | None
    cause: ReleaseCause


@dataclass(frozen=True, slots=True)
class Answered:
    """`by` is None where the default answer stands because the deadline came."""

    by: str | None
    response_id: str
    answer_hash: str
    files: tuple[FileFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Declined:
    """Resolves the request if `final`; else one candidate of several stepped back."""

    by: str
    reason: str | None
    final: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    pass


@dataclass(frozen=True, slots=True)
class Snoozed:
    by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Woken:
    """The responder has ended the snoozing."""

    by: str


@dataclass(frozen=True, slots=True)
class Reminded:
    """The time until which the responder had snoozed it has come."""

    by: str


@dataclass(frozen=True, slots=True)
class Reassigned:
    by: str
    to: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Delegated:
    """`to` are all who are asked from now on, `holder` among them or a member of one of them."""

    by: str
    holder: str
    to: tuple[str, ...]
    expires_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Escalated:
    """Nobody has answered for so long: `to` are all who are asked from now on."""

    to: tuple[str, ...]


Event = (
    Created | Claimed | Released | Answered | Declined | Cancelled | Expired | Snoozed | Woken
    | Reminded | Reassigned | Delegated | Escalated
)  # fmt: skip
