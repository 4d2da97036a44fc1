"""How many samples are computed at a time: the rungs, the choice among them, and what is remembered of it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahuman_core.steps.fitting import Fit, below, choose, ladder
from metahuman_core.steps.kept_fits import OWN, Needs, read_fit, write_fit

RUNGS = ladder(8, can_recompute=True)


def test_the_rungs_are_the_batch_its_halves_and_the_same_with_checkpointing() -> None:
    assert list(RUNGS) == [Fit(rows, recompute) for recompute in (False, True) for rows in (8, 4, 2, 1)]
    assert ladder(6, can_recompute=False) == (Fit(6), Fit(3), Fit(1))
    assert ladder(1, can_recompute=True) == (Fit(1), Fit(1, recompute=True))


@given(st.integers(1, 200))
def test_each_rung_computes_just_the_samples_of_a_step(batch_samples: int) -> None:
    rows = [fit.rows for fit in ladder(batch_samples, can_recompute=False)]
    assert all(batch_samples % part == 0 for part in rows)
    assert all(2 * lower <= upper for upper, lower in pairwise(rows))
    assert (rows[0], rows[-1]) == (batch_samples, 1)


@pytest.mark.parametrize(
    ("room", "chosen"),
    [
        (800, Fit(8)),
        (799, Fit(4)),
        (100, Fit(1)),
        (99, Fit(4, recompute=True)),
        (20, Fit(1, recompute=True)),
        (19, Fit(1, recompute=True)),
    ],
)
def test_the_largest_batch_that_fits_is_taken_and_checkpointing_only_where_none_does(room: int, chosen: Fit) -> None:
    asked: list[Fit] = []

    def needs(fit: Fit) -> int:
        asked.append(fit)
        return fit.rows * (20 if fit.recompute else 100)

    assert choose(RUNGS, room, needs) == chosen
    # What is measured is never much more than what is there.
    assert all(needs(fit) <= max(room, 100) for fit in list(asked))


def test_without_checkpointing_single_samples_are_the_last_resort() -> None:
    assert choose(ladder(4, can_recompute=False), 10, lambda fit: 100 * fit.rows) == Fit(1)


def test_below_each_rung_is_the_next_and_below_the_last_none() -> None:
    assert [below(RUNGS, fit) for fit in RUNGS] == [*RUNGS[1:], None]


def test_a_run_keeps_its_own_fit(tmp_path: Path) -> None:
    assert read_fit(tmp_path, RUNGS) is None
    write_fit(tmp_path, Fit(2, recompute=True))
    assert read_fit(tmp_path, RUNGS) == Fit(2, recompute=True)
    assert read_fit(tmp_path, ladder(9, can_recompute=True)) is None
    (tmp_path / OWN).write_bytes(b"\xff{")
    assert read_fit(tmp_path, RUNGS) is None


def test_needs_are_remembered_by_kind_of_run(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "fits.json"
    small, large = Needs(file, "small"), Needs(file, "large")
    small.put(Fit(1), 10)
    large.put(Fit(1), 1000)
    small.put(Fit(1, recompute=True), 5)
    small.put(Fit(1), 11)
    again = Needs(file, "small")
    assert [again.get(fit) for fit in (Fit(1), Fit(2), Fit(1, recompute=True))] == [11, None, 5]
    assert Needs(file, "large").get(Fit(1)) == 1000
    assert Needs(file, "other").get(Fit(1)) is None


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"small": 3}', b'{"small": {"1 sample at a time": -1}}'])
def test_a_broken_or_foreign_file_counts_as_none_and_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "fits.json"
    file.write_bytes(content)
    needs = Needs(file, "small")
    assert needs.get(Fit(1)) is None
    needs.put(Fit(1), 10)
    assert json.loads(file.read_text(encoding="utf-8")) == {"small": {"1 sample at a time": 10}}


def test_what_was_measured_longest_ago_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "fits.json"
    for number in range(70):
        Needs(file, str(number)).put(Fit(1), number)
    assert len(json.loads(file.read_text(encoding="utf-8"))) == 64
    assert Needs(file, "69").get(Fit(1)) == 69
    assert Needs(file, "0").get(Fit(1)) is None
