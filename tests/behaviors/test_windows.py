"""Batches are made into few appends before they are sent."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pxbox.behaviors.windows import in_runs
from pxbox.ports import Append, Entry


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.sets(st.integers(1, 40), min_size=1).map(sorted),
        min_size=1,
    ),
    st.randoms(use_true_random=False),
)
def test_batches_in_any_order_become_runs_in_order(
    wanted: dict[str, list[int]], random: object
) -> None:
    singles = [
        Append(channel, (Entry(seq, b""),)) for channel, seqs in wanted.items() for seq in seqs
    ]
    random.shuffle(singles)  # type: ignore[attr-defined]
    runs = in_runs(singles)
    for channel, seqs in wanted.items():
        own = [[e.seq for e in run.entries] for run in runs if run.channel == channel]
        assert [seq for run in own for seq in run] == seqs
        assert all(run == list(range(run[0], run[-1] + 1)) for run in own)
        ends = list(pairwise(own))
        assert all(before[-1] + 1 < after[0] for before, after in ends)
