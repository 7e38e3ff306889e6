"""How a run ends: here, and for its flow."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

import pxbox
from pxbox.flows.errors import Parked
from pxbox.model.flow import FlowStatus

_FRAMES_KEPT = 5
_OURS = str(Path(pxbox.__file__).parent) + os.sep


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
    """The error with its notes, and the last frames of where it was raised: of the author's code,
    unless it was raised outside of any."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_OURS)]
    lines = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
    for frame in (theirs or frames)[-_FRAMES_KEPT:]:
        lines += [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}']
        lines += [f"    {frame.line}"] if frame.line else []
    return "\n".join(lines)
