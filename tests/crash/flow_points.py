"""The points of a flow's life at which a worker or a broker is ended by SIGKILL.

A process that the launcher has forked with a directory of these wraps its ports: it notes what its
flows do in the file `notes`, and heeds the file `order`, which says at which checkpoint, counted
from the order on, who is to end.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from actors.journal import Commit, Committed, Conflict
from pxbox.flows.context import Context
from pxbox.flows.worker import Worker
from pxbox.model.wire.flows import Checkpointed
from pxbox.postgres.journal import PostgresJournal


class Victim(StrEnum):
    WORKER = "worker"
    BROKER = "broker"


class Moment(StrEnum):
    """When, seen from who ends: a worker has not sent the checkpoint, or has not taken in the
    reply; a broker has not committed it, or has not replied. `TAKEN`: the worker has taken it in.
    """

    BEFORE = "before it is durable"
    DURABLE = "durable, and nobody was told"
    TAKEN = "acknowledged"


class Order(msgspec.Struct, frozen=True):
    """End `victim`, which has this pid, at the checkpoint of this number, the first being 1."""

    victim: Victim
    moment: Moment
    number: int
    pid: int = 0


class Note(msgspec.Struct, frozen=True):
    """`ran`: a step's function is being called; `sent` and `acked`: the steps of a checkpoint;
    `killed`: an order is being carried out at a checkpoint of these."""

    what: str
    flow: str
    keys: list[str]


def order(directory: Path, order: Order) -> None:
    """Have it heeded from now on."""
    written = directory / "order.new"
    written.write_bytes(msgspec.json.encode(order))
    written.rename(directory / "order")


def heeded(directory: Path) -> bool:
    """Has the last order been carried out?"""
    return not (directory / "order").exists()


def notes(directory: Path) -> list[Note]:
    """All that was noted, by all processes, in order."""
    path = directory / "notes"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Note) for line in lines]


class Points:
    """The points of this process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._order: Order | None = None
        self._count = 0

    def arm(self) -> None:
        self._note_steps()
        self._end_worker()
        self._end_broker()

    def _arrive(self) -> Order | None:
        """Another checkpoint comes: the order that is for this one."""
        try:
            found = msgspec.json.decode((self._directory / "order").read_bytes(), type=Order)
        except FileNotFoundError:
            return None
        if found != self._order:
            self._order, self._count = found, 0
        self._count += 1
        return found if found.number == self._count else None

    def _end(self, order: Order, flow: str, keys: list[str]) -> None:
        """Once: whoever comes after goes on."""
        (self._directory / "order").unlink()
        self._note("killed", flow, keys)
        os.kill(order.pid, signal.SIGKILL)

    def _note(self, what: str, flow: str, keys: list[str]) -> None:
        """In one write: what is killed afterwards has written it whole."""
        line = msgspec.json.encode(Note(what, flow, keys)) + b"\n"
        file = os.open(self._directory / "notes", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, line)
        os.close(file)

    def _note_steps(self) -> None:
        step_really = Context.step

        async def step(
            context: Context, name: str, function: Callable[..., Any], *given: Any, **named: Any
        ) -> Any:
            key = f"{name}#{context._progress._occurrences[name] + 1}"
            noting = _before(function, lambda: self._note("ran", context.flow_id, [key]))
            return await step_really(context, name, noting, *given, **named)

        setattr(Context, "step", step)  # noqa: B010 (mypy would have it typed as it was)

    def _end_worker(self) -> None:
        checkpoint_really = Worker.checkpoint

        async def checkpoint(worker: Worker, frame: dict[str, Any]) -> Checkpointed:
            order, flow = self._arrive(), frame["id"]
            keys = [step["key"] for step in frame.get("steps", ())]
            self._note("sent", flow, keys)
            mine = order is not None and order.victim is Victim.WORKER
            if order is not None and mine and order.moment is Moment.BEFORE:
                self._end(order, flow, keys)
            reply = await checkpoint_really(worker, frame)
            if order is not None and mine and order.moment is Moment.DURABLE:
                self._end(order, flow, keys)
            self._note("acked", flow, keys)
            if order is not None and order.moment is Moment.TAKEN:
                # Once the run has taken it in, and before it does anything else.
                asyncio.get_running_loop().call_soon(self._end, order, flow, keys)
            return reply

        setattr(Worker, "checkpoint", checkpoint)  # noqa: B010

    def _end_broker(self) -> None:
        commit_really = PostgresJournal.commit

        async def commit(journal: PostgresJournal, commit: Commit) -> Committed | Conflict:
            flows = [row for row in commit.rows if row.table == "flow" and "fence" in row.expects]
            if not flows:
                return await commit_really(journal, commit)
            order, flow = self._arrive(), flows[0].id
            keys = [str(row.values["key"]) for row in commit.rows if row.table == "flow_step"]
            mine = order is not None and order.victim is Victim.BROKER
            if order is not None and mine and order.moment is Moment.BEFORE:
                self._end(order, flow, keys)
            outcome = await commit_really(journal, commit)
            if order is not None and mine and order.moment is Moment.DURABLE:
                self._end(order, flow, keys)
            return outcome

        setattr(PostgresJournal, "commit", commit)  # noqa: B010


def _before(function: Callable[..., Any], note: Callable[[], None]) -> Callable[..., Any]:
    """The same function, which notes each call of it first."""

    async def call_async(*given: Any, **named: Any) -> Any:
        note()
        return await function(*given, **named)

    def call(*given: Any, **named: Any) -> Any:
        note()
        return function(*given, **named)

    return functools.wraps(function)(call_async if inspect.iscoroutinefunction(function) else call)
