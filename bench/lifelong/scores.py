"""The measures of lifelong learning, from what each version answered. Pure.

R[i][j] is the share of batch j's unseen phrasings that version i recalls, i and j from 1 to T; R[0] is the original
base's. Invariant: two ways are only compared on the same facts of the same seeds, so that an easy fact plays no part;
intervals are of 95 %, by a seeded bootstrap over (seed, fact).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from lifelong.kept import Answered, Measured

Matrix = Sequence[Sequence[float]]
Name = tuple[int, str]
_DRAWS = 4000
_TAIL = 2.5
_SEED = 20


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and between which values it lies."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its batch, and the share of its probes that versions 0 (the base) to T recalled."""

    batch: int
    recalled: tuple[float, ...]


def backward_transfer(matrix: Matrix) -> float:
    """BWT: mean over j < T of R[T][j] - R[j][j]; 0 for a single batch. `matrix` has R[0] first."""
    last = len(matrix) - 1
    return _mean(matrix[last][j] - matrix[j + 1][j] for j in range(last - 1))


def forgetting(matrix: Matrix) -> float:
    """F: mean over j < T of the best that any version had of batch j, less what the last one has."""
    last = len(matrix) - 1
    return _mean(max(row[j] for row in matrix) - matrix[last][j] for j in range(last - 1))


def forward_transfer(matrix: Matrix) -> float:
    """FWT: mean over j > 1 of R[j-1][j] - R[0][j]: what a batch gained before it was trained."""
    last = len(matrix) - 1
    return _mean(matrix[j][j] - matrix[0][j] for j in range(1, last))


def facts_of(line: Sequence[Measured]) -> dict[Name, Fact]:
    """The facts of one seed's line, its base first; corrections are no facts of R (see `corrected`)."""
    shares = [_shares(version.answers) for version in line]
    batches = {answer.about: answer.batch for answer in line[0].answers if not answer.correction}
    seed = line[0].seed
    return {(seed, about): Fact(batch, tuple(share[about] for share in shares)) for about, batch in batches.items()}


def matrix_of(facts: Mapping[Name, Fact]) -> list[list[float]]:
    """R, its row 0 first: the mean over seeds of each batch's share."""
    return [[cell.mean for cell in row] for row in matrix_with_intervals(facts, draws=0)]


def matrix_with_intervals(facts: Mapping[Name, Fact], draws: int = _DRAWS) -> list[list[Interval]]:
    """R with intervals, its row 0 first."""
    versions = range(len(next(iter(facts.values())).recalled))
    batches = sorted({fact.batch for fact in facts.values()})
    return [
        [
            interval(
                {name: fact.recalled[version] for name, fact in facts.items() if fact.batch == batch}, facts, draws
            )
            for batch in batches
        ]
        for version in versions
    ]


def transfer_of(facts: Mapping[Name, Fact]) -> dict[Name, float]:
    """What each fact of an older batch lost (negative) or gained since its own version: its part of BWT."""
    last = max(fact.batch for fact in facts.values())
    return {name: fact.recalled[-1] - fact.recalled[fact.batch] for name, fact in facts.items() if fact.batch < last}


def last_of(facts: Mapping[Name, Fact]) -> dict[Name, float]:
    """What the last version recalls of each fact."""
    return {name: fact.recalled[-1] for name, fact in facts.items()}


def difference(ours: Mapping[Name, float], other: Mapping[Name, float]) -> dict[Name, float]:
    """Ours less the other's, where both have the fact."""
    return {name: value - other[name] for name, value in ours.items() if name in other}


def interval(values: Mapping[Name, float], facts: Mapping[Name, Fact], draws: int = _DRAWS) -> Interval:
    """The mean over the batches of all seeds, each as heavy as another, and its interval. 0 for nothing at all."""
    if not values:
        return Interval(0.0, 0.0, 0.0)
    sizes: dict[tuple[int, int], int] = defaultdict(int)
    for name in values:
        sizes[name[0], facts[name].batch] += 1
    weights = np.array([1 / sizes[name[0], facts[name].batch] for name in values])
    return _bootstrap(np.array(list(values.values())) * weights, weights, draws)


def general_change(before: Iterable[Measured], after: Iterable[Measured]) -> Interval:
    """By how much of itself the loss on general prompts rose: bits of all of them, and an interval over prompts."""
    old = np.array([bits for measured in before for bits in measured.general_bits])
    new = np.array([bits for measured in after for bits in measured.general_bits])
    return _bootstrap(new - old, old, _DRAWS)


def prose_change(before: Iterable[Measured], after: Iterable[Measured]) -> float:
    """By how much of itself the loss on plain prose rose, the mean over seeds."""
    return _mean(new.prose_nats / old.prose_nats - 1 for old, new in zip(before, after, strict=True))


@dataclass(frozen=True, slots=True)
class Corrected:
    """Of corrected facts: the share of probes answered with the new value, and with the old one."""

    facts: int
    new: float
    old: float


def corrected(versions: Iterable[Measured]) -> Corrected:
    """How versions answer what was corrected in the batch that each has learned, or an older one."""
    answers = [a for version in versions for a in version.answers if a.correction and a.batch <= version.cycle]
    abouts = {(answer.batch, answer.about) for answer in answers}
    return Corrected(len(abouts), _mean(a.recalled for a in answers), _mean(a.outdated for a in answers))


def correction_cycle(versions: Iterable[Measured]) -> int:
    """The batch that holds the corrections; 0 where there are none."""
    return max((answer.batch for version in versions for answer in version.answers if answer.correction), default=0)


def _bootstrap(parts: np.ndarray, wholes: np.ndarray, draws: int) -> Interval:
    """Of sum(parts) / sum(wholes), both drawn together."""
    mean = float(parts.sum() / wholes.sum())
    if not draws:
        return Interval(mean, mean, mean)
    drawn = np.random.default_rng(_SEED).integers(0, len(parts), (draws, len(parts)))
    means = parts[drawn].sum(axis=1) / wholes[drawn].sum(axis=1)
    low, high = np.percentile(means, (_TAIL, 100 - _TAIL))
    return Interval(mean, float(low), float(high))


def _shares(answers: Iterable[Answered]) -> dict[str, float]:
    told: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        told[answer.about].append(answer.recalled)
    return {about: _mean(recalled) for about, recalled in told.items()}


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return fmean(listed) if listed else 0.0
