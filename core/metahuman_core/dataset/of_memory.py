"""The samples of one memory, all of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from metahuman_core.dataset.samples import Sample, Split
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings
from metahuman_core.study import BY_MODEL, Asked, study

_BEGINNING_WORDS = 6
_BEGINNING_CHARS = 48  # languages that write without spaces have long "words"


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
