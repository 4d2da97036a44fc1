"""Which samples of old memories are trained again, and in which epoch. Pure.

Invariant: an epoch has as many old samples as was asked for, as far as there are any, of few memories or of many; of
each it has at least one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from metahuman_core.dataset.samples import Sample, an_epoch_of
from metahuman_core.dataset.turns import in_turns


def replayed(
    old: Iterable[Sequence[Sample]], new: Iterable[Sample], ratio: float, epochs: int, before: Mapping[str, int]
) -> list[Sample]:
    """What is trained again of old memories, each given by all its samples: in each epoch `ratio` times as many as new.

    They are dealt out evenly, to each memory one at least; what was asked the least `before` (how often what was asked)
    comes first, memories and their samples.
    """

    def asked(own: Sequence[Sample]) -> float:
        return fmean(before.get(sample.turns[-2].text, 0) for sample in own)

    ranked = sorted(filter(None, (least_asked(own, before) for own in old)), key=asked)
    per_epoch = max(round(ratio * an_epoch_of(new)), len(ranked))
    counts = dealt_out([len(own) for own in ranked], per_epoch)
    return [sample for own, count in zip(ranked, counts, strict=True) for sample in in_turns(own, count, epochs)]


def dealt_out(most: Sequence[int], total: int) -> list[int]:
    """`total` dealt out one by one in turn, to each at most so many; less than `total` where all have their most."""
    counts = [0] * len(most)
    open_places = [place for place, limit in enumerate(most) if limit]
    while total > 0 and open_places:
        for place in open_places[:total]:
            counts[place] += 1
        total -= len(open_places)
        open_places = [place for place in open_places if counts[place] < most[place]]
    return counts


def least_asked(samples: Iterable[Sample], before: Mapping[str, int]) -> list[Sample]:
    """What is trained of an old memory, in the order in which it is to be trained again.

    What was asked the least `before` (how often what was asked) comes first, so that all that a memory tells has its
    turn in time, in all words; of the same often questions before exchanges, and each thing before any a second time.
    """
    trained = [sample for sample in samples if sample.split == "train"]
    told = [sample.turns[-1].text for sample in trained]
    turn = [told[:place].count(text) for place, text in enumerate(told)]

    def rank_of(place: int) -> tuple[int, bool, int]:
        sample = trained[place]
        return before.get(sample.turns[-2].text, 0), sample.form == "exchange", turn[place]

    return [trained[place] for place in sorted(range(len(trained)), key=rank_of)]
