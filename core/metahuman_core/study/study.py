"""Study: which questions of a memory are trained, and which are kept out to probe it.

Invariant: a function of the memory, and of what a model asked of it, alone. Every probe's answer is trained under
another wording, a canonical wording is never a probe, and no wording is both trained and a probe.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

from metahuman_core.memories.model import Memory
from metahuman_core.study.asking import Ask, Worth, is_askable
from metahuman_core.study.cues import DAYS
from metahuman_core.study.passages import Passage, passages
from metahuman_core.study.reworded import reworded

MAX_ASKS_OF_FACT = 12
MAX_ASKS_OF_CUE = 2
MIN_QUESTIONS_FOR_PROBE = 3
# The share of `max_questions` that a memory gets, by the worthiest thing that it tells: small talk has few.
_SHARE = {Worth.FACT: 1.0, Worth.ASKED: 1.0, Worth.DETAILED: 0.75, Worth.TOLD: 0.5, Worth.CUE: 0.25, Worth.ASIDE: 0.25}
MIN_QUESTIONS_FOR_TWO_PROBES = 9
# Of a fact that a model saw, a wording is kept out where so many others are trained.
MIN_TRAINED_FOR_PROBE = 2
BY_MODEL = "model"
# When its turn comes: each fact has two questions before what a model asked has its first, three before any vaguer
# sentence has one, and a fourth before another kind of cue. A passage's n-th question comes at 2n and this much later;
# of equals the vaguer comes first.
_LATER = {Worth.FACT: 0, Worth.ASKED: 3, Worth.DETAILED: 1, Worth.TOLD: 7, Worth.CUE: 8, Worth.ASIDE: 11}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask and the person's own words for an answer; `form` names the rule, a `probe` is never trained."""

    ask: str
    answer: str
    form: str
    probe: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model asked of a memory: the wordings of one question, and the person's own words that answer it."""

    answer: str
    asks: tuple[str, ...]


def study(memory: Memory, *, max_questions: int, asked: Sequence[Asked] = ()) -> tuple[Question, ...]:
    """The memory's questions, at most `max_questions` with its probes, the facts' canonical wordings first.

    `asked` is what a model asked of it, if it was given to one: that comes behind the facts that the templates know,
    and before what is vaguer; of each of these facts one wording is kept out where at least two others are trained.

    From three questions on one is a probe, from nine on two. Which one is decided by a hash of its wording, not of the
    memory: memories that say the same of different times (an old address and a new one) keep the same wording out, so
    that what probes the old fact probes its correction.
    """
    if max_questions <= 0:
        return ()
    told = [_widened(passage) for passage in passages(memory) if passage.asks]
    told += [Passage(one.answer, _asks_of(one), Worth.ASKED) for one in asked if one.asks]
    found = _distinct(_with_day(memory, told))
    worth = max((passage.worth for passage in found), default=Worth.ASIDE)
    max_questions = max(1, round(max_questions * _SHARE[worth]))
    in_turn = _in_turn(found)
    questions = min(max_questions, len(in_turn))
    wanted = (questions >= MIN_QUESTIONS_FOR_PROBE) + (questions >= MIN_QUESTIONS_FOR_TWO_PROBES)
    probes = _probes(found, {question.ask for question in in_turn[: max_questions - wanted]}, wanted)
    probes += _probes_of_asked(found, probes, max_questions)
    return (*_trained(found, {probe.ask for probe in probes}, max_questions), *probes)


def asked_by_templates(memory: Memory) -> frozenset[str]:
    """All that the templates could ask of a memory, in whatever words."""
    return frozenset(ask.text for passage in passages(memory) for ask in _widened(passage).asks)


def _asks_of(asked: Asked) -> tuple[Ask, ...]:
    return tuple(Ask(text, BY_MODEL, canonical=number == 0) for number, text in enumerate(asked.asks))


def _trained(found: list[Passage], kept_out: Collection[str], max_questions: int) -> list[Question]:
    """The questions that are trained: those that are not kept out, as far as there is room beside these."""
    return _in_turn([passage.without(kept_out) for passage in found])[: max(0, max_questions - len(kept_out))]


def _probes_of_asked(found: list[Passage], others: list[Question], max_questions: int) -> list[Question]:
    """One wording of each fact that a model saw, as far as enough others of the same are trained beside them all."""
    probes = {
        place: min(passage.asks[1:], key=lambda ask: hashlib.sha256(ask.text.encode()).digest())
        for place, passage in enumerate(found)
        if passage.worth is Worth.ASKED and len(passage.asks) > MIN_TRAINED_FOR_PROBE
    }
    while probes:
        kept_out = {question.ask for question in others} | {ask.text for ask in probes.values()}
        trained = {question.ask for question in _trained(found, kept_out, max_questions)}
        lacking = [
            place for place in probes if sum(ask.text in trained for ask in found[place].asks) < MIN_TRAINED_FOR_PROBE
        ]
        if not lacking:
            break
        del probes[lacking[-1]]
    return [Question(ask.text, found[place].answer, ask.form, probe=True) for place, ask in probes.items()]


def _widened(passage: Passage) -> Passage:
    """With other words in its questions: after each of the rules' own wordings one of its rewordings."""
    if passage.worth <= Worth.CUE or passage.worth is Worth.ASKED:
        return passage
    again = [[Ask(text, ask.form) for text in reworded(ask.text) if is_askable(text)] for ask in passage.asks]
    in_turn = [ask for pair in zip(passage.asks, (r[:1] for r in again), strict=True) for ask in (pair[0], *pair[1])]
    rest = [ask for ask in chain.from_iterable(zip_longest(*(r[1:] for r in again))) if ask is not None]
    return replace(passage, asks=(*in_turn, *rest))


def _distinct(found: list[Passage]) -> list[Passage]:
    """The worthiest first; of passages with the same ask, the first has it; each cut to its share."""
    asked: set[str] = set()
    if any(passage.asks[0].form != "word" for passage in found):
        found = [passage for passage in found if passage.asks[0].form != "word"]
    kept = []
    for passage in sorted(found, key=lambda passage: -passage.worth):
        fresh = [ask for ask in passage.asks if ask.text.casefold() not in asked]
        fresh = fresh[: MAX_ASKS_OF_CUE if passage.worth <= Worth.CUE else MAX_ASKS_OF_FACT]
        asked |= {ask.text.casefold() for ask in fresh}
        if fresh:
            kept.append(replace(passage, asks=tuple(fresh)))
    return kept


def _with_day(memory: Memory, found: list[Passage]) -> list[Passage]:
    """What happened on the memory's day: asked, last of all, of the first passage of a text that is dated."""
    if memory.turns or memory.happened_at is None or not found:
        return found
    day = f"{memory.happened_at.day} {memory.happened_at:%B %Y}"
    ask = Ask(DAYS[memory.happened_at.day % len(DAYS)].format(day=day), "day")
    return [*found, Passage(found[0].answer, (ask,), Worth.ASIDE)]


def _in_turn(found: list[Passage]) -> list[Question]:
    """The questions of all passages, in the order in which they are worth their place."""
    waiting = [
        (2 * number + _LATER[passage.worth], passage.worth, place, number)
        for place, passage in enumerate(found)
        for number in range(len(passage.asks))
    ]
    return [
        Question(found[place].asks[number].text, found[place].answer, found[place].asks[number].form, probe=False)
        for _, _, place, number in sorted(waiting)
    ]


def _probes(found: list[Passage], trained: set[str], wanted: int) -> list[Question]:
    """Wordings to keep out, of the worthiest passages of which another wording is trained, and most of all of those
    that have wordings to spare.
    """
    spare = [
        (
            -passage.worth,
            len(passage.asks) < MIN_QUESTIONS_FOR_PROBE,
            hashlib.sha256(ask.text.encode()).digest(),
            ask,
            passage,
        )
        for passage in found
        if passage.asks[0].text in trained and passage.worth is not Worth.ASKED
        for ask in passage.asks[1:]
        if not ask.canonical
    ]
    spare.sort(key=lambda entry: entry[:3])
    chosen: list[Question] = []
    for *_, ask, passage in spare:
        if len(chosen) < wanted and passage.answer not in {other.answer for other in chosen}:
            chosen.append(Question(ask.text, passage.answer, ask.form, probe=True))
    return chosen
