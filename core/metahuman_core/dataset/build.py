"""Makes samples of memories, and writes them: one line of `dataset.jsonl` a sample.

Invariants: the same memories and settings give the same file, byte for byte; each sample names its memory; where two
memories answer the same question, the newer one does, so that a corrected fact wins, in whatever words it is asked for
where but one can hold (an address); kept-out phrasings ("probe") are never trained. What is trained beside memories has
the role "general" and no memory, and contradicts none (see `extras`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain, pairwise
from pathlib import Path
from typing import Literal, Self

from metahuman_core.dataset.contradicted import Answered, contradicted
from metahuman_core.dataset.extras import Extra, choose_extras
from metahuman_core.dataset.told import NOTHING_TOLD, Told
from metahuman_core.durable import making, sha256_file
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings
from metahuman_core.study import BY_MODEL, ONE_AT_A_TIME, Asked, study

DATASET = "dataset.jsonl"
"""The file in a run's folder with all its samples."""

Role = Literal["new", "replay", "general"]
Split = Literal["train", "probe"]
_WORDS = re.compile(r"\w+")
_BEGINNING_WORDS = 6
_BEGINNING_CHARS = 48  # languages that write without spaces have long "words"


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation to learn: the loss is on the last turn, the assistant's.

    `memory` is a digest, and empty where the role is "general".
    """

    memory: str
    kind: str
    role: Role
    split: Split
    form: str
    turns: tuple[Turn, ...]


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
) -> Dataset:
    """Write `out` (dataset.jsonl) from memories that were chosen; `system` opens each sample where it is not empty.

    `old_datasets` are those of the ancestry: what they kept out is never trained. `told_before` is what the ancestry's
    memories say, where that is not all in `replay`; None where nobody knows any more. `asked`: by memory (its digest),
    what a model asked of it. `is_outdated`: of a replayed memory's sample, whether the ancestry was told otherwise.
    `consolidates`: of a replayed memory all samples are taken, its probes too, as the old datasets may be erased.
    """
    new, replay, asked = tuple(new), tuple(replay), asked or {}
    before = _Before.of(old_datasets)
    dated = [(m, sample) for m in new for sample in samples_of(m, settings, system, asked.get(m.digest, ()))]
    again = whole_replay_of if consolidates else replay_of
    dated += [(m, sample) for m in replay for sample in again(m, settings, system, asked.get(m.digest, ()))]
    dated = [(m, sample) for m, sample in dated if sample.role == "new" or not is_outdated(sample)]
    dated = _without_contradicted(dated)
    kept_out = before.kept_out | {asked_words(sample) for _, sample in dated if sample.split == "probe"}
    kept_out.discard("")
    samples = [s for s in _newest_answers(dated) if s.split == "probe" or asked_words(s) not in kept_out]
    probes = sum(s.split == "probe" for s in samples)
    told = told_before and told_before.and_also([system, *(f"{m.title}\n{m.whole_text}" for m in (*new, *replay))])
    extras = choose_extras(
        len(samples) - probes,
        before.asks | {s.turns[-2].text for s in samples},
        told,
        before.general,
        settings,
        sha256("".join(memory.digest for memory in (*new, *replay)).encode()).hexdigest(),
    )
    samples += [_beside(extra, system) for extra in extras]
    with making(out) as partial, partial.open("w", encoding="utf-8") as file:
        partial.chmod(0o600)
        for sample in samples:
            file.write(_line(sample))
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
    """What older datasets asked of memories, what of that they kept out (in one form), and how often what else."""

    asks: set[str]
    kept_out: set[str]
    general: Counter[str]

    @classmethod
    def of(cls, datasets: Iterable[Path]) -> Self:
        """Read them line by line: of years of samples only the questions are held."""
        before = cls(set(), set(), Counter())
        for sample in chain.from_iterable(map(read_samples, datasets)):
            if sample.role == "general":
                # What was unknown once is asked and answered as soon as a memory tells of it.
                before.general[sample.turns[-2].text] += 1
                continue
            before.asks.add(sample.turns[-2].text)
            if sample.split == "probe":
                before.kept_out.add(asked_words(sample))
        return before


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a `dataset.jsonl`, line by line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            turns = tuple(Turn(m["role"], m["content"]) for m in raw["messages"])
            yield Sample(raw["memory"], raw["kind"], raw["role"], raw["split"], raw["form"], turns)


def samples_of(memory: Memory, settings: DatasetSettings, system: str, asked: Sequence[Asked] = ()) -> Iterator[Sample]:
    """All samples of a new memory: its exchanges as they were, then questions and answers about it."""
    opening = (Turn("system", system),) if system else ()
    for turns in exchanges(memory):
        yield Sample(memory.digest, memory.kind, "new", "train", "exchange", opening + turns)
    questions = study(memory, max_questions=settings.questions_per_memory, asked=asked)
    if memory.text and all(question.probe or question.form == BY_MODEL for question in questions):
        yield Sample(memory.digest, memory.kind, "new", "train", "whole", opening + _whole(memory))
    for question in questions:
        turns = (Turn("user", question.ask), Turn("assistant", question.answer))
        split: Split = "probe" if question.probe else "train"
        yield Sample(memory.digest, memory.kind, "new", split, question.form, opening + turns)


def replay_of(memory: Memory, settings: DatasetSettings, system: str, asked: Sequence[Asked] = ()) -> list[Sample]:
    """Some samples of an old memory, its first questions above all: many memories once keep more than a few often."""
    trained = [sample for sample in samples_of(memory, settings, system, asked) if sample.split == "train"]
    told = [sample.turns[-1].text for sample in trained]
    # Where a model saw what the templates do not, each thing that is told has its turn before any has a second.
    turn = [told[:place].count(text) if asked else 0 for place, text in enumerate(told)]
    ranked = sorted(zip(turn, trained, strict=True), key=lambda one: (one[1].form == "exchange", one[0]))
    questions_first = [sample for _, sample in ranked]
    return [replace(sample, role="replay") for sample in questions_first[: settings.replay_samples]]


def _beside(extra: Extra, system: str) -> Sample:
    opening = (Turn("system", system),) if system else ()
    turns = (*opening, Turn("user", extra.ask), Turn("assistant", extra.answer))
    return Sample("", extra.kind, "general", extra.split, extra.kind, turns)


def whole_replay_of(
    memory: Memory, settings: DatasetSettings, system: str, asked: Sequence[Asked] = ()
) -> list[Sample]:
    """All samples of an old memory, for a run that goes on from nothing that has learned it."""
    return [replace(sample, role="replay") for sample in samples_of(memory, settings, system, asked)]


def _whole(memory: Memory) -> tuple[Turn, Turn]:
    """For a text that no rule understands, in whatever language: its own beginning asks for it."""
    beginning = " ".join(memory.text.split()[:_BEGINNING_WORDS])[:_BEGINNING_CHARS]
    return Turn("user", f"You once noted: {beginning} …"), Turn("assistant", memory.text)


def exchanges(memory: Memory) -> Iterator[tuple[Turn, ...]]:
    """A conversation's exchanges, each with what led to it, in the direction of the memory's mode.

    emulation and agent: as it was said. dual: turned round, what the assistant said leads to what the person said.
    """
    said = [turn for turn in memory.turns if turn.role != "system" and turn.text.strip()]
    if memory.mode == "dual":
        for first, second in pairwise(said):
            if first.role == "user" and second.role == "assistant":
                yield Turn("user", second.text), Turn("assistant", first.text)
        return
    for end, turn in enumerate(said):
        if turn.role == "assistant" and end > 0 and said[end - 1].role == "user":
            yield tuple(said[: end + 1])


def _without_contradicted(dated: list[tuple[Memory, Sample]]) -> list[tuple[Memory, Sample]]:
    """Less what a model asked and other memories, or the templates, answer otherwise."""
    refuted = contradicted(
        Answered((m.instant, s.role == "new"), s.memory, asked_words(s), s.turns[-1].text, s.form) for m, s in dated
    )
    return [(m, s) for m, s in dated if s.form != BY_MODEL or (s.memory, s.turns[-1].text) not in refuted]


def _newest_answers(dated: list[tuple[Memory, Sample]]) -> Iterator[Sample]:
    # Of the same moment (notes without a date), what was learned later wins: new before replay.
    newest: dict[str, tuple[tuple[str, bool], str]] = {}
    for memory, sample in dated:
        key = asked_words(sample)
        age = (memory.instant, sample.role == "new")
        if key and (key not in newest or age >= newest[key][0]):
            newest[key] = (age, sample.memory)
    # Where a newer memory answers one question of such a fact, the old answer to all of them is outdated. What else the
    # same sentence tells is not.
    outdated = {
        (sample.memory, sample.turns[-1].text)
        for _, sample in dated
        if (key := asked_words(sample)) and sample.form in ONE_AT_A_TIME and newest[key][1] != sample.memory
    }
    seen: set[tuple[str, str]] = set()
    for _, sample in dated:
        key = asked_words(sample)
        once = (key, sample.turns[-1].text)
        if sample.form in ONE_AT_A_TIME and (sample.memory, once[1]) in outdated:
            continue
        if key and (newest[key][1] != sample.memory or once in seen):
            continue
        seen.add(once)
        yield sample


def asked_words(sample: Sample) -> str:
    """A question in one form, for comparison; empty for what has a history (the same words may mean something else)."""
    asked = [turn for turn in sample.turns if turn.role != "system"]
    return " ".join(_WORDS.findall(asked[0].text.casefold())) if len(asked) == 2 else ""  # noqa: PLR2004


def _line(sample: Sample) -> str:
    messages = [{"role": turn.role, "content": turn.text} for turn in sample.turns]
    row = {
        "memory": sample.memory,
        "kind": sample.kind,
        "role": sample.role,
        "split": sample.split,
        "form": sample.form,
        "messages": messages,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"
