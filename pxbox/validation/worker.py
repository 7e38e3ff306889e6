"""A process that validates, and can be killed for it: `python -m pxbox.validation.worker`.

It reads jobs from standard input and writes replies to standard output, one at a time, until its
input ends. The system bounds its memory, and the CPU time of each job.
"""

from __future__ import annotations

import gc
import resource
import signal
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
from jsonschema_rs import Validator

from pxbox.domain.answer import first_error, list_errors
from pxbox.domain.answer_messages import UNLISTED
from pxbox.domain.dialect import build_validator, draft_of
from pxbox.domain.schema import compile_schema, meets_meta_schema
from pxbox.domain.schema_document import read_schema
from pxbox.model.document import read_document
from pxbox.model.schema_errors import InvalidSchema, SchemaRefused
from pxbox.validation.protocol import (
    CPU_SECONDS,
    HEADER_BYTES,
    MEMORY_BYTES,
    UNREADABLE,
    Admit,
    Admitted,
    Check,
    Checked,
    Done,
    Job,
    Message,
    Outcome,
    Read,
    Ready,
    body_bytes,
    frame,
    read_job,
    refused,
    was_read,
)

_RETIRE_BYTES = 64 << 20
"""Grown by so much, what remains is too little for the next one: the process ends."""
_MAX_VALIDATORS = 16
_SIZES = Path("/proc/self/statm")


def main() -> None:
    """Serve jobs until the input ends, or the process has grown."""
    start_bytes = _size_bytes()
    _bound_memory(start_bytes)
    # Looking for cycles takes longer than decoding, and what is decoded has none.
    gc.disable()
    jobs, replies = sys.stdin.buffer, sys.stdout.buffer
    _send(replies, Ready())
    validators: OrderedDict[bytes, Validator] = OrderedDict()
    while header := jobs.read(HEADER_BYTES):
        job = read_job(jobs.read(body_bytes(header)))
        # By default its signal ends the process, wherever it is, and whoever is still listening.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        for outcome in _outcomes(job, validators):
            _send(replies, outcome)
        signal.setitimer(signal.ITIMER_PROF, 0)
        retiring = _size_bytes() - start_bytes > _RETIRE_BYTES
        _send(replies, Done(retiring))
        if retiring:
            break


def _outcomes(job: Job, validators: OrderedDict[bytes, Validator]) -> Iterator[Outcome]:
    match job:
        case Admit():
            return _admit(job)
        case Check():
            return _check(job, validators)
        case Read():
            return _read(job)


def _read(job: Read) -> Iterator[Outcome]:
    try:
        yield was_read(read_document(job.payload))
    except UNREADABLE as error:
        yield refused(error)


def _admit(job: Admit) -> Iterator[Outcome]:
    """Yield what is known of the schema, each time more of it."""
    document = read_schema(job.schema)
    try:
        if not meets_meta_schema(document):
            yield refused(InvalidSchema("the schema is not valid, in too many ways to list them"))
        compiled = compile_schema(document)
    except SchemaRefused as refusal:
        yield refused(refusal)
    else:
        yield Admitted(compiled.admitted)


def _check(job: Check, validators: OrderedDict[bytes, Validator]) -> Iterator[Outcome]:
    """Yield what is known of the value, each time more of it."""
    validator = _validator(job.schema, validators)
    value = msgspec.json.decode(job.payload)
    if validator.is_valid(value):
        yield Checked([])
        return
    yield Checked([UNLISTED])
    yield Checked([first_error(validator, value)])
    yield Checked(list_errors(validator, value))


def _validator(schema: bytes, validators: OrderedDict[bytes, Validator]) -> Validator:
    validator = validators.pop(schema, None)
    if validator is None:
        document = read_schema(schema)
        # It was admitted before, which is the larger part of the work.
        validator = build_validator(document.value, draft_of(document.value))
    validators[schema] = validator
    while len(validators) > _MAX_VALIDATORS:
        validators.popitem(last=False)
    return validator


def _send(replies: BinaryIO, message: Message) -> None:
    replies.write(frame(message))
    replies.flush()


def _bound_memory(size_bytes: int) -> None:
    """Let the process grow by MEMORY_BYTES; what needs more fails, or ends it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if size_bytes:
        limit = size_bytes + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _size_bytes() -> int:
    """Return the address space in use; 0 where the system does not tell, and only time is bounded.

    Not the peak that getrusage has: that of a child begins with what its parent used.
    """
    if not _SIZES.exists():
        return 0
    return int(_SIZES.read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
