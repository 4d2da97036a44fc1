"""What the gate made of a case, kept as JSON: measures, and no verdict, so that other bounds can be tried on them.

Invariant: a file's name holds a digest of what the case is made of; one of another recipe is never read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gate_cases import Case
from metahuman_core.durable import write_text
from metahuman_core.gate.judging import judge
from metahuman_core.gate.measures import Evaluation
from metahuman_core.journal import as_plain
from metahuman_core.results import Checked
from metahuman_core.settings import GateSettings


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused`: what a step said before anything was measured. `seconds` by step. What was not done is None."""

    name: str
    refused: str = ""
    evaluation: Evaluation | None = None
    checked: Checked | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def reasons(self, gate: GateSettings) -> tuple[str, ...]:
        """Why it may not go live, by these bounds; none where it may."""
        judged = judge(self.evaluation, gate).reasons if self.evaluation else ()
        return (*((self.refused,) if self.refused else ()), *judged, *(self.checked.reasons if self.checked else ()))


def is_right(case: Case, reasons: Sequence[str]) -> bool:
    """Whether the gate did with a case what it should: nothing, or stop it for the reason that there is."""
    if case.kind == "honest":
        return not reasons
    return any(words in reason for words in case.words for reason in reasons)


def kept_at(results: Path, case: Case, size: str) -> Path:
    """The file with a case's outcome."""
    return results / f"{size}-{case.name}-{case.digest(size)}.json"


def keep(path: Path, outcome: Outcome, answers: Sequence[dict[str, Any]]) -> None:
    """Write an outcome, and the answers it comes from for whoever wants to read them."""
    write_text(path, json.dumps({**as_plain(outcome), "answers": answers}, indent=1, ensure_ascii=False) + "\n")


def read_kept(path: Path) -> Outcome | None:
    """An outcome that was kept; None where there is none, or it is of another kind."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw.pop("answers", None)
        return TypeAdapter(Outcome).validate_python(raw)
    except (OSError, ValueError, ValidationError, AttributeError):
        return None
