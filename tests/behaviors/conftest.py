"""Processes with a relay each, on one log and shared windows, in memory."""

from __future__ import annotations

import pytest
import trio

from tests.behaviors.relayed import CHANNEL, Line, MemoryLog, Process, Shared, Start


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def shared() -> Shared:
    return Shared()


@pytest.fixture
def join(log: MemoryLog, shared: Shared) -> Start:
    """A function that makes a process with a line of its own; its relay does not run yet."""

    def make() -> Process:
        line = Line(shared)
        process = Process(log, line)
        line.on_wake = process.relay.wake
        return process

    return make


@pytest.fixture
def start(join: Start, nursery: trio.Nursery) -> Start:
    """A function that starts a process which watches the channel."""

    def begin() -> Process:
        process = join()
        process.relay.watch(CHANNEL)
        nursery.start_soon(process.relay.run)
        return process

    return begin
