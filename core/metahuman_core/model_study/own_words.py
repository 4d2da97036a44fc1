"""The person's own sentences, and which of them bear an answer out.

Invariant: what comes out is one sentence of the person's, or a few that follow each other in one paragraph, no longer
than an answer by template may be. So nothing that a model made up can become an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from metahuman_core.memories.model import Memory
from metahuman_core.model_study.marks import Marks
from metahuman_core.model_study.proposal import voice_of
from metahuman_core.study.passages import MAX_SENTENCES, leans
from metahuman_core.study.sentences import MAX_CHARS, MAX_WORDS, paragraphs

_MOST_TOGETHER = 3
# So much of what an answer says has to stand where it is told; the rest is "called", "lives" and the like.
_SHARE = 0.6


@dataclass(frozen=True)
class Told:
    """Sentences of the person's that follow each other, and what was said to them just before (a question perhaps)."""

    own: Marks
    before: Marks

    @cached_property
    def both(self) -> Marks:
        """What was said before, and what the person said."""
        return Marks(f"{self.before.text}\n{self.own.text}")

    def lacks(self, ask: Marks) -> bool:
        """Whether a question names somebody or something, or has a number, that these sentences do not tell of."""
        return bool(self.both.strange_names(ask) or self.both.strange_numbers(ask))

    def overlaps(self, other: Told) -> bool:
        """Whether one of them is part of the other."""
        return self.own.text in other.own.text or other.own.text in self.own.text

    def fits(self, words: Iterable[str]) -> int:
        """How many of a question's words they have."""
        return sum(map(self.both.has, words))


def told_in(memory: Memory) -> tuple[Told, ...]:
    """All that the person says in it that could be an answer, the shortest first.

    A sentence that leans on the one before (She …, It …) is never without it.
    """
    every = (
        Told(Marks(joined), said)
        for text, before in _own_texts(memory)
        for said in (Marks(before),)
        for paragraph in paragraphs(text)
        for joined in _joined(paragraph)
    )
    return tuple(sorted(islice(every, _MOST_TOGETHER * MAX_SENTENCES), key=lambda told: len(told.own.text)))


def place_of(answer: Marks, ask: Marks, told: Sequence[Told]) -> Told | None:
    """Where the person says what `answer` says, in as few words as they do; of several, where most is of the question.

    With what stands beside it, where it is only with that of whom or what is asked ("How was Lisbon?": "I was in Lisbon
    in May. It rained."). None where these places say the opposite. Raises LookupError where there is no place at all.
    """
    shortest: list[Told] = []
    for one in told:  # the shortest first
        if not any(other.own.text in one.own.text for other in shortest) and _bears_out(one, answer):
            shortest.append(one)
    if not shortest:
        raise LookupError
    agreeing = [one for one in shortest if one.own.denies == answer.denies]
    place = max(agreeing, key=lambda one: one.fits(ask.telling), default=None)
    with_it = (one for one in told if place and place.own.text in one.own.text and not one.lacks(ask))
    return next(with_it, place)


def _bears_out(told: Told, answer: Marks) -> bool:
    """Whether the sentences say what `answer` says: all its names, numbers and links, and most of its telling words."""
    own = told.own
    if own.strange_names(answer) or own.strange_numbers(answer) or answer.links - own.links:
        return False
    return share(answer, own) >= _SHARE


def share(said: Marks, of: Marks) -> float:
    """The share of telling words in `said` that `of` has too, in whatever form; 1 where it has none (`On 4 May.`)."""
    return sum(map(of.has, said.telling)) / len(said.telling) if said.telling else 1.0


def own_text(memory: Memory) -> str:
    """All that the person says themself."""
    return "\n".join(text for text, _ in _own_texts(memory))


def _own_texts(memory: Memory) -> Iterator[tuple[str, str]]:
    """Each text of the person's own, with what somebody else said just before it."""
    if not memory.turns:
        yield memory.text, ""
        return
    voice, before = voice_of(memory), ""
    for turn in memory.turns:
        if turn.role == voice:
            yield turn.text, before
        before = turn.text if turn.role not in {voice, "system"} else ""


def _joined(paragraph: tuple[str, ...]) -> Iterator[str]:
    for first in range(len(paragraph)):
        if first and leans(paragraph[first]):
            continue
        for last in range(first, min(first + _MOST_TOGETHER, len(paragraph))):
            joined = " ".join(paragraph[first : last + 1])
            if len(joined.split()) > MAX_WORDS or len(joined) > MAX_CHARS or paragraph[last].endswith("?"):
                break
            yield joined
