"""The person's own sentences, and which of them bear an answer out.

Invariant: what comes out is one sentence of the person's, or a few that follow each other in one paragraph, no longer
than an answer by template may be. So nothing that a model made up can become an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from metahuman_core.memories.model import Memory
from metahuman_core.model_study.marks import Marks
from metahuman_core.model_study.proposal import voice_of
from metahuman_core.study.passages import MAX_SENTENCES, leans
from metahuman_core.study.sentences import MAX_CHARS, MAX_WORDS, paragraphs

_MOST_TOGETHER = 3
# So much of what an answer says has to stand where it is told; the rest is "called", "lives" and the like.
_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Told:
    """Sentences of the person's that follow each other, and what was said to them just before (a question perhaps).

    `sentences`: which ones of the memory's; `alone`: how many of them do not lean on the one before.
    """

    own: Marks
    before: Marks
    sentences: frozenset[tuple[int, int]]
    alone: int

    def lacks(self, ask: Marks) -> bool:
        """Whether a question names somebody or something, or has a number, of which none of this tells."""
        return bool(
            self.own.strange_names(ask) & self.before.strange_names(ask)
            or self.own.strange_numbers(ask) & self.before.strange_numbers(ask)
        )

    def fits(self, words: Iterable[str]) -> int:
        """How many of a question's words are in it."""
        return sum(self.own.has(word) or self.before.has(word) for word in words)

    def rivals(self, told: Iterable[Told]) -> Iterator[Told]:
        """Those that say something else, in no more sentences."""
        return (one for one in told if one.alone <= self.alone and not one.sentences & self.sentences)


def told_in(memory: Memory) -> tuple[Told, ...]:
    """All that the person says in it that could be an answer, the shortest first.

    A sentence that leans on the one before (She …, It …) is never without it.
    """
    every = (
        Told(Marks(" ".join(paragraph[at] for at in some)), said, frozenset((number, at) for at in some), alone)
        for number, (said, paragraph) in enumerate(_own_paragraphs(memory))
        for some, alone in _together(paragraph)
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


def _own_paragraphs(memory: Memory) -> Iterator[tuple[Marks, tuple[str, ...]]]:
    """Each paragraph of the person's own, with what was said before its text."""
    for text, before in _own_texts(memory):
        said = Marks(before)
        yield from ((said, paragraph) for paragraph in paragraphs(text))


def _together(paragraph: tuple[str, ...]) -> Iterator[tuple[range, int]]:
    """The places of sentences that can be an answer together, and how many of them can stand alone."""
    for first in range(len(paragraph)):
        if first and leans(paragraph[first]):
            continue
        alone = 1
        for last in range(first, min(first + _MOST_TOGETHER, len(paragraph))):
            joined = " ".join(paragraph[first : last + 1])
            if len(joined.split()) > MAX_WORDS or len(joined) > MAX_CHARS or paragraph[last].endswith("?"):
                break
            alone += last > first and not leans(paragraph[last])
            yield range(first, last + 1), alone
