"""What a journal keeps: rows by version, keys, links."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
import trio

from actors.journal import (
    Commit,
    Committed,
    Conflict,
    Journal,
    Link,
    Unlink,
)
from tests.suites.journal_fixtures import (
    JournalFixtures,
    LoadedValues,
    MakeKey,
    MakeLink,
    MakeRow,
    NewId,
    ReadLinks,
    ReadLog,
    commit_of,
    committed,
    event_on,
    refused,
)


class RowSuite(JournalFixtures):
    """Rows are guarded by the version that was decided on (S2)."""

    @pytest.mark.parametrize("table", ["request", "entity"])
    async def test_a_row_is_loaded_as_it_was_inserted(
        self,
        journal: Journal,
        make_row: MakeRow,
        loaded_values: LoadedValues,
        new_id: NewId,
        table: str,
    ) -> None:
        row = make_row(table, new_id(table), 1)
        await committed(journal, commit_of(row))
        assert await journal.load(table, row.id) == {**loaded_values(row), "version": 1}

    async def test_a_row_that_was_never_inserted_is_not_there(
        self, journal: Journal, new_id: NewId
    ) -> None:
        absent = new_id("request")
        assert await journal.load("request", absent) is None
        assert not await journal.confirm("request", absent, 1)

    async def test_inserting_a_row_that_exists_is_refused_with_its_version(
        self, journal: Journal, make_row: MakeRow, new_id: NewId
    ) -> None:
        row = make_row("request", new_id("request"), 1)
        await committed(journal, commit_of(row))
        conflict = await refused(journal, commit_of(row))
        assert conflict.guard == "version"
        assert conflict.holds == {"table": "request", "id": row.id, "version": 1}

    async def test_updating_the_stored_version_replaces_the_values(
        self,
        journal: Journal,
        make_row: MakeRow,
        loaded_values: LoadedValues,
        new_id: NewId,
    ) -> None:
        row_id = new_id("request")
        for version in (1, 2, 3):
            row = make_row("request", row_id, version)
            await committed(journal, commit_of(row))
            loaded = await journal.load("request", row_id)
            assert loaded == {**loaded_values(row), "version": version}

    async def test_an_update_keeps_the_columns_that_it_does_not_name(
        self,
        journal: Journal,
        make_row: MakeRow,
        loaded_values: LoadedValues,
        new_id: NewId,
    ) -> None:
        row_id = new_id("request")
        first, second = (make_row("request", row_id, version) for version in (1, 2))
        await committed(journal, commit_of(first))
        changed, value = next(
            item for item in second.values.items() if item not in first.values.items()
        )
        part = replace(second, values={changed: value})
        await committed(journal, commit_of(part))
        kept = {**loaded_values(first), **loaded_values(part)}
        assert await journal.load("request", row_id) == {**kept, "version": 2}

    @pytest.mark.parametrize("stored", [None, 1, 3])
    async def test_updating_another_version_than_the_stored_one_is_refused(
        self, journal: Journal, make_row: MakeRow, new_id: NewId, stored: int | None
    ) -> None:
        row_id = new_id("request")
        for version in range(1, (stored or 0) + 1):
            await committed(journal, commit_of(make_row("request", row_id, version)))
        conflict = await refused(journal, commit_of(make_row("request", row_id, 3)))
        assert conflict.guard == "version"
        assert conflict.holds == {"table": "request", "id": row_id, "version": stored}

    async def test_only_the_stored_version_is_confirmed(
        self, journal: Journal, make_row: MakeRow, new_id: NewId
    ) -> None:
        row_id = new_id("request")
        await committed(journal, commit_of(make_row("request", row_id, 1)))
        await committed(journal, commit_of(make_row("request", row_id, 2)))
        confirmed = [await journal.confirm("request", row_id, version) for version in (1, 2, 3)]
        assert confirmed == [False, True, False]

    async def test_of_many_that_decided_on_one_version_one_wins(
        self, journal: Journal, make_row: MakeRow, new_id: NewId, read_log: ReadLog
    ) -> None:
        row_id, channel = new_id("request"), f"request:{uuid4()}"
        await committed(journal, commit_of(make_row("request", row_id, 1)))
        outcomes: list[Committed | Conflict] = []

        async def race() -> None:
            row = make_row("request", row_id, 2)
            outcomes.append(
                await journal.commit(Commit(uuid4(), rows=(row,), events=(event_on(channel),)))
            )

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(race)
        won = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
        assert [outcome.seqs for outcome in won] == [{channel: (1,)}]
        assert {(o.guard, o.holds["version"]) for o in lost} == {("version", 2)}
        assert len(await read_log(channel)) == 1

    async def test_one_failed_guard_among_several_rows_refuses_them_all(
        self, journal: Journal, make_row: MakeRow, new_id: NewId
    ) -> None:
        good, bad = (make_row("entity", new_id("entity"), version) for version in (1, 2))
        other = make_row("request", new_id("request"), 1)
        conflict = await refused(journal, commit_of(other, good, bad))
        assert conflict.holds["id"] == bad.id
        assert await journal.load("entity", good.id) is None
        assert await journal.load("request", other.id) is None


class KeySuite(JournalFixtures):
    """Keys have one holder."""

    async def test_a_key_that_is_held_is_refused_with_what_it_holds(
        self, journal: Journal, make_key: MakeKey
    ) -> None:
        key = make_key(f"key-{uuid4()}")
        await committed(journal, Commit(uuid4(), keys=(key,)))
        conflict = await refused(journal, Commit(uuid4(), keys=(key,)))
        assert conflict.guard == "key"
        held = {"space": key.space, "key": key.key, **key.values}
        assert conflict.holds.items() >= held.items()

    async def test_of_many_that_reserve_one_key_one_wins(
        self, journal: Journal, make_key: MakeKey
    ) -> None:
        key = make_key(f"key-{uuid4()}")
        outcomes: list[Committed | Conflict] = []

        async def race() -> None:
            outcomes.append(await journal.commit(Commit(uuid4(), keys=(key,))))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(race)
        lost = [outcome.guard for outcome in outcomes if isinstance(outcome, Conflict)]
        assert lost == ["key"] * 19


class LinkSuite(JournalFixtures):
    """Links are sets."""

    async def test_links_are_sets(
        self,
        journal: Journal,
        make_row: MakeRow,
        make_link: MakeLink,
        new_id: NewId,
        read_links: ReadLinks,
    ) -> None:
        group, ann, bob = (new_id("entity") for _ in range(3))
        await committed(
            journal, commit_of(*(make_row("entity", row_id, 1) for row_id in (group, ann, bob)))
        )
        to_ann, to_bob = make_link(group, ann), make_link(group, bob)
        unlink = Unlink(to_ann.table, group, ann)
        assert await read_links(to_ann) == set()
        steps: list[tuple[tuple[Link | Unlink, ...], set[str]]] = [
            ((to_ann,), {ann}),
            ((to_ann, to_bob), {ann, bob}),
            ((unlink,), {bob}),
            ((unlink,), {bob}),
        ]
        for links, members in steps:
            await committed(journal, Commit(uuid4(), links=links))
            assert await read_links(to_ann) == members
        assert await read_links(make_link(ann, group)) == set()
