"""The figures of a system."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from actors import Address, KindStats, Limits, open_system
from actors.mailbox import Depths
from tests.actors.behaviors import Count, Scripted

LIMIT = 4


async def test_the_figures_say_what_is_so() -> None:
    hold = trio.Event()
    async with open_system() as system:
        system.register("count", Count)
        system.register("person", Scripted, Limits(mailbox=4))
        await system.ask(Address("count", "x"), "hello", 1)
        for name, told in [("ann", 3), ("bob", 5), ("eve", 1)]:
            for _ in range(told):
                system.tell(Address("person", name), hold.wait)
                await wait_all_tasks_blocked()
        stats = system.stats()
        assert stats["person"] == KindStats(
            resident=3,
            active=3,
            queued=6,
            deepest=4,
            turns=3,
            crashes=0,
            passivations=0,
            refused_full=0,
            failed_tells=0,
        )
        assert (stats["count"].resident, stats["count"].active, stats["count"].turns) == (1, 0, 1)
        hold.set()
        await wait_all_tasks_blocked()
        after = system.stats()["person"]
        assert (after.active, after.queued, after.deepest, after.turns) == (0, 0, 0, 9)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=80))
def test_the_deepest_mailbox_is_known_at_every_step(steps: list[tuple[int, bool]]) -> None:
    depths = Depths(LIMIT)
    mailboxes = [0, 0, 0, 0]
    for which, grow in steps:
        if grow and mailboxes[which] < LIMIT:
            mailboxes[which] += 1
            depths.grew(mailboxes[which])
        elif not grow and mailboxes[which]:
            mailboxes[which] -= 1
            depths.shrank(mailboxes[which])
        assert (depths.queued, depths.deepest) == (sum(mailboxes), max(mailboxes))
