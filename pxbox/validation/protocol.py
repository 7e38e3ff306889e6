"""What the broker and a worker process say to each other: MessagePack in frames over two pipes.

A frame is its length in four bytes, most significant first, then the message. The worker says
Ready, once. The broker sends a job; the worker answers with outcomes, each saying more than the
one before, then Done. If it runs out of time or memory, the last outcome stands.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from pxbox.domain.schema import AdmittedSchema
from pxbox.model.document import Document
from pxbox.model.errors import (
    FieldError,
    MalformedJson,
    NumberOutOfRange,
    PxError,
    TooDeep,
    UnsupportedText,
)
from pxbox.model.schema_errors import SchemaRefused

CPU_SECONDS = 1.0
"""What one job may take. Source: X4. Not by the clock: on a busy machine that would refuse what is
sound, and no other time, though the outcome should be that of the schema."""
MEMORY_BYTES = 256 << 20
"""What jobs may take beside what a worker takes to start. Source: X4."""
HEADER_BYTES = 4
MAX_FRAME_BYTES = 96 << 20
"""The largest payload, five times over: one spelling of a number can be that much longer."""


class Admit(Struct, tag=True, frozen=True):
    """Admit a schema, given as its canonical JSON."""

    schema: bytes


class Check(Struct, tag=True, frozen=True):
    """Check a value against an admitted schema, both given as JSON."""

    schema: bytes
    payload: bytes


class Read(Struct, tag=True, frozen=True):
    """Read a value, given as JSON."""

    payload: bytes


class Ready(Struct, tag=True, frozen=True):
    """The worker has started, and its memory is bounded."""


class Admitted(Struct, tag=True, frozen=True):
    schema: AdmittedSchema


class Refused(Struct, tag=True, frozen=True):
    """The schema, or the value, is refused, with what the error of this code is made of."""

    code: str
    detail: str
    errors: list[FieldError]
    members: dict[str, object]


class Checked(Struct, tag=True, frozen=True):
    """The errors of the value; none if it is valid."""

    errors: list[FieldError]


class WasRead(Struct, tag=True, frozen=True):
    """The value as it is kept."""

    text: bytes
    hash: str


class Done(Struct, tag=True, frozen=True):
    """The job is done. `retiring`: the worker ends after it, having grown."""

    retiring: bool


Job = Admit | Check | Read
Outcome = Admitted | Refused | Checked | WasRead
Message = Ready | Outcome | Done

_JOBS: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
_MESSAGES: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def frame(message: Job | Message) -> bytes:
    """Return the bytes that carry `message`."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def body_bytes(header: bytes) -> int:
    """Return how many bytes follow this header. Raises ValueError: no frame is so large."""
    size = int.from_bytes(header, "big")
    if size > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {size} bytes")
    return size


def read_job(body: bytes) -> Job:
    return _JOBS.decode(body)


def read_message(body: bytes) -> Message:
    return _MESSAGES.decode(body)


def was_read(document: Document) -> WasRead:
    return WasRead(document.text, document.hash)


def refused(refusal: PxError) -> Refused:
    return Refused(refusal.code, refusal.detail, refusal.errors, refusal.members)


def refusal(refused: Refused) -> PxError:
    """Return the error that the worker raised."""
    kind = _REFUSALS[refused.code]
    return kind(refused.detail, errors=refused.errors, **refused.members)


UNREADABLE: tuple[type[PxError], ...] = (MalformedJson, TooDeep, UnsupportedText, NumberOutOfRange)
"""What `decode_json` raises."""
_REFUSALS: dict[str, type[PxError]] = {
    kind.code: kind for kind in (*UNREADABLE, *SchemaRefused.__subclasses__())
}
