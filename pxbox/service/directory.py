"""Who is who, and who belongs to what: read from Postgres, at most 2 s old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

import trio

from pxbox.domain.access import Caller
from pxbox.model.entity import COLLECTIVE, Entity
from pxbox.model.errors import Forbidden
from pxbox.model.ids import as_uuid
from pxbox.model.principal import Principal
from pxbox.postgres.views import Views

T = TypeVar("T")

FRESH_SECONDS = 2.0
MOST_KEPT = 20_000


class _Reading:
    """One read, and what came of it for all who wait."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.over = trio.Event()
        self.found: list[object] = []
        self.error: Exception | None = None


class _Fresh(Generic[T]):
    """Values by key, each read again once it is older than FRESH_SECONDS."""

    def __init__(self, read: Callable[[str], Awaitable[T]]) -> None:
        self._read = read
        self._kept: dict[str, tuple[float, T]] = {}
        self._reading: dict[str, _Reading] = {}

    async def get(self, key: str) -> T:
        """The value; who asks while it is being read shares that: reconnects come in storms."""
        while True:
            # The age counts from before the read: what it missed is at most this old.
            now = trio.current_time()
            kept = self._kept.get(key)
            if kept is not None and now - kept[0] < FRESH_SECONDS:
                return kept[1]
            reading = self._reading.get(key)
            if reading is None or now - reading.began >= FRESH_SECONDS:
                return await self._lead(key, _Reading(now))
            await reading.over.wait()
            if reading.error is not None:
                raise reading.error
            if reading.found:
                return cast(T, reading.found[0])
            # Whoever was to read for all of them was cancelled.

    async def _lead(self, key: str, reading: _Reading) -> T:
        self._reading[key] = reading
        try:
            value = await self._read(key)
            reading.found = [value]
            if self._reading.get(key) is reading:
                self._keep(key, reading.began, value)
            return value
        except Exception as error:
            reading.error = error
            raise
        finally:
            if self._reading.get(key) is reading:
                del self._reading[key]
            reading.over.set()

    def _keep(self, key: str, began: float, value: T) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = began, value

    async def get_known(self, key: str) -> T:
        """The same, but an absence that is remembered is looked at again."""
        kept = self._kept.get(key)
        if kept is not None and kept[1] is None:
            self.forget(key)
        shared = key in self._reading
        value = await self.get(key)
        if value is None and shared:
            # That read may have begun before there was anything to find.
            self.forget(key)
            value = await self.get(key)
        return value

    def forget(self, key: str) -> None:
        """Read it anew from now on; a read under way may have missed what is new."""
        self._kept.pop(key, None)
        self._reading.pop(key, None)


class Directory:
    """Entities by any address, and memberships."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._by_address: _Fresh[Entity | None] = _Fresh(self._find)
        self._by_name: _Fresh[Entity | None] = _Fresh(self._find_name)
        self._groups: _Fresh[frozenset[str]] = _Fresh(views.groups_of)

    async def lookup(self, address: str) -> Entity | None:
        """The entity with this id, handle, `group:` or `role:` handle, or alias; None: there is
        none. Who was created a moment ago is found. Raises Unavailable."""
        return await self._by_address.get_known(address)

    async def named(self, handle: str) -> Entity | None:
        """The entity with this handle, whatever its kind; None: there is none."""
        entity = await self._by_name.get_known(handle)
        return entity if entity is not None and entity.handle == handle else None

    async def groups_of(self, entity: str) -> frozenset[str]:
        return await self._groups.get(entity)

    async def candidates(self, to: tuple[str, ...]) -> frozenset[str]:
        """Every person and bot that these entities stand for now."""
        found = [await self.lookup(id) for id in to]
        direct = {entity.id for entity in found if entity and entity.kind not in COLLECTIVE}
        groups = [entity.id for entity in found if entity and entity.kind in COLLECTIVE]
        members = await self._views.members_of(groups) if groups else frozenset[str]()
        return members | direct

    async def caller(self, principal: Principal) -> Caller:
        """The principal with the entity it acts as, and that one's groups.

        A token's `entity` names it; without one, it is the entity whose handle is `sub`. Raises
        Forbidden where it names a group or a role.
        """
        # Most who ask are nobody who could be asked: that is remembered too.
        entity = await self._by_address.get(principal.entity or principal.sub)
        if entity is not None and principal.entity is None and entity.handle != principal.sub:
            entity = None
        if entity is not None and entity.kind in COLLECTIVE:
            raise Forbidden(
                f"this token names {entity.address!r}: a {entity.kind} cannot act, its members do; "
                "mint one that names a member"
            )
        groups = await self.groups_of(entity.id) if entity is not None else frozenset[str]()
        return Caller(principal, entity, groups)

    def created(self, entity: Entity) -> None:
        """See this process's own new entities at once."""
        for address in (entity.id, entity.handle, *entity.aliases):
            self._by_address.forget(address)

    def membership_changed(self, member: str) -> None:
        """See this process's own changes at once."""
        self._groups.forget(member)

    async def _find(self, address: str) -> Entity | None:
        id = as_uuid(address)
        if id is not None:
            return await self._views.entity(id)
        prefix, colon, handle = address.partition(":")
        if colon and prefix in COLLECTIVE:
            entity = await self._find_name(handle)
            matches = entity is not None and entity.kind == prefix and entity.handle == handle
            return entity if matches else None
        entity = await self._find_name(address)
        # The bare handle of a group is not its address.
        bare = entity is not None and entity.kind in COLLECTIVE and entity.handle == address
        return None if bare else entity

    async def _find_name(self, name: str) -> Entity | None:
        return (await self._views.entities_by_address([name])).get(name)
