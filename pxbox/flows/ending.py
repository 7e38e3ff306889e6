"""How a run ends: here, and for its flow."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import Enum

import msgspec

from pxbox.flows.errors import Parked
from pxbox.model.flow import FlowStatus

_FRAMES_KEPT = 5


class Ending(Enum):
    """Why a run is over: the flow ended or begins anew, was parked, or is another's."""

    CLOSED = "closed"
    PARKED = "parked"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class End:
    """What the last checkpoint is to say. `restart`: the input that the flow begins anew with."""

    status: FlowStatus
    result: msgspec.Raw | None = None
    error: str | None = None
    parked: Parked | None = None
    restart: bytes | None = None


def shown(error: BaseException) -> str:
    """The error with the last frames of where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_KEPT:]
    where = "".join(traceback.format_list(frames))
    return f"{type(error).__name__}: {error}\n{where}".rstrip()
