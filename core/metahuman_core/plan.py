"""What a run is asked to do, frozen: written into `run.json` before anything is done, read by the child.

Invariant: a run's folder holds all that its steps need (with the anchor), so that it can be finished later, or
elsewhere, with the same bytes, whatever became of the memory files meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings, GateSettings, TrainingSettings, WeightSettings

MEMORIES = "memories.jsonl"
QUESTIONS = "questions.jsonl"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Paths are relative to the root where they lie under it.

    `base_model` is what the registry will call the base, `anchor` (folder or Hub id, at `anchor_revision`) with
    `warm_start` (an adapter folder) what is loaded. `ancestry`: run labels of the parent and its parents, newest first.
    `stale`: digests of memories that the ancestry trained and that are superseded now. `command_sha256`: what makes two
    commands the same (flags and recipe, and not the memories: what is new by then waits for the run after).
    `from_rolled_back`: the parent was rolled back before the run began, and a person named it: that makes a branch.
    `questions_sha256`: of what a model asked of the memories (see model_study/frozen.py), "" where none was asked.
    `consolidation`: why all that counts is trained anew, from the line's first anchor ("": an ordinary run);
    `compared_with`: the parent's adapter folder, or its model/ where that stands on another anchor: what such a run is
    measured against, and does not go on from.
    `parent_knows_erased`: what the parent says in that measuring may be what was erased, and is not written down.
    """

    profile: str
    registry: str
    base_model: str
    anchor: str
    anchor_revision: str
    warm_start: str | None
    parent_version: int | None
    ancestry: tuple[str, ...]
    stale: tuple[str, ...]
    mode: Literal["all", "dual", "agent", "emulation"]
    system: str
    ollama_name: str
    publish: bool
    temperature: float
    num_ctx: int
    command_sha256: str
    memories_sha256: str
    dataset: DatasetSettings
    training: TrainingSettings
    weights: WeightSettings
    gate: GateSettings = field(default_factory=GateSettings)
    from_rolled_back: bool = False
    questions_sha256: str = ""
    consolidation: str = ""
    compared_with: str | None = None
    parent_knows_erased: bool = False


def read_plan(inputs: dict[str, Any]) -> Plan:
    """The plan that a run's journal holds as its inputs. Raises MetahumanError where it is none."""
    try:
        return TypeAdapter(Plan).validate_python(inputs)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise MetahumanError(
            f"the run's plan cannot be understood: {where}: {first['msg']}", "start again with --discard"
        ) from error


def memory_lines(new: Iterable[Memory], replay: Iterable[Memory]) -> str:
    """The chosen memories as JSON lines, `role` new or replay; the same memories give the same text."""
    rows = [
        {
            "memory": m.digest,
            "role": role,
            "kind": m.kind,
            "mode": m.mode,
            "happened_at": m.happened_at.isoformat() if m.happened_at else None,
            "turns": [[t.role, t.text] for t in m.turns],
            "text": m.text,
            "title": m.title,
        }
        for role, memories in (("new", new), ("replay", replay))
        for m in memories
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_memories(run_dir: Path, lines: str) -> None:
    """Freeze the chosen memories into the run's folder."""
    write_text(run_dir / MEMORIES, lines)


def read_memories(run_dir: Path) -> tuple[tuple[Memory, ...], tuple[Memory, ...]]:
    """The run's new memories and its replay."""
    parts: dict[str, list[Memory]] = {"new": [], "replay": []}
    with (run_dir / MEMORIES).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            memory = Memory(
                source="",
                unit="",
                kind=row["kind"],
                mode=row["mode"],
                happened_at=datetime.fromisoformat(row["happened_at"]) if row["happened_at"] else None,
                turns=tuple(Turn(role, text) for role, text in row["turns"]),
                text=row["text"],
                title=row["title"],
            )
            parts[row["role"]].append(memory)
    return tuple(parts["new"]), tuple(parts["replay"])
