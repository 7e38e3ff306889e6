"""Kinds of flows: their code by name and version, and how old cursors become new ones."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, get_type_hints

from pxbox.client.schemas import Shape, shape_of
from pxbox.flows.errors import InvalidCursor, UnknownVersion
from pxbox.flows.retry import NEVER, Retry

Handler = Callable[..., Awaitable[Any]]


@dataclass(slots=True)
class Cursor:
    """Where a flow is, as a migration sees it: what its author keeps in `ctx.state`, and new names
    for recorded steps and waits.

    `renames` maps the name that is recorded to the one that the code now uses.
    """

    state: dict[str, Any] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)


Migration = Callable[[Cursor], Cursor | None]


@dataclass(frozen=True, slots=True)
class FlowKind:
    """The code of one kind of flow. `retry` is for a handler that raises."""

    name: str
    version: int
    handler: Handler
    retry: Retry
    input: Shape[Any] | None
    migrations: dict[int, tuple[int, Migration]] = field(default_factory=dict)

    def migrated(self, cursor: Cursor, version: int) -> Cursor:
        """The cursor of a flow that was written with `version`, as this code's.

        Raises UnknownVersion or InvalidCursor.
        """
        while version != self.version:
            if version not in self.migrations:
                raise UnknownVersion(
                    f"the code of {self.name!r} has version {self.version} and this flow has "
                    f"version {version}; write @migrate({self.name!r}, {version}, ...) or run "
                    "that version, then retry it"
                )
            version, migrate = self.migrations[version]
            try:
                cursor = migrate(cursor) or cursor
            except Exception as error:
                raise InvalidCursor(
                    f"the migration of {self.name!r} to version {version} fails: {error!r}; mend "
                    "it and retry the flow"
                ) from error
        return cursor


_MIGRATIONS: dict[str, dict[int, tuple[int, Migration]]] = {}


def flow(name: str, *, version: int = 1, retry: Retry = NEVER) -> Callable[[Handler], FlowKind]:
    """Make a handler the code of the flows called `name`.

    The handler takes a Context and at most one input, of whatever type JSON Schema can describe.
    `retry`: how often a run whose handler raised is begun again, from its last checkpoint, before
    the flow fails.
    """
    if version < 1:
        raise ValueError("the versions of a flow start at 1")

    def decorate(handler: Handler) -> FlowKind:
        if not inspect.iscoroutinefunction(handler):
            raise TypeError(f"the handler of flow {name!r} has to be an async function")
        migrations = _MIGRATIONS.setdefault(name, {})
        return FlowKind(name, version, handler, retry, _input_of(handler), migrations)

    return decorate


def migrate(name: str, old: int, new: int) -> Callable[[Migration], Migration]:
    """Make a function the migration of the cursors of flows `name` from `old` to `new`.

    It changes the Cursor it is given, or returns another; raising parks the flow.
    """
    if new <= old:
        raise ValueError("a migration leads to a later version")

    def decorate(migration: Migration) -> Migration:
        _MIGRATIONS.setdefault(name, {})[old] = new, migration
        return migration

    return decorate


def kinds_of(module: ModuleType) -> list[FlowKind]:
    """The flows that a module defines or imports."""
    return [one for one in vars(module).values() if isinstance(one, FlowKind)]


def by_name(kinds: Iterable[FlowKind]) -> dict[str, FlowKind]:
    """Raises ValueError where two have one name."""
    found: dict[str, FlowKind] = {}
    for kind in kinds:
        if found.setdefault(kind.name, kind) is not kind:
            raise ValueError(f"two flows are called {kind.name!r}; one process runs one version")
    return found


def _input_of(handler: Handler) -> Shape[Any] | None:
    parameters = list(inspect.signature(handler).parameters.values())
    if len(parameters) not in (1, 2):
        raise TypeError("the handler of a flow takes a Context and at most one input")
    if len(parameters) == 1:
        return None
    hints = get_type_hints(handler)
    type_ = hints.get(parameters[1].name, Any)
    return shape_of(True) if type_ is Any else shape_of(type_)
