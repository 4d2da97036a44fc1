"""A run's recipe, and the gentler one with which a version that did not pass is tried once more.

Invariant: there is no third attempt. The journal knows of the second: a run that is killed in it goes on there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.dataset.build import Dataset
from metahuman_core.durable import remove
from metahuman_core.errors import DivergedError
from metahuman_core.gate.exam import EVALUATION
from metahuman_core.gate.judging import Verdict
from metahuman_core.gate.measures import Evaluation
from metahuman_core.journal import Journal
from metahuman_core.plan import Plan
from metahuman_core.progress import Progress, Report
from metahuman_core.results import Adapter
from metahuman_core.settings import DatasetSettings

FIRST_EVALUATION = "evaluation-first.json"
"""What was measured of the first attempt, where there was a second."""
_STEP = "gentler"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a run is learned: `rate_factor` times the rate; `reasons`: why the attempt before it did not pass."""

    dataset: DatasetSettings
    rate_factor: float = 1.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What an attempt came to. `first_reasons`: why the attempt before it did not pass, if there was one."""

    dataset: Dataset
    adapter: Adapter
    evaluation: Evaluation
    verdict: Verdict
    first_reasons: tuple[str, ...] = ()


def attempt_of(plan: Plan, first_reasons: tuple[str, ...]) -> Attempt:
    """The attempt that a version comes from, by why the one before it did not pass (none: it is the first)."""
    return _gentler(plan, first_reasons) if first_reasons else Attempt(plan.dataset)


def at_most_twice(
    journal: Journal, plan: Plan, learn: Callable[[Attempt], Learned], let_go: Callable[[], None], report: Report
) -> Learned:
    """Learn with the plan's recipe, and if that does not pass with a gentler one. `let_go`: of the base, if it failed.

    Raises DivergedError where the gentler one comes to no numbers either.
    """
    second = journal.known(_STEP, Attempt)
    if second is None:
        try:
            learned = learn(attempt_of(plan, ()))
            if learned.verdict.passed:
                return learned
            reasons = learned.verdict.reasons
        except DivergedError as error:
            let_go()  # a broken-off training leaves its hooks on it
            reasons = (error.message,)
        report(Progress(_STEP, note=f"it did not pass: {'; '.join(reasons)}; once more, with a gentler recipe"))
        _set_aside_first(journal.run_dir)
        second = journal.step(_STEP, Attempt, [reasons], lambda: attempt_of(plan, reasons))
    try:
        learned = learn(second)
    except DivergedError:
        journal.end("failed")  # the same again would come to the same
        raise
    return Learned(learned.dataset, learned.adapter, learned.evaluation, learned.verdict, second.reasons)


def _gentler(plan: Plan, reasons: tuple[str, ...]) -> Attempt:
    """A lower rate, up to twice as much of the same old memories, and half as many general questions again."""
    dataset = plan.dataset.model_copy(
        update={
            "replay_ratio": min(100, 2 * plan.dataset.replay_ratio),
            "general_share": min(0.5, 1.5 * plan.dataset.general_share),
        }
    )
    return Attempt(dataset, plan.gate.gentler_rate, reasons)


def _set_aside_first(run_dir: Path) -> None:
    """Make room for the second attempt: what the first left is removed, but for what was measured of it."""
    for leftover in ("checkpoints", "adapter", "fit.json"):
        remove(run_dir / leftover)
    if (run_dir / EVALUATION).is_file():
        (run_dir / EVALUATION).replace(run_dir / FIRST_EVALUATION)
