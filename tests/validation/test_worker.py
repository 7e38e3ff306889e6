"""A worker process by itself: its protocol, and that it never outlives whoever started it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from pxbox.domain.schema import admit
from pxbox.model.schema_errors import SchemaRefused
from pxbox.validation.protocol import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    Admit,
    Admitted,
    Check,
    Checked,
    Done,
    Message,
    Ready,
    Refused,
    body_bytes,
    frame,
    read_message,
    refusal,
    refused,
)

COMMAND = [sys.executable, "-m", "pxbox.validation.worker"]


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert receive(process) == Ready()
        yield process
        process.kill()


def send(process: subprocess.Popen[bytes], job: Admit | Check) -> None:
    assert process.stdin is not None
    process.stdin.write(frame(job))
    process.stdin.flush()


def receive(process: subprocess.Popen[bytes]) -> Message:
    assert process.stdout is not None
    size = body_bytes(process.stdout.read(HEADER_BYTES))
    return read_message(process.stdout.read(size))


def replies(process: subprocess.Popen[bytes], job: Admit | Check) -> list[Message]:
    send(process, job)
    received = [receive(process)]
    while not isinstance(received[-1], Done):
        received.append(receive(process))
    return received


def test_each_outcome_says_more_than_the_one_before(worker: subprocess.Popen[bytes]) -> None:
    schema = admit({"items": {"type": "string"}}).canonical
    verdict, first, all_of_them, done = replies(worker, Check(schema, b"[1,2]"))
    assert isinstance(verdict, Checked)
    assert [error.pointer for error in verdict.errors] == [""]
    assert isinstance(first, Checked)
    assert [error.pointer for error in first.errors] == ["/0"]
    assert isinstance(all_of_them, Checked)
    assert [error.pointer for error in all_of_them.errors] == ["/0", "/1"]
    assert done == Done(retiring=False)


def test_invalid_schema_is_refused_before_it_is_explained(
    worker: subprocess.Popen[bytes],
) -> None:
    refusal, explained, _ = replies(worker, Admit(b'{"type":"text"}'))
    assert isinstance(refusal, Refused)
    assert isinstance(explained, Refused)
    assert refusal.code == explained.code == "invalid_schema"
    assert refusal.errors == []
    assert [error.pointer for error in explained.errors] == ["/type"]


def test_one_worker_serves_many_schemas(worker: subprocess.Popen[bytes]) -> None:
    for number in range(40):
        schema = admit({"const": number})
        assert replies(worker, Admit(schema.canonical))[0] == Admitted(schema)
        payload = msgspec.json.encode(number)
        assert replies(worker, Check(schema.canonical, payload))[0] == Checked([])


def test_worker_says_that_it_has_grown_and_ends(worker: subprocess.Popen[bytes]) -> None:
    done: Message = Done(retiring=False)
    for number in range(16):
        if done == Done(retiring=False):
            schema = {"title": str(number), "pattern": "^\\p{L}{1,150}$"}
            *_, done = replies(worker, Check(msgspec.json.encode(schema), b"5"))
    assert done == Done(retiring=True)
    assert worker.wait(timeout=30) == 0


def test_worker_ends_where_it_needs_more_memory_than_it_has(
    worker: subprocess.Popen[bytes],
) -> None:
    schema = admit({"items": {"required": [f"p{i}" for i in range(3_000)]}}).canonical
    send(worker, Check(schema, msgspec.json.encode([{}] * 300_000)))
    verdict, first = receive(worker), receive(worker)
    assert isinstance(verdict, Checked)
    assert isinstance(first, Checked)
    assert [error.pointer for error in first.errors] == ["/0"]
    assert worker.wait(timeout=60) not in (0, -signal.SIGPROF)


def test_worker_ends_with_its_input(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(timeout=30) == 0


def test_worker_ends_where_it_needs_more_time_than_it_has(worker: subprocess.Popen[bytes]) -> None:
    schema = admit({"pattern": "[ab]*a[ab]{1000}c"}).canonical
    text = "".join("ab"[i * i % 7 % 2] for i in range(4_000_000))
    send(worker, Check(schema, msgspec.json.encode(text)))
    assert worker.wait(timeout=60) == -signal.SIGPROF


def test_frame_of_no_such_size_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="frame"):
        body_bytes((MAX_FRAME_BYTES + 1).to_bytes(HEADER_BYTES, "big"))


@pytest.mark.parametrize("kind", SchemaRefused.__subclasses__())
def test_every_refusal_survives_the_way(kind: type[SchemaRefused]) -> None:
    sent = kind("no", limit=5, supported=["a"])
    got = refusal(refused(sent))
    assert type(got) is kind
    assert (got.detail, got.members, got.errors) == (sent.detail, sent.members, sent.errors)
