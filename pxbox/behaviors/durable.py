"""What every actor with a row does alike: commit, tell a lost race from a fault, replay a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

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
    NotFound,
    OutcomeUnknown,
    Overloaded,
    PxError,
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


async def replayed(keys: KeyHolders, once: Once | None) -> Raw | None:
    """The reply that the key has already, if there is a key and it has one."""
    held = None if once is None else await keys.key_holder(IDEMPOTENCY, once.key)
    return None if once is None or held is None else once.replay(held)


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


class Versioned(Protocol):
    @property
    def version(self) -> int: ...


State = TypeVar("State", bound=Versioned)
Done = TypeVar("Done")


class Record(Generic[State]):
    """What an actor remembers of its row; whatever casts doubt on it drops it."""

    def __init__(
        self, journal: Journal, table: str, id: str, decode: Callable[[str], State]
    ) -> None:
        self._journal = journal
        self._table = table
        self._id = id
        self._decode = decode
        self._state: State | None = None
        # Memory is known to be of after the message in hand came in (S3).
        self._fresh = False

    @property
    def held(self) -> State:
        """The state that is decided on; there is none while something is made."""
        assert self._state is not None, "decide() loads it first"
        return self._state

    async def decide(self, turn: Callable[[], Awaitable[Done]], *, creates: bool) -> Done:
        """Take the turn on the row as remembered or read, and again where that was stale (S2).

        Raises NotFound where there is no row and none is made, Contended, Unavailable, and what
        `turn` raises.
        """
        self._fresh = creates
        for _ in range(ATTEMPTS):
            if self._state is None and not creates:
                self._state = await self._load()
                self._fresh = True
            try:
                return await turn()
            except Stale:
                self._state = None
        raise contended()

    async def _load(self) -> State:
        row = await load(self._journal, self._table, self._id)
        if row is None:
            raise NotFound(f"no such {self._table}")
        state = row["state"]
        assert isinstance(state, str)
        return self._decode(state)

    async def commit(self, commit: Commit, after: State | None) -> Committed | Conflict:
        """Make it durable, then remember `after`: until then memory says nothing (S1)."""
        self._state = None
        result = await submit(self._journal, commit)
        if isinstance(result, Committed):
            self._state = after
        return result

    def remember(self, state: State) -> None:
        """A commit was refused for a reason that leaves this the stored state."""
        self._state = state

    async def confirm(self) -> None:
        """Raise Stale unless what is remembered is still what is stored (S3)."""
        if self._state is None or self._fresh:
            return
        try:
            holds = await self._journal.confirm(self._table, self._id, self._state.version)
        except JournalUnavailable as error:
            raise Unavailable(str(error)) from None
        if not holds:
            raise Stale

    async def refuse(self, refusal: PxError, keys: KeyHolders, once: Once | None) -> Raw:
        """Refuse on what is so now (S3); a key that has an outcome gets that instead (S7)."""
        if isinstance(refusal, OutcomeUnknown | Overloaded | Unavailable):
            raise refusal
        await self.confirm()
        reply = await replayed(keys, once)
        if reply is None:
            raise refusal
        return reply
