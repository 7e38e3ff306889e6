"""Those who race each other, and those who watch, over brokers that come and go."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import trio
from trio_websocket import HandshakeError

from tests.brokers import Refused, Socket
from tests.crash.load import PAUSE_SECONDS, SCHEMA, SOON_SECONDS, Caller, Lost
from tests.jepsen.history import Command, History, Outcome, Resumed, Saw, View
from tests.jepsen.world import Node

GONE = (HandshakeError, OSError, trio.TooSlowError, Refused)
# How long a watcher stays before it leaves by itself.
STAY_SECONDS = (0.1, 3.0)
# No reply in this time: whoever was asked hangs, and somebody else is asked.
PATIENCE_SECONDS = 6.0
CANCELS = 0.4


@dataclass(slots=True)
class Racer:
    """Makes requests of a group, has both members answer each, and cancels some meanwhile."""

    caller: Caller
    history: History
    name: str
    asker: str
    token: Callable[[str], str]
    stopping: trio.Event

    async def run(self) -> None:
        """Work until it is to stop, then finish what is in hand."""
        while not self.stopping.is_set():
            question = {"to": f"group:desk-{self.name}", "schema": SCHEMA}
            made = await self._insist(self.asker, "createRequest", question)
            if made is None:
                continue
            id = made["id"]
            async with trio.open_nursery() as nursery:
                for number in range(2):
                    nursery.start_soon(self._respond, f"member-{number}-{self.name}", id, number)
                if random.random() < CANCELS:
                    nursery.start_soon(self._insist, self.asker, "cancelRequest", {"id": id})

    async def _respond(self, member: str, id: str, payload: int) -> None:
        if random.random() < 0.5:
            await self._insist(member, "claimRequest", {"id": id})
        await self._insist(member, "postResponse", {"id": id, "payload": payload})

    async def _insist(self, who: str, op: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """Repeat a command until it is decided, and note how; None where it is refused."""
        key, began = uuid4().hex, trio.current_time()
        while True:
            try:
                with trio.fail_after(PATIENCE_SECONDS):
                    reply: dict[str, Any] = await self.caller.call(self.token(who), op, data, key)
            except (Lost, trio.TooSlowError):
                await trio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
            except Refused as refused:
                self._note(Command(who, op, data.get("id", ""), began, trio.current_time(),
                                   Outcome.REFUSED, code=refused.code))  # fmt: skip
                return None
            else:
                subject = data.get("id") or reply["id"]
                self._note(Command(who, op, subject, began, trio.current_time(), Outcome.DONE,
                                   reply))  # fmt: skip
                return reply

    def _note(self, command: Command) -> None:
        self.history.commands.append(command)


@dataclass(slots=True)
class Watcher:
    """Watches channels at a random broker each time, leaves, and resumes from what it has seen."""

    nodes: list[Node]
    token: str
    epoch: str
    views: list[View]
    settled: trio.Event

    async def run(self) -> None:
        """Watch until cancelled; once all is `settled`, stay."""
        while True:
            try:
                node = random.choice(self.nodes)
                async with node.websocket(self.token, SOON_SECONDS) as socket:
                    for view in self.views:
                        await self._resume(socket, view)
                    await self._stay(socket)
            except GONE:
                await trio.sleep(PAUSE_SECONDS)

    async def _resume(self, socket: Socket, view: View) -> None:
        asked = view.seen
        told = await socket.resume(view.channel, asked, self.epoch)
        data = told["data"]
        recovered = data["recovered"]
        after = data["from"] - 1 if recovered else data["to"]
        view.told.append(Resumed(told["epoch"], asked, after, data.get("reason")))
        self._take(socket)

    async def _stay(self, socket: Socket) -> None:
        with trio.move_on_after(random.uniform(*STAY_SECONDS)) as stay:
            if self.settled.is_set():
                stay.deadline = float("inf")
            while not socket.closed.is_set():
                await socket.until(lambda: bool(socket.events), float("inf"))
                self._take(socket)
        self._take(socket)

    def _take(self, socket: Socket) -> None:
        events = socket.events[:]
        socket.events.clear()
        by_channel = {view.channel: view for view in self.views}
        for event in events:
            saw = Saw(event["epoch"], event["seq"], event["data"]["id"])
            by_channel[event["channel"]].told.append(saw)
