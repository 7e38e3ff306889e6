"""What every actor with a row does alike: commit, tell a lost race from a fault, replay a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from actors.journal import (
    Commit,
    Committed,
    Conflict,
    Journal,
    JournalFull,
    JournalUnavailable,
    Key,
)  # fmt: skip
from actors.journal import OutcomeUnknown as CommitUnknown
from pxbox.model.errors import (
    Contended,
    IdempotencyKeyReused,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)  # fmt: skip

# How often a command is decided again on a newer version before it gives up (S2).
ATTEMPTS = 5
# The space of `unique_key` that idempotency keys live in.
IDEMPOTENCY = "idempotency"


@dataclass(frozen=True, slots=True)
class Once:
    """An idempotency key in its scope, and the hash of the body it came with (S7)."""

    key: str
    body_hash: str

    def reservation(self, reply: bytes) -> Key:
        """The key to commit together with what it is for; only committed outcomes are kept."""
        return Key(IDEMPOTENCY, self.key, {"bodyHash": self.body_hash, "reply": reply.decode()})

    def replay(self, held: Mapping[str, object]) -> Raw:
        """The reply that the key's first command got. Raises IdempotencyKeyReused."""
        if held.get("bodyHash") != self.body_hash:
            raise IdempotencyKeyReused(
                "this idempotency key was used with another body; use a new key for a new command"
            )
        return Raw(str(held["reply"]).encode())


class KeyHolders(Protocol):
    """Reads what holds a unique key now; None: it is free."""

    async def key_holder(self, space: str, key: str) -> Mapping[str, object] | None: ...


class Stale(Exception):
    """What was decided on is no longer so: decide again on what is (S2)."""


def contended() -> Contended:
    return Contended("others kept changing this first; nothing was done; try again")


async def load(journal: Journal, table: str, id: str) -> Mapping[str, object] | None:
    """`journal.load`, with its error in the broker's words."""
    try:
        return await journal.load(table, id)
    except JournalUnavailable as error:
        raise Unavailable(str(error)) from None


async def confirm(journal: Journal, table: str, id: str, version: int) -> None:
    """Raise Stale unless `version` is still the stored one (S3)."""
    try:
        holds = await journal.confirm(table, id, version)
    except JournalUnavailable as error:
        raise Unavailable(str(error)) from None
    if not holds:
        raise Stale


async def submit(journal: Journal, commit: Commit) -> Committed | Conflict:
    """Commit, with the journal's errors in the broker's words."""
    try:
        return await journal.commit(commit)
    except JournalFull:
        raise Overloaded("too many commits are waiting; try again in a moment") from None
    except JournalUnavailable as error:
        raise Unavailable(f"{error}; nothing was done; try again shortly") from None
    except CommitUnknown as error:
        raise OutcomeUnknown(
            "the connection to the database broke before its answer came; repeat the command, "
            "which is safe with the same Idempotency-Key"
        ) from error
