"""What is kept is told without training anything, and what cannot be told is one clear line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lifelong.invented import Counts, invent
from lifelong.kept import Answered, Kept, Measured
from lifelong.planning import Cell, Line, base_cell, probes_of
from lifelong.running import run
from lifelong.strategies import STRATEGIES
from metahuman_core.fingerprint import fingerprint
from metahuman_core.settings import TrainingSettings

PROGRAM = str(Path(__file__).parents[3] / "bench" / "forgetting.py")
COUNTS = Counts(facts=4, corrected=1)
NAMES = ("naive", "anchor+replay")
Told = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Run the program to report only, on a folder that looks like a model."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}", encoding="utf-8")
    given = ("--cycles", "2", "--seeds", "1", "--facts", "4", "--corrected", "1", "--strategies", ",".join(NAMES))
    places = ("--model", str(tmp_path / "base"), "--results", str(tmp_path / "results"), "--report-only")

    def run_it(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, PROGRAM, *given, *places, *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))

    return run_it


def keep_everything(folder: Path) -> None:
    """Results as if a naive chain forgot all that is old, and ours nothing."""
    material, recipe, sha256 = invent(1, 2, COUNTS), TrainingSettings(), fingerprint(folder / "base")

    def made(cell: Cell, _: Mapping[str, Cell]) -> Measured:
        def recalls(batch: int) -> bool:
            return batch == cell.cycle or (batch < cell.cycle and cell.strategy != "naive")

        answers = tuple(
            Answered(n, p.about, p.ask, p.key, "", recalls(n), correction=bool(p.outdated))
            for n, p in probes_of(material)
        )
        nats, train_s = 2.0 + cell.cycle, 3.0
        of = (cell.key, cell.strategy, 1, cell.cycle)
        return Measured(*of, answers, (), (8.0, 8.0), (9, 9), nats, 1, 1, train_s, 1.0, False, 7)

    lines = [Line(s, 1, material, recipe, sha256) for s in STRATEGIES if s.name in NAMES]
    run([base_cell(1, material, recipe, sha256)], lines, Kept(folder / "results"), made)


def test_what_is_kept_is_told_with_its_goals_and_as_a_page(told: Told, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    keep_everything(tmp_path)
    done = told("--markdown", str(tmp_path / "table.md"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["bench"], result["met"]) == ("forgetting", True)
    assert (result["ours"]["recall"], result["peer"]["recall"]) == (1.0, 0.5)
    assert result["ours"]["prose_change"] == pytest.approx(1.0)
    assert result["ours"]["naive_less_ours_points_at_worst"] == -100
    page = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| naive | 1 | -100.0 [-100.0, -100.0] |" in page
    assert "| version 2 | 0 [0, 0] | 100 [100, 100] |" in page


def test_a_line_that_is_not_whole_is_named_and_its_goals_are_open(told: Told, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    keep_everything(tmp_path)
    done = told("--strategies", "naive,anchor+replay,cumulative")
    assert "cumulative, seed 1: 1 of 2 versions are kept" in done.stdout
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["goal"]["behind_cumulative_points_at_worst"] == 3
    assert result["met"] is False


def test_nothing_that_is_kept_and_bad_words_are_one_line(told: Told) -> None:
    for words, said in (
        ((), "nothing is kept that could be told"),
        (("--strategies", "naivety"), "there is no strategy 'naivety'"),
        (("--dialogues", "locomo"), "is no set of dialogues"),
        (("--model", "/nowhere"), "there is no model in /nowhere"),
        (("--facts", "60"), "can be invented"),
    ):
        done = told(*words)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert said in line
