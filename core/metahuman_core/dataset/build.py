"""Makes samples of memories, and writes them: one line of `dataset.jsonl` a sample.

Invariants: the same memories and settings give the same file, byte for byte; each sample names its memory; where two
memories answer the same question, the newer one does, so that a corrected fact wins, in whatever words it is asked for
where but one can hold (an address); kept-out phrasings ("probe") are never trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from metahuman_core.durable import making, sha256_file
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings
from metahuman_core.study import ONE_AT_A_TIME, study

Role = Literal["new", "replay"]
Split = Literal["train", "probe"]
_WORDS = re.compile(r"\w+")
_BEGINNING_WORDS = 6
_BEGINNING_CHARS = 48  # languages that write without spaces have long "words"


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation to learn: the loss is on the last turn, the assistant's. `memory` is a digest."""

    memory: str
    kind: str
    role: Role
    split: Split
    form: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What `dataset.jsonl` holds: its SHA-256 and how many samples and memories of which sort."""

    sha256: str
    samples: int
    probes: int
    memories_new: int
    memories_replayed: int


def build_dataset(
    new: Iterable[Memory],
    replay: Iterable[Memory],
    old_datasets: Iterable[Path],
    settings: DatasetSettings,
    system: str,
    out: Path,
) -> Dataset:
    """Write `out` (dataset.jsonl) from memories that were chosen; `system` opens each sample where it is not empty.

    `old_datasets` are those of the ancestry: what they kept out is never trained.
    """
    new, replay = tuple(new), tuple(replay)
    dated = [(memory, sample) for memory in new for sample in samples_of(memory, settings, system)]
    dated += [(memory, sample) for memory in replay for sample in replay_of(memory, settings, system)]
    kept_out = {_asked(s) for path in old_datasets for s in read_samples(path) if s.split == "probe"}
    kept_out |= {_asked(sample) for _, sample in dated if sample.split == "probe"}
    kept_out.discard("")
    samples = [s for s in _newest_answers(dated) if s.split == "probe" or _asked(s) not in kept_out]
    with making(out) as partial, partial.open("w", encoding="utf-8") as file:
        partial.chmod(0o600)
        for sample in samples:
            file.write(_line(sample))
    return Dataset(
        sha256=sha256_file(out),
        samples=sum(s.split == "train" for s in samples),
        probes=sum(s.split == "probe" for s in samples),
        memories_new=len(new),
        memories_replayed=len(replay),
    )


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a `dataset.jsonl`, line by line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            turns = tuple(Turn(m["role"], m["content"]) for m in raw["messages"])
            yield Sample(raw["memory"], raw["kind"], raw["role"], raw["split"], raw["form"], turns)


def samples_of(memory: Memory, settings: DatasetSettings, system: str) -> Iterator[Sample]:
    """All samples of a new memory: its exchanges as they were, then questions and answers about it."""
    opening = (Turn("system", system),) if system else ()
    for turns in exchanges(memory):
        yield Sample(memory.digest, memory.kind, "new", "train", "exchange", opening + turns)
    questions = study(memory, max_questions=settings.questions_per_memory)
    if memory.text and all(question.probe for question in questions):
        yield Sample(memory.digest, memory.kind, "new", "train", "whole", opening + _whole(memory))
    for question in questions:
        turns = (Turn("user", question.ask), Turn("assistant", question.answer))
        split: Split = "probe" if question.probe else "train"
        yield Sample(memory.digest, memory.kind, "new", split, question.form, opening + turns)


def replay_of(memory: Memory, settings: DatasetSettings, system: str) -> list[Sample]:
    """Some samples of an old memory, its first questions above all: many memories once keep more than a few often."""
    trained = [sample for sample in samples_of(memory, settings, system) if sample.split == "train"]
    questions_first = sorted(trained, key=lambda sample: sample.form == "exchange")
    return [replace(sample, role="replay") for sample in questions_first[: settings.replay_samples]]


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


def _newest_answers(dated: list[tuple[Memory, Sample]]) -> Iterator[Sample]:
    # Of the same moment (notes without a date), what was learned later wins: new before replay.
    newest: dict[str, tuple[tuple[str, bool], str]] = {}
    for memory, sample in dated:
        key = _asked(sample)
        age = (memory.instant, sample.role == "new")
        if key and (key not in newest or age >= newest[key][0]):
            newest[key] = (age, sample.memory)
    # Where a newer memory answers one question of such a fact, the old answer to all of them is outdated. What else the
    # same sentence tells is not.
    outdated = {
        (sample.memory, sample.turns[-1].text)
        for _, sample in dated
        if (key := _asked(sample)) and sample.form in ONE_AT_A_TIME and newest[key][1] != sample.memory
    }
    seen: set[tuple[str, str]] = set()
    for _, sample in dated:
        key = _asked(sample)
        once = (key, sample.turns[-1].text)
        if sample.form in ONE_AT_A_TIME and (sample.memory, once[1]) in outdated:
            continue
        if key and (newest[key][1] != sample.memory or once in seen):
            continue
        seen.add(once)
        yield sample


def _asked(sample: Sample) -> str:
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
