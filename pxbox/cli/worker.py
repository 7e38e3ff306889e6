"""`pxbox worker`: run flows."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import anyio
import msgspec
from cyclopts import Parameter

from pxbox.cli.calling import failure
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.flow_worker import PARENT
from pxbox.cli.terminal import note
from pxbox.cli.where import NOWHERE, Where, find
from pxbox.client import AsyncPxBox
from pxbox.client.errors import PxBoxError
from pxbox.client.link import Token
from pxbox.flows.keeper import Keeper, strikes_of
from pxbox.flows.kinds import FlowKind, kinds_of
from pxbox.flows.worker import RESIDENT, Worker

_STRIKES = "PXBOX_WORKER_STRIKES"
_LOOK_SECONDS = 1.0


def worker(
    *flows: Annotated[str, Parameter(metavar="MODULE[:NAME]")],
    resident: int = RESIDENT,
    loop: Literal["asyncio", "trio"] = "asyncio",
    where: Where = NOWHERE,
) -> int:
    """Run flows of these kinds until Ctrl-C or SIGTERM, then hand back what is in hand.

    The token needs the scope worker:KIND for each kind.

    Parameters
    ----------
    flows
        A module that defines flows, or one of them by its name in the module.
    resident
        How many flows stay in memory while they wait; the others are replayed when they go on.
    loop
        What the flows' code is written for.
    """
    if not flows:
        raise CommandFailed("name a module that defines flows", Exit.WRONG_CALL)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.path.insert(0, "")
    kinds = [kind for name in flows for kind in load(name)]
    url, token = find(where)
    note(f"Running {', '.join(f'{kind.name} v{kind.version}' for kind in kinds)} for {url}.")
    options = {"loop_factory": asyncio.SelectorEventLoop} if loop == "asyncio" else {}
    with suppress(KeyboardInterrupt):
        refused = anyio.run(
            _serve, url, token, kinds, resident, backend=loop, backend_options=options
        )
        if refused is not None:
            raise failure(refused, where)
    return Exit.DONE


def load(name: str) -> list[FlowKind]:
    """The flows that `module[:name]` means. Raises CommandFailed."""
    module_name, _, one = name.partition(":")
    if module_name.endswith(".py"):
        named = ".".join(Path(module_name).with_suffix("").parts).lstrip("./")
        raise CommandFailed(
            f"{module_name} is a file; name its module as an import does, such as {named}",
            Exit.WRONG_CALL,
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise CommandFailed(f"{module_name} cannot be imported: {error}", Exit.WRONG_CALL) from None
    kinds = kinds_of(module)
    if one:
        kinds = [kind for kind in kinds if getattr(module, one, None) is kind]
    if not kinds:
        raise CommandFailed(f"{name} has no flow: use @flow on its functions", Exit.WRONG_CALL)
    return kinds


async def _serve(url: str, token: Token, kinds: list[FlowKind], resident: int) -> PxBoxError | None:
    """Run them until told to end, or until the broker refuses them for good: how it does."""
    refused: PxBoxError | None = None
    async with AsyncPxBox(url, token) as px:
        worker = Worker(px, kinds, resident=resident)
        strikes = strikes_of(os.environ.get(_STRIKES, "{}"))
        keeper = Keeper(url, token, worker, strikes, _begin_again)
        keeper.start()
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_until_told, group.cancel_scope)
                if parent := os.environ.get(PARENT):
                    group.start_soon(_until_alone, int(parent), group.cancel_scope)
                try:
                    await worker.run()
                except PxBoxError as error:
                    refused = error
                    group.cancel_scope.cancel()
        finally:
            keeper.stop()
    return refused


async def _until_told(scope: anyio.CancelScope) -> None:
    """End the worker at SIGTERM or SIGINT; at the second one it ends at once."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as told:
        async for _ in told:
            break
    scope.cancel()


async def _until_alone(parent: int, scope: anyio.CancelScope) -> None:
    """End the worker with the broker that has started it, however that ended."""
    while os.getppid() == parent:
        await anyio.sleep(_LOOK_SECONDS)
    scope.cancel()


def _begin_again(strikes: dict[str, int]) -> None:
    """Replace this process by a new one of the same command."""
    os.environ[_STRIKES] = msgspec.json.encode(strikes).decode()
    os.execv(sys.executable, [sys.executable, "-m", "pxbox", *sys.argv[1:]])  # noqa: S606
