"""What was asked by a model, frozen into a run's folder (`questions.jsonl`) before its journal begins.

Invariant: the same questions give the same bytes; a run whose plan names them (`questions_sha256`) has exactly these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.journal import digest_of
from metahuman_core.plan import QUESTIONS
from metahuman_core.study import Asked


@dataclass(frozen=True, slots=True)
class AskedOfMemory:
    """A memory's digest, and what a model asked of it and the memory bears out."""

    memory: str
    asked: tuple[Asked, ...]


def question_lines(questions: Iterable[AskedOfMemory]) -> str:
    """One JSON line for each memory; "" for none."""
    rows = (
        {"memory": one.memory, "questions": [{"answer": fact.answer, "asks": list(fact.asks)} for fact in one.asked]}
        for one in questions
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def questions_sha256(questions: Iterable[AskedOfMemory]) -> str:
    """What a plan says of them; "" where there are none."""
    lines = question_lines(questions)
    return digest_of(lines) if lines else ""


def write_questions(run_dir: Path, questions: Iterable[AskedOfMemory]) -> None:
    """Freeze them; where there are none, there is no file."""
    if lines := question_lines(questions):
        write_text(run_dir / QUESTIONS, lines)


def read_questions(run_dir: Path, sha256: str) -> Mapping[str, tuple[Asked, ...]]:
    """By memory, those of a run whose plan says `sha256`. Raises MetahumanError where they are not these."""
    if not sha256:
        return {}
    try:
        text = (run_dir / QUESTIONS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MetahumanError(f"{run_dir / QUESTIONS} cannot be read", "start again with --discard") from error
    if digest_of(text) != sha256:
        raise MetahumanError(f"{run_dir / QUESTIONS} is not the one that was planned", "start again with --discard")
    rows = (json.loads(line) for line in text.split("\n") if line)  # a line separator may stand in a memory
    return {
        row["memory"]: tuple(Asked(fact["answer"], tuple(fact["asks"])) for fact in row["questions"]) for row in rows
    }
