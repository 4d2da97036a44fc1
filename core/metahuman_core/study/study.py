"""Study by templates: which questions of a memory are trained, and which are kept out to probe it.

Invariant: a function of the memory alone. Every probe's answer is trained under another wording, a canonical wording is
never a probe, and no wording is both trained and a probe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from metahuman_core.memories.model import Memory
from metahuman_core.study.asking import Ask
from metahuman_core.study.passages import Passage, passages
from metahuman_core.study.rules import DAYS

MAX_ASKS_OF_FACT = 6
MAX_ASKS_OF_VAGUE = 2
MIN_QUESTIONS_FOR_PROBE = 3
MIN_QUESTIONS_FOR_TWO_PROBES = 6


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask and the person's own words for an answer; `form` names the rule, a `probe` is never trained."""

    ask: str
    answer: str
    form: str
    probe: bool


def study(memory: Memory, *, max_questions: int) -> tuple[Question, ...]:
    """The memory's questions, at most `max_questions` with its probes, the facts' canonical wordings first.

    From three questions on one is a probe, from six on two. Which one is decided by a hash of its wording, not of the
    memory: memories that say the same of different times (an old address and a new one) keep the same wording out, so
    that what probes the old fact probes its correction.
    """
    if max_questions <= 0:
        return ()
    found = _distinct(_with_day(memory, [passage for passage in passages(memory) if passage.asks]))
    probes = _probes(
        found[: max(1, max_questions - 2)], min(max_questions, sum(len(passage.asks) for passage in found))
    )
    trained = [question for question in _in_turn(found) if question.ask not in {probe.ask for probe in probes}]
    return (*trained[: max_questions - len(probes)], *probes)


def _distinct(found: list[Passage]) -> list[Passage]:
    """Facts before the vague rest; of passages with the same ask, the first has it; each cut to its share."""
    asked: set[str] = set()
    if any(passage.asks[0].form != "word" for passage in found):
        found = [passage for passage in found if passage.asks[0].form != "word"]
    kept = []
    for passage in sorted(found, key=lambda passage: passage.vague):
        fresh = [ask for ask in passage.asks if ask.text.casefold() not in asked]
        fresh = fresh[: MAX_ASKS_OF_VAGUE if passage.vague else MAX_ASKS_OF_FACT]
        asked |= {ask.text.casefold() for ask in fresh}
        if fresh:
            kept.append(replace(passage, asks=tuple(fresh)))
    return kept


def _with_day(memory: Memory, found: list[Passage]) -> list[Passage]:
    """What happened on the memory's day: asked of the first passage of a text that is dated."""
    if memory.turns or memory.happened_at is None or not found:
        return found
    day = f"{memory.happened_at.day} {memory.happened_at:%B %Y}"
    asks = [Ask(wording.format(day=day), "day") for wording in DAYS]
    first = found[0]
    share = MAX_ASKS_OF_VAGUE if first.vague else MAX_ASKS_OF_FACT
    return [replace(first, asks=(*first.asks[: share - 1], asks[len(first.asks) % len(asks)])), *found[1:]]


def _in_turn(found: list[Passage]) -> Iterator[Question]:
    """Every passage's first question, then every second one, and so on."""
    tiers = zip_longest(*([(ask, passage.answer) for ask in passage.asks] for passage in found))
    for ask, answer in (pair for tier in tiers for pair in tier if pair is not None):
        yield Question(ask.text, answer, ask.form, probe=False)


def _probes(found: list[Passage], questions: int) -> list[Question]:
    wanted = (questions >= MIN_QUESTIONS_FOR_PROBE) + (questions >= MIN_QUESTIONS_FOR_TWO_PROBES)
    spare = [
        Question(ask.text, passage.answer, ask.form, probe=True)
        for passage in found
        for ask in passage.asks[1:]
        if not ask.canonical
    ]
    spare.sort(
        key=lambda question: (question.form in {"cue", "day", "word"}, hashlib.sha256(question.ask.encode()).digest())
    )
    chosen: list[Question] = []
    for question in spare:
        if len(chosen) == wanted:
            break
        if question.answer not in {other.answer for other in chosen}:
            chosen.append(question)
    return chosen
