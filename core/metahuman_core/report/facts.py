"""What a report tells of a run, gathered from its folder and the registry.

Invariant: of the samples that were trained it has counts and what was asked, cut to a line, never an answer. The
answers in it are those of the gate's prompts, which `evaluation.json` holds as well.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from metahuman_core.dataset.samples import DATASET, read_samples
from metahuman_core.gate.exam import EVALUATION
from metahuman_core.gate.measures import Asked
from metahuman_core.journal import RunFile
from metahuman_core.plan import Plan, read_plan
from metahuman_core.registering import Made
from metahuman_core.registry import Registry

_MOST_ASKS = 300
_MOST_POINTS = 600
_ASK_CHARS = 160


@dataclass(frozen=True, slots=True)
class Row:
    """A version's row of the R matrix: what it is called, and the share (0 to 1) recalled by batch (run label)."""

    name: str
    recall: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trained:
    """How many samples of a role (new, replay, general) and kind of memory were trained, and how many kept out."""

    role: str
    kind: str
    trained: int
    kept_out: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the page shows. `names`: versions by run label; the run's own is not known yet, and called "this"."""

    run_label: str
    plan: Plan
    made: Made
    done: tuple[tuple[str, datetime], ...]
    names: Mapping[str, str]
    rows: tuple[Row, ...]
    losses: tuple[tuple[int, float], ...]
    answers: tuple[Asked, ...]
    trained: tuple[Trained, ...]
    asks: tuple[str, ...]
    more_asks: int


def gather(run_dir: Path, file: RunFile, made: Made, registry: Registry) -> Facts:
    """Read what a run that was evaluated and checked left in its folder. `registry` does not know it yet."""
    plan = read_plan(file.inputs)
    parent = registry.find(plan.parent_version) if plan.parent_version else None
    line = registry.ancestry(parent)[::-1]
    names = {version.run_label: str(version.version) for version in registry.training_history if version.run_label}
    counts, asks = _samples(run_dir / DATASET)
    shown = tuple(dict.fromkeys(asks))
    return Facts(
        run_label=file.run_label,
        plan=plan,
        made=made,
        done=tuple((name, entry.done_at) for name, entry in file.steps.items()),
        names={**names, file.run_label: "this"},
        rows=(
            *(Row(str(version.version), version.recall) for version in line if version.recall),
            Row("this", made.learned.evaluation.recall),
        ),
        losses=tuple(_losses(run_dir / "train-log.jsonl")),
        answers=_answers(run_dir / EVALUATION),
        trained=counts,
        asks=shown[:_MOST_ASKS],
        more_asks=max(0, len(shown) - _MOST_ASKS),
    )


def _samples(dataset: Path) -> tuple[tuple[Trained, ...], list[str]]:
    """Counts by role and kind, and what was asked of the new memories, cut to a line."""
    trained: Counter[tuple[str, str]] = Counter()
    kept_out: Counter[tuple[str, str]] = Counter()
    asks = []
    for sample in read_samples(dataset):
        if sample.split == "probe":
            kept_out[sample.role, sample.kind] += 1
            continue
        trained[sample.role, sample.kind] += 1
        if sample.role == "new":
            asks.append(_line(sample.turns[-2].text))
    both = sorted(trained | kept_out)
    return tuple(Trained(*key, trained[key], kept_out[key]) for key in both), asks


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _ASK_CHARS else f"{line[:_ASK_CHARS]} …"


def _losses(log: Path) -> Iterator[tuple[int, float]]:
    """(step, loss) for the curve, thinned out where there are many."""
    with log.open(encoding="utf-8") as lines:
        points = [(int(row["step"]), float(row["loss"])) for row in map(json.loads, lines)]
    every = -(-len(points) // _MOST_POINTS)
    yield from (point for point in points[:: every or 1] if math.isfinite(point[1]))


def _answers(evaluation: Path) -> tuple[Asked, ...]:
    raw = json.loads(evaluation.read_text(encoding="utf-8"))
    return TypeAdapter(tuple[Asked, ...]).validate_python(raw.get("answers", []))
