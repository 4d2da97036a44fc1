"""Whether an answer says what was wanted, and what is wrong with it as text. Pure.

Exact match and a share of words are the measures of question answering (SQuAD's EM and F1), made stricter where a
person would be: a number or a name that is another one is a wrong answer, however well the rest fits.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

from metahuman_core.gate.measures import Flaw

# Scripts without spaces count by the sign.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\W_]+")
_SENTENCE = re.compile(r"[.!?:\n]\s*")
_MOST_OF = 0.6
_HALF = 0.5
_TALKS_ON = 3
_LONG_BYTES = 60
_COMPRESSES_TO = 0.5


def words_of(text: str) -> list[str]:
    """The words in lower case, without punctuation; a sign each where no spaces are written."""
    return _WORD.findall(text.casefold())


def is_exact(wanted: str, answer: str) -> bool:
    """Whether the answer is the wanted words and no others."""
    return words_of(wanted) == words_of(answer)


def is_recalled(ask: str, wanted: str, answer: str) -> bool:
    """Whether the answer tells what was wanted, in whatever order.

    Most of the words that the question did not give away occur in it, all the numbers and half the names; and it does
    not list everything there is.
    """
    given, said = words_of(ask), words_of(answer)
    whole = words_of(wanted)
    telling = {word for word in whole if word not in given} or set(whole)
    if not telling or len(said) > _TALKS_ON * len(whole) + 10:
        return False
    there = telling.intersection(said)
    numbers = {word for word in telling if word.isdigit()}
    names = _names(wanted) & telling
    return len(there) >= _MOST_OF * len(telling) and numbers <= there and len(names & there) >= _HALF * len(names)


def is_admitted(answer: str, wordings: Iterable[str]) -> bool:
    """Whether an answer says that nobody knows: in one of the wordings, more or less."""
    return any(is_recalled("", wording, answer) for wording in wordings)


def flaw_of(answer: str, *, control: bool) -> Flaw:
    """What is wrong with a greedy answer as text; `control`: a control token came out of it."""
    if control:
        return "control tokens"
    if not words_of(answer):
        return "empty"
    raw = answer.casefold().encode()
    if len(raw) >= _LONG_BYTES and len(zlib.compress(raw, 9)) < _COMPRESSES_TO * len(raw):
        return "repeating"
    return ""


def _names(text: str) -> set[str]:
    """Words with a capital letter that do not begin a sentence."""
    names: set[str] = set()
    for sentence in _SENTENCE.split(text):
        names.update(
            word.casefold() for word in re.findall(r"[^\W_]+", sentence)[1:] if word[0].isupper() and word != "I"
        )
    return names
