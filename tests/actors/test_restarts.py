"""The bookkeeping of crashes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import Address, RestartLimit
from actors.restarts import Restarts

ANN = Address("person", "ann")


@pytest.mark.parametrize(
    "limit", [{"crashes": -1}, {"window_seconds": 0}, {"window_seconds": math.nan}, {"tracked": 0}]
)
def test_impossible_restart_limits_are_refused(limit: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="impossible restart limit"):
        RestartLimit(**limit)


@given(
    limit=st.builds(RestartLimit, st.integers(0, 4), st.integers(1, 20)),
    gaps=st.lists(st.integers(0, 15), max_size=60),
)
def test_no_window_sees_more_crashes_than_one_above_the_limit(
    limit: RestartLimit, gaps: list[int]
) -> None:
    restarts = Restarts(limit)
    crashes: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        if restarts.retry_after(ANN, now) == 0:
            restarts.note(ANN, now)
            crashes.append(now)
    for first in crashes:
        within = [at for at in crashes if first <= at < first + limit.window_seconds]
        assert len(within) <= limit.crashes + 1


@given(
    limit=st.builds(RestartLimit, st.integers(0, 4), st.integers(1, 20)),
    gaps=st.lists(st.integers(0, 15), max_size=60),
)
def test_an_address_is_refused_only_after_too_many_crashes_in_a_window(
    limit: RestartLimit, gaps: list[int]
) -> None:
    restarts = Restarts(limit)
    crashes: list[float] = []
    now = 0.0
    for gap in gaps:
        now += gap
        recent = [at for at in crashes if now - at < limit.window_seconds]
        wait = restarts.retry_after(ANN, now)
        assert (wait > 0) == (len(recent) > limit.crashes)
        assert 0 <= wait <= limit.window_seconds
        if wait:
            assert restarts.retry_after(ANN, now + wait) == 0
        else:
            restarts.note(ANN, now)
            crashes.append(now)


def test_only_so_many_addresses_are_remembered() -> None:
    restarts = Restarts(RestartLimit(crashes=0, tracked=10))
    for number in range(1000):
        restarts.note(Address("person", str(number)), 0)
    assert len(restarts) == 10
    assert restarts.retry_after(Address("person", "999"), 0) > 0
    assert restarts.retry_after(Address("person", "0"), 0) == 0


def test_the_address_whose_last_crash_is_oldest_is_forgiven_first() -> None:
    restarts = Restarts(RestartLimit(crashes=0, tracked=2))
    for at, name in enumerate(["ann", "bob", "ann", "eve"]):
        restarts.note(Address("person", name), at)
    waits = {name: restarts.retry_after(Address("person", name), 3) for name in ("ann", "bob")}
    assert waits == {"ann": 9, "bob": 0}


def test_crashes_of_the_past_are_forgotten() -> None:
    restarts = Restarts(RestartLimit(window_seconds=10))
    for number in range(100):
        restarts.note(Address("person", str(number)), 0)
    restarts.note(ANN, 10)
    assert len(restarts) == 1
