"""What is remembered of entities and groups: read once for all who ask at once, 2 s old at most."""

from __future__ import annotations

import trio
import trio.testing

from pxbox.service.directory import FRESH_SECONDS, _Fresh


class Shelf:
    """Values; a read takes a second and sees what was so when it began."""

    def __init__(self) -> None:
        self.values: dict[str, str | None] = {"a": "first"}
        self.reads: list[str] = []
        self.up = True
        self.fresh: _Fresh[str | None] = _Fresh(self._read)
        self.told: list[str | None] = []

    async def _read(self, key: str) -> str | None:
        self.reads.append(key)
        seen = self.values.get(key)
        await trio.sleep(1)
        if not self.up:
            raise ConnectionError("away")
        return seen

    async def ask(self) -> None:
        try:
            self.told.append(await self.fresh.get("a"))
        except ConnectionError as error:
            self.told.append(str(error))


async def test_a_storm_is_one_read(autojump_clock: trio.testing.MockClock) -> None:
    shelf = Shelf()
    async with trio.open_nursery() as nursery:
        for _ in range(1_000):
            nursery.start_soon(shelf.ask)
    assert shelf.told == ["first"] * 1_000
    assert shelf.reads == ["a"]
    await trio.sleep(FRESH_SECONDS)
    await shelf.ask()
    assert shelf.reads == ["a", "a"]


async def test_what_changes_here_is_seen_though_a_read_is_under_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shelf = Shelf()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shelf.ask)
        await trio.sleep(0.5)
        shelf.values["a"] = "second"
        shelf.fresh.forget("a")
        await shelf.ask()
    await shelf.ask()
    assert shelf.told == ["first", "second", "second"]
    assert shelf.reads == ["a", "a"]


async def test_who_was_made_while_a_read_is_under_way_is_found(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """By another process, so that nobody here is told to forget."""
    shelf = Shelf()
    shelf.values["a"] = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(shelf.ask)
        await trio.sleep(0.5)
        shelf.values["a"] = "made"
        assert await shelf.fresh.get_known("a") == "made"
    assert await shelf.fresh.get_known("a") == "made"


async def test_a_refusal_is_told_to_all_who_wait_and_not_remembered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shelf = Shelf()
    shelf.up = False
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(shelf.ask)
    assert shelf.told == ["away"] * 3
    assert shelf.reads == ["a"]
    shelf.up = True
    await shelf.ask()
    assert shelf.told[-1] == "first"


async def test_who_leaves_while_it_reads_takes_nobody_along(
    autojump_clock: trio.testing.MockClock,
) -> None:
    shelf = Shelf()
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.5):
            nursery.start_soon(shelf.ask)  # it runs after the one below
            await shelf.ask()
    assert shelf.told == ["first"]
    assert shelf.reads == ["a", "a"]
