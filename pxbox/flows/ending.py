"""How a run ends: here, and for its flow."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import anyio
import msgspec

import pxbox
from pxbox.flows.errors import Parked
from pxbox.model.flow import FlowStatus

_FRAMES_KEPT = 5
# Between the author's flow and the author's function.
_PACKAGES = Path(anyio.__file__).parent.parent
_NOT_THEIRS = tuple(
    str(folder) + os.sep
    for folder in (
        Path(pxbox.__file__).parent,
        Path(asyncio.__file__).parent,
        *(_PACKAGES / name for name in ("anyio", "trio", "outcome")),
    )
)


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
    where = raised_at(error) or _drawn(traceback.extract_tb(error.__traceback__))
    notes = getattr(error, "__notes__", ())
    return "\n".join([f"{type(error).__name__}: {error}", *notes, *where])


def raised_at(error: BaseException) -> list[str]:
    """The last frames of the author's code, in lines as a traceback has them."""
    frames = traceback.extract_tb(error.__traceback__)
    return _drawn([frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)])


def _drawn(frames: Sequence[traceback.FrameSummary]) -> list[str]:
    lines = []
    for frame in frames[-_FRAMES_KEPT:]:
        lines += [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}']
        lines += [f"    {frame.line}"] if frame.line else []
    return lines
