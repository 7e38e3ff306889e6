"""What is made of the measurements."""

from __future__ import annotations

import pytest

from bench import commit, lifecycle, table
from bench.commit_load import Outcome as CommitOutcome
from bench.load import Outcome, quantile


@pytest.mark.parametrize(("q", "expected"), [(0.0, 1.0), (0.5, 51.0), (0.99, 100.0), (1.0, 100.0)])
def test_a_quantile_is_the_value_of_its_rank(q: float, expected: float) -> None:
    assert quantile([float(n) for n in range(1, 101)], q) == expected


def sample(rate: float, p50: float = 1.0, client: float = 0.1) -> lifecycle.Sample:
    outcome = Outcome(int(rate), 1.0, rate, p50, 2 * p50, p50 / 4, client)
    return lifecycle.Sample(outcome, 0.9, 0.5, 0.0, 60.0)


def test_a_cell_shows_medians_and_the_ratio_of_the_median_rates() -> None:
    samples = {
        "pxbox": [sample(300, 7.0), sample(900, 1.0), sample(600, 3.0)],
        "peer": [sample(200), sample(100), sample(5000)],
    }

    ours, peers = lifecycle.summarize("ws", 32, samples)

    assert (ours.rate, ours.p50_ms, ours.ratio) == (600, 3.0, 3.0)
    assert (peers.rate, peers.ratio) == (200, None)
    assert ours.rates == [300, 900, 600]


def test_without_the_peer_there_is_no_ratio() -> None:
    (row,) = lifecycle.summarize("rest", 1, {"pxbox": [sample(300)]})

    assert row.ratio is None
    assert lifecycle.cells(row)[4] == ""


def test_every_row_has_a_cell_for_every_column() -> None:
    (row,) = lifecycle.summarize("ws", 1, {"peer": [sample(300)]})
    runs = [commit.combine([CommitOutcome(10, 12, 10.0, 1.0, 2.0, 0.5, 3.0)], 0.5)]
    pair = commit.summarize((1, 32), {"journal": runs, "plain": runs})

    assert len(lifecycle.cells(row)) == len(lifecycle.COLUMNS)
    assert {len(commit.cells(each)) for each in pair} == {len(commit.COLUMNS)}


@pytest.mark.parametrize(("client", "marked"), [(0.59, False), (0.61, True)])
def test_a_load_client_over_60_percent_of_a_core_is_marked(client: float, marked: bool) -> None:
    (row,) = lifecycle.summarize("ws", 32, {"peer": [sample(300, client=client)]})

    assert lifecycle.cells(row)[-1].endswith("client-bound") is marked


def test_processes_add_up_their_rates_and_show_the_worst_latency() -> None:
    one = CommitOutcome(100, 120, 50.0, 1.0, 9.0, 0.2, 2.0)
    two = CommitOutcome(300, 320, 150.0, 3.0, 4.0, 0.4, 4.0)

    together = commit.combine([one, two], 0.7)

    assert (together.rate, together.p50_ms, together.p99_ms) == (200.0, 3.0, 9.0)
    assert together.batch == 3.0
    assert together.cpu == pytest.approx(0.3)


def test_a_table_lines_up_with_numbers_to_the_right() -> None:
    shown = table.markdown(("who", "rate"), [("a", "1,000"), ("longer", "7")])

    assert shown.splitlines() == [
        "| who    |  rate |",
        "| ------ | ----: |",
        "| a      | 1,000 |",
        "| longer |     7 |",
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.754, "0.75"), (9.99, "9.99"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_milliseconds_are_shown_with_three_digits_or_more(value: float, shown: str) -> None:
    assert table.milliseconds(value) == shown
