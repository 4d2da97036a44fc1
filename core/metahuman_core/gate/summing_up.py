"""From single answers to the measures of a version. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import fmean

from metahuman_core.gate.intervals import mean_interval, share_interval
from metahuman_core.gate.measures import Asked, Change, Measure, Said, SetName, Transfer


def measure_of(asked: Sequence[Asked], of: SetName) -> Measure:
    """What one set of prompts comes to. Every prompt counts the same, however long its answer."""
    pairs = [(a.before, a.after) for a in asked if a.set == of]
    return Measure(
        prompts=len(pairs),
        bits=mean_change([(b.bits_per_byte, a.bits_per_byte) for b, a in pairs]),
        recall=_share_change(pairs, lambda said: said.recalled),
        exact=_share_change(pairs, lambda said: said.exact),
        flawed=_share_change(pairs, lambda said: bool(said.flaw)),
    )


def since_learned(asked: Sequence[Asked]) -> Measure:
    """The recall of old prompts, by the first version that was asked each and now."""
    pairs = [(a.then[0], a.after.recalled) for a in asked if a.set == "old" and a.then]
    return Measure(len(pairs), recall=_share(pairs))


def mean_change(pairs: Sequence[tuple[float, float]]) -> Change:
    """The mean of numbers before and after, by prompt."""
    if not pairs:
        return Change()
    before, after = zip(*pairs, strict=True)
    return Change(fmean(before), fmean(after), mean_interval([a - b for b, a in pairs]))


def recall_row(asked: Sequence[Asked]) -> dict[str, float]:
    """The share recalled by batch, in the order in which the batches were trained (labels begin with the time)."""
    recalled = _by_batch(asked, lambda a: float(a.after.recalled))
    return {batch: fmean(recalled[batch]) for batch in sorted(recalled)}


def transfer_of(asked: Sequence[Asked], anchor_recall: float | None) -> Transfer:
    """BWT and forgetting over prompts that earlier versions were asked too; `anchor_recall`: of the new memories.

    Each batch counts the same.
    """
    known = [a for a in asked if a.set == "old" and a.then]
    backward = _by_batch(known, lambda a: float(a.after.recalled) - a.then[0])
    lost = _by_batch(known, lambda a: float(max(a.then)) - a.after.recalled)
    new = [a for a in asked if a.set == "new"]
    forward = fmean(a.before.recalled for a in new) - anchor_recall if new and anchor_recall is not None else None
    return Transfer(_mean_of_batches(backward), _mean_of_batches(lost), forward)


def _by_batch(asked: Sequence[Asked], score: Callable[[Asked], float]) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = defaultdict(list)
    for one in asked:
        if one.batch:
            scores[one.batch].append(score(one))
    return scores


def _mean_of_batches(scores: dict[str, list[float]]) -> float | None:
    return fmean(map(fmean, scores.values())) if scores else None


def _share_change(pairs: Sequence[tuple[Said, Said]], holds: Callable[[Said], bool]) -> Change:
    return _share([(holds(b), holds(a)) for b, a in pairs])


def _share(pairs: Sequence[tuple[bool, bool]]) -> Change:
    if not pairs:
        return Change()
    gained, lost = (sum(pair == moved for pair in pairs) for moved in ((False, True), (True, False)))
    before, after = (fmean(column) for column in zip(*pairs, strict=True))
    return Change(before, after, share_interval(gained, lost, len(pairs)))
