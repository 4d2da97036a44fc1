"""What does not pass is tried once more, more gently, and never a third time; a kill changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.dataset.build import Dataset
from metahuman_core.errors import DivergedError
from metahuman_core.gate.attempts import FIRST_EVALUATION, Attempt, Learned, at_most_twice
from metahuman_core.gate.exam import EVALUATION
from metahuman_core.gate.judging import Verdict
from metahuman_core.gate.measures import Evaluation, Measure
from metahuman_core.journal import Journal
from metahuman_core.plan import Plan
from metahuman_core.progress import Progress
from metahuman_core.results import Adapter

PASSED, FAILED = Verdict(passed=True, reasons=()), Verdict(passed=False, reasons=("old memories are forgotten",))


class Bench:
    """A run whose attempts end as they are told to; `tried` is what was tried, `said` what was reported."""

    def __init__(self, run_dir: Path, plan: Plan, now: Callable[[], object]) -> None:
        self.plan = plan
        self.journal = Journal.begin(run_dir, plan, now)
        self.tried: list[Attempt] = []
        self.said: list[Progress] = []
        self.let_go = 0

    def learn(self, *ends: Verdict | BaseException) -> Learned:
        """Learn with attempts that end so."""
        waiting = list(ends)

        def attempt(this: Attempt) -> Learned:
            self.tried.append(this)
            run_dir = self.journal.run_dir
            (run_dir / "adapter").mkdir()
            (run_dir / "checkpoints").mkdir()
            end = waiting.pop(0)
            if isinstance(end, BaseException):
                raise end
            (run_dir / EVALUATION).write_text(f"{len(self.tried)}", encoding="utf-8")
            evaluation = Evaluation(Measure(0), Measure(0), Measure(0))
            return Learned(Dataset("d", 1, 1, 1, 0), Adapter("a", 1, 1, 1, 0.5), evaluation, end)

        def let_go() -> None:
            self.let_go += 1

        return at_most_twice(self.journal, self.plan, attempt, let_go, self.said.append)


@pytest.fixture
def bench(tmp_path: Path, plan: Callable[..., Plan], now: Callable[[], object]) -> Bench:
    return Bench(tmp_path, plan(), now)


def test_what_passes_is_not_tried_again(bench: Bench) -> None:
    learned = bench.learn(PASSED)
    assert learned.first_reasons == ()
    assert [a.rate_factor for a in bench.tried] == [1.0]
    assert bench.said == []


def test_the_second_attempt_has_a_lower_rate_and_more_replay(bench: Bench) -> None:
    learned = bench.learn(FAILED, PASSED)
    assert learned.verdict.passed
    assert learned.first_reasons == FAILED.reasons
    first, second = bench.tried
    assert second.rate_factor == bench.plan.gate.gentler_rate < first.rate_factor
    assert second.dataset.replay_ratio == 2 * first.dataset.replay_ratio
    assert "old memories are forgotten" in bench.said[0].note
    run_dir = bench.journal.run_dir
    assert (run_dir / FIRST_EVALUATION).read_text(encoding="utf-8") == "1"
    assert (run_dir / EVALUATION).read_text(encoding="utf-8") == "2"


def test_there_is_no_third_attempt(bench: Bench) -> None:
    learned = bench.learn(FAILED, FAILED)
    assert not learned.verdict.passed
    assert len(bench.tried) == 2


def test_no_numbers_call_for_a_gentler_recipe_once(bench: Bench) -> None:
    learned = bench.learn(DivergedError("the loss is no number any more"), PASSED)
    assert learned.first_reasons == ("the loss is no number any more",)
    assert bench.let_go == 1


def test_no_numbers_twice_are_a_failure(bench: Bench) -> None:
    with pytest.raises(DivergedError):
        bench.learn(DivergedError("no number"), DivergedError("no number"))
    assert bench.journal.file.ended == "failed"  # the same again would come to the same


def test_a_run_that_was_killed_in_its_second_attempt_goes_on_there(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.learn(FAILED, KeyboardInterrupt())
    bench.journal = Journal.open(bench.journal.run_dir, bench.journal._now)
    for leftover in ("adapter", "checkpoints"):
        assert (bench.journal.run_dir / leftover).is_dir()
        (bench.journal.run_dir / leftover).rmdir()
    learned = bench.learn(PASSED)
    assert learned.first_reasons == FAILED.reasons
    assert [a.rate_factor for a in bench.tried] == [1.0, 0.5, 0.5]
