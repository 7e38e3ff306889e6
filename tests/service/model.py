"""What must happen to a request, said independently of the broker: the contract's table as a model.

Every method plays one command and returns the error code that it must get; None: it is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CLOSED = ("ANSWERED", "DECLINED", "CANCELLED", "EXPIRED")


@dataclass
class Team:
    """Who belongs to the one group there is."""

    members: set[str]


@dataclass
class ModelRequest:
    id: str
    to: tuple[str, ...]
    claim_required: bool
    deadline: bool
    team: Team
    status: str = "PENDING"
    claimant: str | None = None
    lapsed: str | None = None
    declined: list[str] = field(default_factory=list)
    closed_by: str | None = None
    answer: object = None
    told: list[str] = field(default_factory=lambda: ["created"])

    def addressed(self) -> set[str]:
        """Everybody whom the addressees stand for now."""
        direct = {name for name in self.to if name != "team"}
        return direct | (self.team.members if "team" in self.to else set())

    def sees(self, who: str) -> bool:
        return (who in self.addressed() and who not in self.declined) or self.closed_by == who

    def claim(self, who: str) -> str | None:
        self._settle()
        if not self.sees(who):
            return "not_found"
        if self.status in CLOSED:
            return "wrong_status"
        if self.claimant not in (None, who):
            return "claimed_by_other"
        self._become("CLAIMED", "claimed")
        self.claimant = who
        return None

    def release(self, who: str | None) -> str | None:
        """By who holds the claim, or (None) by somebody who may override."""
        self._settle()
        if who is not None and not self.sees(who):
            return "not_found"
        if self.status != "CLAIMED":
            return "wrong_status"
        if who not in (None, self.claimant):
            return "claimed_by_other"
        self._become("PENDING", "released")
        return None

    def respond(self, who: str, answer: object, valid: bool) -> str | None:
        self._settle()
        if not self.sees(who):
            return "not_found"
        if self.status == "ANSWERED" and (self.closed_by, self.answer) == (who, answer):
            return None
        if self.status in CLOSED:
            return "wrong_status"
        if self.claimant not in (None, who):
            return "claimed_by_other"
        if self.claimant is None and self.claim_required and self.lapsed != who:
            return "claim_required"
        if not valid:
            return "invalid_answer"
        self._close("ANSWERED", who)
        self.answer = answer
        return None

    def decline(self, who: str) -> str | None:
        self._settle()
        if who not in self.addressed():
            return "not_found"
        if who in self.declined and self.status in ("PENDING", "CLAIMED", "DECLINED"):
            return None
        if self.status in CLOSED:
            return "wrong_status"
        alone = len(self.to) == 1
        if self.claimant not in (None, who) and alone:
            return "claimed_by_other"
        self.declined.append(who)
        if not self.addressed() - set(self.declined) or (alone and self.claimant == who):
            self._close("DECLINED", who)
        elif self.claimant == who:
            self._become("PENDING", "declined")
        else:
            self.told.append("declined")
        return None

    def cancel(self, mine: bool) -> str | None:
        self._settle()
        if not mine:
            return "not_found"
        if self.status == "CANCELLED":
            return None
        if self.status in CLOSED:
            return "wrong_status"
        self._close("CANCELLED", "the asker")
        return None

    def lapse(self) -> None:
        """The lease of the claim has ended."""
        lapsed, self.claimant = self.claimant, None
        self._become("PENDING", "released")
        self.lapsed = lapsed

    def expire(self) -> None:
        """The deadline has passed."""
        self._close("EXPIRED", None)

    def _settle(self) -> None:
        """A claimant who left the group loses the claim at the next act."""
        if self.claimant is not None and self.claimant not in self.addressed():
            self._become("PENDING", "released")

    def _become(self, status: str, event: str) -> None:
        self.status, self.claimant, self.lapsed = status, None, None
        self.told.append(event)

    def _close(self, status: str, by: str | None) -> None:
        self._become(status, status.lower())
        self.closed_by = by
