"""Makes a run's samples of its memories, new and old, and of what is trained beside them, and writes `dataset.jsonl`.

Invariants: the same memories and settings give the same file, byte for byte; each sample names its memory; where two
memories answer the same question, the newer one does, so that a corrected fact wins, in whatever words it is asked for
where but one can hold (an address); kept-out phrasings ("probe") are never trained. What is trained beside memories has
the role "general" and no memory, and contradicts none (see `extras`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, starmap
from pathlib import Path
from typing import Self

from metahuman_core.dataset.answered import Answered, newest_of, outdated_of
from metahuman_core.dataset.contradicted import contradicted
from metahuman_core.dataset.extras import Extra, choose_extras
from metahuman_core.dataset.of_memory import samples_of
from metahuman_core.dataset.replay import replayed
from metahuman_core.dataset.samples import Sample, an_epoch_of, asked_words, line_of, read_samples
from metahuman_core.dataset.told import NOTHING_TOLD, Told
from metahuman_core.durable import making, sha256_file
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings
from metahuman_core.study import BY_MODEL, Asked


@dataclass(frozen=True, slots=True)
class Dataset:
    """What `dataset.jsonl` holds: its SHA-256 and how many samples and memories of which sort.

    `samples` counts all that is trained, `general` and `unknown` those of them with no memory behind them; `probes` are
    the memories' own.
    """

    sha256: str
    samples: int
    probes: int
    memories_new: int
    memories_replayed: int
    general: int = 0
    unknown: int = 0


def build_dataset(
    new: Iterable[Memory],
    replay: Iterable[Memory],
    old_datasets: Iterable[Path],
    settings: DatasetSettings,
    system: str,
    out: Path,
    told_before: Told | None = NOTHING_TOLD,
    *,
    asked: Mapping[str, Sequence[Asked]] | None = None,
    is_outdated: Callable[[Sample], bool] = lambda _: False,
    consolidates: bool = False,
    epochs: int = 1,
) -> Dataset:
    """Write `out` (dataset.jsonl) from memories that were chosen; `system` opens each sample where it is not empty.

    `old_datasets` are those of the ancestry: what they kept out is never trained. `told_before` is what the ancestry's
    memories say, where that is not all in `replay`; None where nobody knows any more. `asked`: by memory (its digest),
    what a model asked of it. `is_outdated`: of a replayed memory's sample, whether the ancestry was told otherwise.
    `consolidates`: of a replayed memory all samples are taken, its probes too, as the old datasets may be erased.
    `epochs`: in how many of them it is trained, one that is only begun too.
    """
    new, replay, asked = tuple(new), tuple(replay), asked or {}
    before = _Before.of(old_datasets)
    dated = [(m, sample) for m in new for sample in samples_of(m, settings, system, asked.get(m.digest, ()))]
    again = ((m, sample) for m in replay for sample in samples_of(m, settings, system, asked.get(m.digest, ())))
    dated += [(m, replace(sample, role="replay")) for m, sample in again]
    dated = [(m, sample) for m, sample in dated if sample.role == "new" or not is_outdated(sample)]
    dated = _without_contradicted(dated)
    kept_out = before.kept_out | {asked_words(sample) for _, sample in dated if sample.split == "probe"}
    kept_out.discard("")
    samples = [s for s in _newest_answers(dated) if s.split == "probe" or asked_words(s) not in kept_out]
    if not consolidates:
        # Of what holds: with less of an old memory than all, nobody would see that a new one answers it otherwise.
        samples = _with_some_replay(samples, settings.replay_ratio, epochs, before.asks)
    probes = sum(s.split == "probe" for s in samples)
    told = told_before and told_before.and_also([system, *(f"{m.title}\n{m.whole_text}" for m in (*new, *replay))])
    extras = choose_extras(
        an_epoch_of(samples),
        before.asks.keys() | {s.turns[-2].text for s in samples},
        told,
        before.general,
        settings,
        sha256("".join(memory.digest for memory in (*new, *replay)).encode()).hexdigest(),
        epochs,
    )
    samples += [_beside(extra, system) for extra in extras]
    with making(out) as partial, partial.open("w", encoding="utf-8") as file:
        partial.chmod(0o600)
        for sample in samples:
            file.write(line_of(sample))
    return Dataset(
        sha256=sha256_file(out),
        samples=sum(s.split == "train" for s in samples),
        probes=probes,
        memories_new=len(new),
        memories_replayed=len(replay),
        general=sum(s.kind == "general" for s in extras),
        unknown=sum(s.kind == "unknown" and s.split == "train" for s in extras),
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """How often older datasets asked what of memories, what of that they kept out (in one form), and what else."""

    asks: Counter[str]
    kept_out: set[str]
    general: Counter[str]

    @classmethod
    def of(cls, datasets: Iterable[Path]) -> Self:
        """Read them line by line: of years of samples only the questions are held."""
        before = cls(Counter(), set(), Counter())
        for sample in chain.from_iterable(map(read_samples, datasets)):
            if sample.role == "general":
                # What was unknown once is asked and answered as soon as a memory tells of it.
                before.general[sample.turns[-2].text] += 1
                continue
            before.asks[sample.turns[-2].text] += 1
            if sample.split == "probe":
                before.kept_out.add(asked_words(sample))
        return before


def _with_some_replay(samples: Sequence[Sample], ratio: float, epochs: int, before: Mapping[str, int]) -> list[Sample]:
    """New samples as they are, and of old memories `ratio` times as many."""
    old: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.role == "replay":
            old[sample.memory].append(sample)
    new = [sample for sample in samples if sample.role != "replay"]
    return [*new, *replayed(old.values(), new, ratio, epochs, before)]


def _beside(extra: Extra, system: str) -> Sample:
    opening = (Turn("system", system),) if system else ()
    turns = (*opening, Turn("user", extra.ask), Turn("assistant", extra.answer))
    return Sample("", extra.kind, "general", extra.split, extra.kind, turns, extra.every, extra.turn)


def _without_contradicted(dated: list[tuple[Memory, Sample]]) -> list[tuple[Memory, Sample]]:
    """Less what a model asked and other memories, or the templates, answer otherwise."""
    refuted = contradicted(starmap(_answered, dated))
    return [(m, s) for m, s in dated if s.form != BY_MODEL or (s.memory, s.turns[-1].text) not in refuted]


def _newest_answers(dated: list[tuple[Memory, Sample]]) -> Iterator[Sample]:
    answered = list(starmap(_answered, dated))
    newest = newest_of(answered)
    outdated = outdated_of(answered, newest)
    seen: set[tuple[str, str]] = set()
    for (_, sample), one in zip(dated, answered, strict=True):
        once = (one.asked, one.answer)
        if one.one_at_a_time and (one.memory, one.answer) in outdated:
            continue
        if one.asked and (newest[one.asked].memory != one.memory or once in seen):
            continue
        seen.add(once)
        yield sample


def _answered(memory: Memory, sample: Sample) -> Answered:
    # Of the same moment (notes without a date), what was learned later wins: new before replay.
    return Answered.by(sample, (memory.instant, sample.role == "new"))
