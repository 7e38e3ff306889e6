"""What no longer counts is deleted, and nothing else: idempotency keys (S7), tickets and logins
(X1).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import trio

from pxbox.model.principal import Principal
from pxbox.postgres.logins import Lasting, Logins
from pxbox.postgres.reader import Reader
from tests.postgres.conftest import OpenJournal

ALICE = Principal("alice", "group:ops", frozenset({"request", "worker:x"}), None, "t1")


async def test_only_idempotency_keys_of_more_than_a_day_ago_go(opened: OpenJournal) -> None:
    await opened.query(
        "insert into unique_key (space, key, commit_id, holds, reserved_at) "
        "select space, age::text || n, gen_random_uuid(), '{}', clock_timestamp() - age "
        "from unnest(array['idempotency', 'address']) as space, "
        "     unnest(array[interval '23 hours', interval '25 hours']) as age, "
        "     generate_series(1, 3) as n"
    )
    assert [await opened.views.purge_keys(2) for _ in range(3)] == [2, 1, 0]
    rows = await opened.query(
        "select space, count(*) as n from unique_key group by space order by space"
    )
    assert [(row["space"], row["n"]) for row in rows] == [("address", 6), ("idempotency", 3)]


async def test_a_ticket_is_taken_once_whoever_asks_for_it_together(opened: OpenJournal) -> None:
    until = await opened.views.keep_ticket(b"hash", ALICE, timedelta(seconds=30))
    assert timedelta(seconds=20) < until - datetime.now(UTC) <= timedelta(seconds=31)
    got: list[Principal | None] = []

    async def take() -> None:
        got.append(await opened.views.take_ticket(b"hash"))

    async with trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(take)
    assert sorted(got, key=lambda one: one is None) == [ALICE, *[None] * 11]
    assert await opened.views.take_ticket(b"another") is None


async def test_a_ticket_keeps_when_its_token_expires(opened: OpenJournal) -> None:
    until = datetime(2031, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    brief = Principal("bob", None, frozenset(), until, "t2")
    await opened.views.keep_ticket(b"brief", brief, timedelta(seconds=30))
    assert await opened.views.take_ticket(b"brief") == brief


async def test_a_ticket_that_has_expired_is_none_and_goes_by_itself(opened: OpenJournal) -> None:
    for n in range(5):
        lasting = timedelta(seconds=30 if n == 4 else -1)
        await opened.views.keep_ticket(f"{n}".encode(), ALICE, lasting)
    assert await opened.views.take_ticket(b"0") is None
    assert [await opened.views.purge_tickets(2) for _ in range(3)] == [2, 1, 0]
    assert await opened.views.take_ticket(b"4") == ALICE


async def test_logins_go_a_day_after_their_expiry_and_links_with_it(opened: OpenJournal) -> None:
    reader = Reader(opened.url)
    reader.open(opened.residents)
    logins, hour, now = Logins(reader), timedelta(hours=1), datetime.now(UTC)
    for n, age in enumerate((timedelta(days=2), timedelta(hours=2), -hour)):
        limited = replace(ALICE, expires_at=now - age)
        await logins.keep(b"%d" % n, limited, Lasting(hour, hour))
    used = b"link", now + hour
    assert await logins.keep_by_link(b"by link", ALICE, Lasting(hour, hour), used) is not None
    assert await logins.keep_by_link(b"other", ALICE, Lasting(hour, hour), used) is None
    # Sent once more after a lost connection, it is the same.
    assert await logins.keep_by_link(b"by link", ALICE, Lasting(hour, hour), used) is not None
    await opened.query("insert into used_link values ('old', 'x', clock_timestamp())")
    assert [await logins.purge(5) for _ in range(2)] == [2, 0]
    found = [await logins.find(hash) for hash in (b"0", b"1", b"2", b"by link", b"other")]
    assert [one and one.counts for one in found] == [None, False, True, True, None]
    assert await logins.renew(b"1", hour) is None
    renewed = await logins.renew(b"2", timedelta(days=1))
    assert renewed is not None
    assert renewed.expires_at == renewed.ends_at == renewed.principal.expires_at
    await logins.forget(b"2")
    assert await logins.find(b"2") is None
