"""What never changes of sessions and of the flows in workers' hands, kept here so that a lease and
a checkpoint need not read it again (F4)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pxbox.model.flow import FlowRef

MOST_FLOWS = 20_000
MOST_SESSIONS = 1_000


@dataclass(frozen=True, slots=True)
class Charge:
    """A flow as it was created. `ref` is how others name it, `requestor` who started it."""

    ref: FlowRef
    requestor: str

    @property
    def external(self) -> bool:
        return self.ref.kind is None


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Newest(Generic[K, V]):
    """As many as `most`, those that were put last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def drop(self, key: K) -> None:
        self._kept.pop(key, None)


class Entrusted:
    """Of one broker. What it lacks is read; nothing is ever wrong in it: a session's kinds and a
    flow's charge stay what they were, and that either is there still is for the guards to say."""

    def __init__(self) -> None:
        self.flows: _Newest[str, Charge] = _Newest(MOST_FLOWS)
        # By session and client.
        self.sessions: _Newest[tuple[str, str], dict[str, int]] = _Newest(MOST_SESSIONS)
