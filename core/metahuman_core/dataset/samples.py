"""A run's samples, and how they stand in `dataset.jsonl`: one line each.

Invariant: what was written is what is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metahuman_core.memories.model import Turn

DATASET = "dataset.jsonl"
"""The file in a run's folder with all its samples."""

Role = Literal["new", "replay", "general"]
Split = Literal["train", "probe"]
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation to learn: the loss is on the last turn, the assistant's.

    `memory` is a digest, and empty where the role is "general". It is trained in each `every`-th epoch, in `turn` (from
    0) first.
    """

    memory: str
    kind: str
    role: Role
    split: Split
    form: str
    turns: tuple[Turn, ...]
    every: int = 1
    turn: int = 0


def line_of(sample: Sample) -> str:
    """A sample's line in `dataset.jsonl`, as `read_samples` reads it."""
    messages = [{"role": turn.role, "content": turn.text} for turn in sample.turns]
    row = {
        "memory": sample.memory,
        "kind": sample.kind,
        "role": sample.role,
        "split": sample.split,
        "form": sample.form,
        **({"every": sample.every, "turn": sample.turn} if sample.every > 1 else {}),
        "messages": messages,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of a `dataset.jsonl`, line by line."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)
            turns = tuple(Turn(m["role"], m["content"]) for m in raw["messages"])
            names = raw["memory"], raw["kind"], raw["role"], raw["split"], raw["form"]
            yield Sample(*names, turns, raw.get("every", 1), raw.get("turn", 0))


def asked_words(sample: Sample) -> str:
    """A question in one form, for comparison; empty for what has a history (the same words may mean something else)."""
    asked = [turn for turn in sample.turns if turn.role != "system"]
    return " ".join(_WORDS.findall(asked[0].text.casefold())) if len(asked) == 2 else ""  # noqa: PLR2004


def an_epoch_of(samples: Iterable[Sample]) -> int:
    """How many samples an epoch has."""
    return round(sum(1 / sample.every for sample in samples if sample.split == "train"))
