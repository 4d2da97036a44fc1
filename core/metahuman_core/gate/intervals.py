"""Confidence intervals (95 %) of paired differences. Pure, and without randomness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from metahuman_core.gate.measures import Interval

_Z = NormalDist().inv_cdf(0.975)


def mean_interval(differences: Sequence[float]) -> Interval | None:
    """Of the mean of paired differences, by Student's t; None for fewer than two, or where one is no number."""
    if len(differences) < 2 or not all(map(math.isfinite, differences)):  # noqa: PLR2004
        return None
    mean, error = fmean(differences), stdev(differences) / math.sqrt(len(differences))
    reach = _student_t(len(differences) - 1) * error
    return Interval(mean - reach, mean + reach)


def share_interval(gained: int, lost: int, pairs: int) -> Interval | None:
    """Of (gained - lost) / pairs, for pairs of yes and no, by Agresti and Min (2005): half an answer more in each cell.

    Where nothing changed it is narrow and not empty. None for fewer than two pairs.
    """
    if pairs < 2:  # noqa: PLR2004
        return None
    up, down, count = gained + 0.5, lost + 0.5, pairs + 2
    mean = (up - down) / count
    reach = _Z * math.sqrt(up + down - (up - down) ** 2 / count) / count
    return Interval(max(-1.0, mean - reach), min(1.0, mean + reach))


def proportion_interval(hits: int, count: int) -> Interval:
    """Of a share, by Wilson (1927); from 0 to 1 where nothing was counted."""
    if not count:
        return Interval(0.0, 1.0)
    share, z2 = hits / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = _Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count)) / (1 + z2 / count)
    return Interval(max(0.0, middle - reach), min(1.0, middle + reach))


def _student_t(freedom: int) -> float:
    """The quantile for 95 %, two-sided: exact for one and two degrees of freedom, else an expansion (within 1 %)."""
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:  # noqa: PLR2004
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z, v = _Z, freedom
    terms = (
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
    )
    return z + sum(terms)
