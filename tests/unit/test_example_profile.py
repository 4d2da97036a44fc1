"""The example profile is what the demo takes it for.

Invariants: every question is answered by some memory and copied from none; a
fact of the newest third is not told earlier; exactly one file is broken.
"""

from __future__ import annotations

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "profiles" / "example"
EPISODIC = EXAMPLE / "memory" / "episodic"
NEWEST_THIRD = datetime(2025, 7, 1, tzinfo=UTC)
TEXT_KEYS = (
    "content",
    "response",
    "messages",
    "prompt",
    "question",
    "answer",
    "userMessage",
    "assistantMessage",
    "assistantResponse",
    "metadata",
)


def texts_in(value: object) -> list[str]:
    """The strings of a memory that somebody said or wrote, in reading order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    if isinstance(value, dict):
        return [text for key in TEXT_KEYS if key in value for text in texts_in(value[key])]
    return []


def read_memories() -> tuple[list[tuple[datetime, str]], list[Path]]:
    """All episodic memories as (time, text), oldest first, and the broken files."""
    memories: list[tuple[datetime, str]] = []
    broken: list[Path] = []
    for path in sorted(EPISODIC.rglob("*.json")):
        try:
            memory: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            broken.append(path)
            continue
        when = datetime.fromisoformat(memory["timestamp"])
        memories.append((when, "\n".join(texts_in(memory))))
    return sorted(memories), broken


MEMORIES, BROKEN = read_memories()
QUESTIONS_TOML = (EXAMPLE / "questions.toml").read_text(encoding="utf-8")
QUESTIONS: list[dict[str, Any]] = tomllib.loads(QUESTIONS_TOML)["question"]


def says(text: str, answers: list[str]) -> bool:
    """Whether one of the answers stands in the text, as whole words, in any case."""
    return any(re.search(rf"\b{re.escape(a)}\b", text, re.IGNORECASE) for a in answers)


def plain(text: str) -> str:
    """Letters and digits only, so that punctuation doesn't hide a copy."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


ALL_TEXT = [
    plain(path.read_text(encoding="utf-8"))
    for folder in ("memory", "persona")
    for path in sorted((EXAMPLE / folder).rglob("*"))
    if path.is_file()
]


def test_there_are_enough_memories_and_few_enough_words() -> None:
    assert len(MEMORIES) >= 150
    assert sum(len(text.split()) for _, text in MEMORIES) <= 6500


def test_every_timestamp_is_aware() -> None:
    assert all(when.tzinfo is not None for when, _ in MEMORIES)


def test_the_first_of_july_parts_the_older_two_thirds_from_the_rest() -> None:
    older = sum(when < NEWEST_THIRD for when, _ in MEMORIES)
    assert abs(older - len(MEMORIES) * 2 / 3) <= 1


def test_exactly_one_file_is_broken() -> None:
    assert len(BROKEN) == 1
    others = [*(EXAMPLE / "persona").rglob("*.json"), *(EXAMPLE / "memory/curated").rglob("*.json")]
    assert others
    assert all(json.loads(path.read_text(encoding="utf-8")) for path in others)


def test_there_are_questions_for_both_parts() -> None:
    since = [question["since"] for question in QUESTIONS]
    assert len(since) >= 30
    assert set(since) == {1, 2}
    assert sum(bool(question.get("corrected")) for question in QUESTIONS) == 1


def test_no_question_is_asked_twice() -> None:
    asked = [plain(question["ask"]) for question in QUESTIONS]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: str(q["expect"][0]))
def test_a_question_is_answered_first_in_its_own_part(question: dict[str, Any]) -> None:
    told = [when for when, text in MEMORIES if says(text, question["expect"])]
    assert told
    assert (told[0] < NEWEST_THIRD) == (question["since"] == 1)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: str(q["expect"][0]))
def test_a_question_gives_nothing_away(question: dict[str, Any]) -> None:
    assert not says(question["ask"], question["expect"])
    assert not any(plain(question["ask"]) in text for text in ALL_TEXT)


def test_the_old_value_of_the_corrected_fact_is_told_only_before() -> None:
    (corrected,) = [question for question in QUESTIONS if question.get("corrected")]
    told = [when for when, text in MEMORIES if says(text, corrected["not"])]
    assert told
    assert all(when < NEWEST_THIRD for when in told)
