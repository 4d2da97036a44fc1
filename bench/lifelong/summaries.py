"""What the lines of each strategy come to, and whether the goals are reached. Pure.

Invariant: a strategy is summed up over the seeds whose lines are whole, and two are compared on the seeds of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from lifelong.kept import Measured
from lifelong.scores import (
    Corrected,
    Fact,
    Interval,
    Name,
    corrected,
    correction_cycle,
    difference,
    facts_of,
    forgetting,
    forward_transfer,
    general_change,
    interval,
    last_of,
    matrix_of,
    matrix_with_intervals,
    prose_change,
    transfer_of,
)
from lifelong.strategies import CUMULATIVE, NAIVE, OURS

Line = Sequence[Measured]
_POINTS = 100


@dataclass(frozen=True, slots=True)
class Summary:
    """One strategy. Shares are of 1; `learned` is the mean of R[j][j], `recall` of R[T][j] over all batches.

    `train_s` is the median over versions of training and merging, of those that were made in one go.
    """

    strategy: str
    seeds: int
    facts: dict[Name, Fact]
    matrix: list[list[Interval]]
    bwt: Interval
    forgetting: float
    forward: float
    learned: Interval
    recall: Interval
    general: Interval
    prose: float
    corrected_then: Corrected
    corrected_last: Corrected
    train_s: float
    version_bytes: int


@dataclass(frozen=True, slots=True)
class Goal:
    """A number that may be `most`: on the mean, and at the worse end of its interval, which is what counts."""

    name: str
    told: str
    mean: float
    worst: float
    most: float

    @property
    def verdict(self) -> str:
        """In words."""
        if self.worst <= self.most:
            return "met"
        return "met on average, not shown" if self.mean <= self.most else "missed"


def summary_of(strategy: str, lines: Sequence[Line]) -> Summary:
    """Of the whole lines of all seeds, the base first in each."""
    facts = {name: fact for line in lines for name, fact in facts_of(line).items()}
    per_seed = [matrix_of(facts_of(line)) for line in lines]
    transfer = transfer_of(facts)
    versions = [version for line in lines for version in line[1:]]
    at = correction_cycle(versions)
    spent = [version.train_s for version in versions if not version.went_on]
    return Summary(
        strategy=strategy,
        seeds=len(lines),
        facts=facts,
        matrix=matrix_with_intervals(facts),
        bwt=interval(transfer, facts),
        forgetting=fmean(map(forgetting, per_seed)),
        forward=fmean(map(forward_transfer, per_seed)),
        learned=interval({name: fact.recalled[fact.batch] for name, fact in facts.items()}, facts),
        recall=interval(last_of(facts), facts),
        general=general_change((line[0] for line in lines), (line[-1] for line in lines)),
        prose=prose_change((line[0] for line in lines), (line[-1] for line in lines)),
        corrected_then=corrected(line[at] for line in lines if at),
        corrected_last=corrected(line[-1] for line in lines),
        train_s=median(spent) if spent else 0.0,
        version_bytes=round(median(version.version_bytes for version in versions)),
    )


# What is asked of ours, as the most that a loss may be.
_MOST = {
    "backward_loss_points": 2.0,
    "not_recalled": 0.2,
    "general_loss": 0.01,
    "naive_less_ours_points": -20.0,
    "behind_cumulative_points": 3.0,
    "corrections_missed": 0.2,
    "corrections_old": 0.05,
}


def goals_of(summaries: Mapping[str, Summary]) -> list[Goal]:
    """What is asked of ours, as far as the strategies that are there can show it."""
    ours = summaries.get(OURS)
    if ours is None:
        return []
    lost = 1 - ours.recall.mean, 1 - ours.recall.low
    goals = [
        _loss("backward_loss_points", "BWT at least -2 points", ours.bwt),
        _goal("not_recalled", "recall on unseen phrasings at least 80 %", *lost),
        _goal("general_loss", "general loss within 1 %", ours.general.mean, ours.general.high),
    ]
    if NAIVE in summaries:
        better = difference(transfer_of(ours.facts), transfer_of(summaries[NAIVE].facts))
        told = interval(better, ours.facts)
        goals.append(_loss("naive_less_ours_points", "BWT 20 points better than the naive chain's", told))
    if CUMULATIVE in summaries:
        ahead = interval(difference(last_of(ours.facts), last_of(summaries[CUMULATIVE].facts)), ours.facts)
        goals.append(_loss("behind_cumulative_points", "recall within 3 points of cumulative", ahead))
    if ours.corrected_then.facts:
        missed, old = 1 - ours.corrected_then.new, ours.corrected_then.old
        goals.append(_goal("corrections_missed", "a corrected fact: the new answer, after one cycle", missed, missed))
        goals.append(_goal("corrections_old", "a corrected fact: not the old answer", old, old))
    return goals


def unmeasured(goals: Sequence[Goal], wanted: Sequence[str]) -> dict[str, float]:
    """The goals (name and the most) that the wanted strategies are there to show, and have not shown yet."""
    names = ["backward_loss_points", "not_recalled", "general_loss"] if OURS in wanted else []
    names += ["naive_less_ours_points"] if {OURS, NAIVE} <= set(wanted) else []
    names += ["behind_cumulative_points"] if {OURS, CUMULATIVE} <= set(wanted) else []
    return {name: _MOST[name] for name in names if name not in {goal.name for goal in goals}}


def _goal(name: str, told: str, mean: float, worst: float) -> Goal:
    return Goal(name, told, mean, worst, _MOST[name])


def _loss(name: str, told: str, gain: Interval) -> Goal:
    """A gain that is to be large, as a loss in points (0.0, and not -0.0)."""
    return _goal(name, told, 0.0 - _POINTS * gain.mean, 0.0 - _POINTS * gain.low)
