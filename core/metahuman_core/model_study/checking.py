"""Holds what a model proposed against the memory: what is kept, and why the rest is refused. Pure.

Invariant: a kept answer is the person's own sentences; every name, number and link of a kept question stands in the
memory; a refused wording is counted under its reason and is never trained. The memory's text may say what it likes (to
a model, too): nothing is kept because of who asked for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metahuman_core.memories.model import Memory
from metahuman_core.model_study.common_words import OF_THE_NOTE, PLAIN_ANSWERS, VAGUE
from metahuman_core.model_study.marks import Marks
from metahuman_core.model_study.own_words import Told, own_text, place_of, share, told_in
from metahuman_core.model_study.proposal import Proposal
from metahuman_core.study import Asked, asked_by_templates, is_askable
from metahuman_core.study.grammar import expand
from metahuman_core.study.sentences import MAX_CHARS

_MARKS_OF_TEMPLATES = re.compile(
    r"<\|?/?[A-Za-z_][\w.]*\|?>|<\||\|>|\[/?(?:INST|SYS)\w*\]|<<|>>|\{\{|\}\}|\{%|%\}|```|^(?:#|system:|user:|assistant:)",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS = ("?", "\uff1f", "\u061f")
_MIN_ASK_WORDS = 2
_MAX_ASK_CHARS = 160


@dataclass(frozen=True, slots=True)
class Checked:
    """What is kept of a model's proposals for one memory, and the reason for each wording that is not."""

    kept: tuple[Asked, ...]
    refused: tuple[str, ...]


def check(memory: Memory, proposals: Sequence[Proposal]) -> Checked:
    """Keep what the memory bears out, with the person's own sentences for an answer."""
    whole, own, told = Marks(memory.whole_text), Marks(own_text(memory)), told_in(memory)
    taken = {_in_one_form(ask) for ask in asked_by_templates(memory)}
    kept: list[Asked] = []
    refused: list[str] = []
    for proposal in proposals:
        answer = Marks(" ".join(proposal.answer.split()))
        wordings = [" ".join(ask.split()) for ask in (proposal.ask, *proposal.ask_other_words)]
        if reason := _why_not_answer(answer, proposal.answer, own):
            refused += [reason] * len(wordings)
            continue
        try:
            place = place_of(answer, Marks(wordings[0]), told)
        except LookupError:
            refused += ["its answer is told in no one place of the memory"] * len(wordings)
            continue
        if place is None:
            refused += ["the memory says the opposite"] * len(wordings)
            continue
        good = []
        for ask in wordings:
            reason = next(_faults_of_ask(Marks(ask), place, answer, whole, told), "")
            reason = reason or ("asked already" if _in_one_form(ask) in taken else "")
            if reason:
                refused.append(reason)
            else:
                good.append(ask)
                taken.add(_in_one_form(ask))
        if good:
            kept.append(Asked(place.own.text, tuple(good)))
    return Checked(tuple(kept), tuple(refused))


def _why_not_answer(answer: Marks, as_given: str, own: Marks) -> str:
    """What is wrong with an answer, whatever is asked; "" where nothing is."""
    if reason := _why_not_text(as_given, own):
        return reason
    if len(answer.text) > MAX_CHARS:
        return "an answer that is too long"
    if set(answer.words) <= PLAIN_ANSWERS | {"i", "do", "am", "is", "it", "have"}:
        return "a plain yes or no"
    return next(_strangers(answer, own), "") or _why_nothing(answer)


def _why_nothing(answer: Marks) -> str:
    return "" if answer.telling or answer.numbers or answer.links else "an answer that tells nothing"


def _faults_of_ask(ask: Marks, place: Told, answer: Marks, whole: Marks, told: Sequence[Told]) -> Iterator[str]:
    """What is wrong with a question to which `place`, one of all that is `told`, answers."""
    if reason := _why_not_text(ask.text, whole):
        yield reason
    if len(ask.text) > _MAX_ASK_CHARS or len(ask.words) < _MIN_ASK_WORDS or not ask.text.endswith(_ASKS):
        yield "no question, or a long one"
    if not is_askable(expand(ask.text)):
        yield "a question that nobody would put so"
    yield from _strangers(ask, whole)
    if any(word in OF_THE_NOTE and not whole.has(word) for word in ask.words):
        yield "it asks about the note, and not of what it tells"
    known = [word for word in ask.telling if whole.has(word)]
    foreign = ask.telling - set(known) - VAGUE
    if not known or len(foreign) > len(known):
        yield "a question in words that the memory does not have"
    fits = place.fits(known)
    if not fits or place.lacks(ask):
        yield "it asks for something else than is answered"
    if any(other.fits(known) > fits for other in place.rivals(told)):
        yield "other sentences have more of what it asks for"
    if share(answer, ask) == 1 and answer.numbers <= ask.numbers:
        yield "the question gives the answer away"


def _why_not_text(text: str, source: Marks) -> str:
    """What no text of a model's may be, whatever it is."""
    if not text.strip():
        return "empty"
    if _MARKS_OF_TEMPLATES.search(text):
        return "marks of a chat template"
    if any(unicodedata.category(char)[0] == "C" and not char.isspace() for char in set(text) - set(source.text)):
        return "control characters"
    return "" if Marks(text).scripts <= source.scripts else "another script than the memory's"


def _strangers(said: Marks, source: Marks) -> Iterator[str]:
    if source.strange_names(said):
        yield "a name that is not in the memory"
    if source.strange_numbers(said):
        yield "a number that is not in the memory"
    if said.links - source.links:
        yield "an address that is not in the memory"


def _in_one_form(ask: str) -> str:
    return " ".join(Marks(expand(ask)).words)
