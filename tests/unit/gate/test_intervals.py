"""Intervals are those of the textbooks."""

from __future__ import annotations

import math

import pytest

from metahuman_core.gate.intervals import mean_interval, proportion_interval, share_interval

# Student's t, two-sided 95 %, by degrees of freedom.
T_TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 10: 2.228, 30: 2.042, 100: 1.984}


@pytest.mark.parametrize(("freedom", "quantile"), T_TABLE.items())
def test_a_mean_has_students_interval(freedom: int, quantile: float) -> None:
    count = freedom + 1
    values = [(-1.0) ** n for n in range(count)]
    mean = sum(values) / count
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / freedom)
    interval = mean_interval(values)
    assert interval is not None
    assert (interval.low + interval.high) / 2 == pytest.approx(mean)
    assert (interval.high - mean) * math.sqrt(count) / spread == pytest.approx(quantile, rel=0.01)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_too_little_or_no_numbers_have_no_interval(values: list[float]) -> None:
    assert mean_interval(values) is None


def test_equal_pairs_leave_little_doubt_and_some() -> None:
    interval = share_interval(0, 0, 32)
    assert interval is not None
    assert interval.low == -interval.high
    assert 0.0 < interval.high < 0.07


def test_what_was_lost_is_below_nothing() -> None:
    interval = share_interval(0, 10, 32)
    assert interval is not None
    assert interval.low == pytest.approx(-0.4578, abs=1e-4)
    assert interval.high == pytest.approx(-0.1305, abs=1e-4)
    mirrored = share_interval(10, 0, 32)
    assert mirrored is not None
    assert (mirrored.low, mirrored.high) == (-interval.high, -interval.low)


def test_a_share_has_wilsons_interval() -> None:
    """Newcombe 1998, table I: 81 of 263, 0 of 20, 1 of 29."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)):
        interval = proportion_interval(hits, count)
        assert (interval.low, interval.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert (proportion_interval(0, 0).low, proportion_interval(0, 0).high) == (0.0, 1.0)
