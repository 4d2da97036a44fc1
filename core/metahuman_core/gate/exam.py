"""Which prompts a version is asked: kept-out phrasings of its new memories and of its ancestry's, and general ones.

Invariants: nothing that was trained is asked; of what is superseded nothing is asked; the same run asks the same, and a
batch that is asked less asks the first of what it asked before, so that answers can be compared over versions. Where
there are more batches than prompts, those come that were not asked for the longest time.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from metahuman_core.dataset.outdated import outdated_in
from metahuman_core.dataset.samples import DATASET, Sample, read_samples
from metahuman_core.gate.measures import Asked, Said, SetName
from metahuman_core.journal import read_run_file
from metahuman_core.memories.model import Turn
from metahuman_core.shipped import shipped

EVALUATION = "evaluation.json"
"""The file in a run's folder with all that was measured."""


_SAME, _SAME_RECIPE = ("system", "anchor", "anchor_revision"), ("device", "quantize_base")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a set; see `measures.Asked` for `batch` and `then`.

    `parents`: what the parent said to it when it was measured itself; None where it was not asked, or not just this.
    """

    set: SetName
    batch: str
    sample: Sample
    then: tuple[bool, ...] = ()
    parents: Said | None = None

    @property
    def ask(self) -> str:
        """What is asked last."""
        return self.sample.turns[-2].text

    @property
    def wanted(self) -> str:
        """What is wanted for an answer."""
        return self.sample.turns[-1].text


def exam(run_dir: Path, ancestors: Sequence[Path], stale: frozenset[str], system: str, most: int) -> list[Prompt]:
    """The prompts for the run in `run_dir`: of new memories `most` at most, of older and of general ones twice as many,
    and a quarter of `most` that no memory answers.

    `ancestors`: the run folders of the ancestry, newest first; what is not there is left out. `stale`: digests of
    memories that are superseded.
    """
    answered = [answers_in(run) for run in ancestors]
    new = _first({run_dir.name: [s for s in _probes(run_dir) if s.role == "new"]}, most, {})
    general = islice(_general(system), 2 * most)
    unknown = _first({"": [s for s in _kept_out(run_dir) if s.kind == "unknown"]}, most // 4, {})
    old = _first(_old(run_dir, ancestors, stale), 2 * most, _last_asked(answered))
    then, parents = _recalled_then(answered), _said_by(ancestors[0], answered[0], run_dir) if ancestors else {}
    return [
        *(Prompt("new", batch, sample) for batch, sample in new),
        *(Prompt("old", batch, s, tuple(then[_key(s)]), parents.get((*_key(s), s.turns[-1].text))) for batch, s in old),
        *(Prompt("general", "", s, (), parents.get((*_key(s), s.turns[-1].text))) for s in general),
        *(Prompt("unknown", "", s) for _, s in unknown),
    ]


def _probes(run_dir: Path) -> Iterator[Sample]:
    """What was kept out of a run's memories."""
    return (sample for sample in _kept_out(run_dir) if sample.memory)


def _kept_out(run_dir: Path) -> Iterator[Sample]:
    dataset = run_dir / DATASET
    return (s for s in read_samples(dataset) if s.split == "probe") if dataset.is_file() else iter(())


def _old(run_dir: Path, ancestors: Sequence[Path], stale: frozenset[str]) -> dict[str, list[Sample]]:
    """Each old probe once, in the batch that it was first in, but for what is answered otherwise since. A consolidation
    has all of them again, for older datasets may be erased.
    """
    own = (s for s in _probes(run_dir) if s.role == "replay")
    batches: dict[str, list[Sample]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    outdated = outdated_in([*reversed(ancestors), run_dir])
    for batch, probes in [*((run.name, _probes(run)) for run in reversed(ancestors)), (run_dir.name, own)]:
        for sample in probes:
            if sample.memory not in stale and _key(sample) not in seen and not outdated.includes(sample):
                seen.add(_key(sample))
                batches[batch].append(sample)
    return batches


def _last_asked(answered: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """The version that asked a batch last, counted back from the parent, which is 0."""
    last: dict[str, int] = {}
    for ago, answers in enumerate(answered):
        for answer in answers:
            last.setdefault(str(answer.get("batch")), ago)
    return last


def _first(
    batches: Mapping[str, Iterable[Sample]], most: int, last_asked: Mapping[str, int]
) -> list[tuple[str, Sample]]:
    """The first of every batch, then the second of every batch, and so on, up to `most`: what was not asked for long
    before the rest, else in an order of no meaning.
    """
    ranked: list[tuple[int, float, bytes, str, Sample]] = []
    for batch, samples in batches.items():
        shuffled = sorted(samples, key=lambda s: _scattered(f"{s.memory}{s.turns[-2].text}"))
        since = last_asked.get(batch, math.inf)
        ranked += [(rank, -since, _scattered(batch), batch, sample) for rank, sample in enumerate(shuffled)]
    ranked.sort(key=lambda item: item[:4])
    return [(batch, sample) for *_, batch, sample in ranked[:most]]


def _scattered(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _general(system: str) -> Iterator[Sample]:
    opening = (Turn("system", system),) if system else ()
    with shipped("etc/general-prompts.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            turns = (*opening, Turn("user", row["ask"]), Turn("assistant", row["answer"]))
            yield Sample("", "general", "new", "probe", "general", turns)


def _key(sample: Sample) -> tuple[str, str]:
    return sample.memory, sample.turns[-2].text


def _recalled_then(answered: Sequence[Sequence[Mapping[str, Any]]]) -> Mapping[tuple[str, str], list[bool]]:
    """What each version of the ancestry recalled, the oldest first, by memory and prompt."""
    then: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for answer in chain.from_iterable(reversed(answered)):
        if answer.get("set") in ("new", "old"):
            then[str(answer["memory"]), str(answer["ask"])].append(bool(answer["after"]["recalled"]))
    return then


def _said_by(parent: Path, answers: Sequence[Mapping[str, Any]], run_dir: Path) -> dict[tuple[str, str, str], Said]:
    """What the parent said, by memory, prompt and wanted answer; nothing where it was asked as somebody else, or with
    other numbers: on another base, device or quantisation.
    """
    asked_as = _asked_as(parent)
    if asked_as is None or asked_as != _asked_as(run_dir):
        return {}
    try:
        asked = [TypeAdapter(Asked).validate_python(answer) for answer in answers]
    except ValidationError:
        return {}
    return {(one.memory, one.ask, one.wanted): one.after for one in asked}


def _asked_as(run_dir: Path) -> tuple[Any, ...] | None:
    file = read_run_file(run_dir)
    if file is None:
        return None
    of, training = file.inputs, file.inputs.get("training", {})
    return *(of.get(name) for name in _SAME), *(training.get(name) for name in _SAME_RECIPE)


def answers_in(run_dir: Path) -> list[dict[str, Any]]:
    """The answers of a version's evaluation as they stand in the file; none where it is not there, or an old one."""
    try:
        answers = json.loads((run_dir / EVALUATION).read_text(encoding="utf-8")).get("answers", [])
        return [a for a in answers if isinstance(a["after"]["recalled"], bool) and {"memory", "ask"} <= a.keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def forgotten_in(run_dir: Path) -> frozenset[str]:
    """The memories (digests) of which the version in `run_dir` did not recall more than half of what it was asked."""
    asked: dict[str, list[bool]] = defaultdict(list)
    for answer in answers_in(run_dir):
        if answer.get("set") in ("new", "old"):
            asked[str(answer["memory"])].append(answer["after"]["recalled"])
    return frozenset(memory for memory, recalled in asked.items() if 2 * sum(recalled) < len(recalled))
