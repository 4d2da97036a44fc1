"""A memory taken apart into passages: a short answer in the person's own words, and what can be asked for it.

Invariant: an answer is one sentence of the person's, or a few that follow each other, at most `MAX_WORDS` words; a
sentence that leans on the one before (She ..., It ...) brings that one along where there is room.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from metahuman_core.memories.model import Memory
from metahuman_core.study import exchange, phrases
from metahuman_core.study.asking import Ask, Worth, facts_of, is_askable, relations
from metahuman_core.study.clauses import clauses
from metahuman_core.study.cues import LISTS, TOPICS, UNDER_A_LABEL
from metahuman_core.study.grammar import expand, flip
from metahuman_core.study.items import labels, list_of
from metahuman_core.study.languages import Cues, cues_for
from metahuman_core.study.sentences import MAX_CHARS, MAX_WORDS, paragraphs, sentences
from metahuman_core.study.verbs import read
from metahuman_core.study.words import words as _words

MAX_SENTENCES = 400
MAX_CONTEXT_CHARS = 2_000
_LEANS = re.compile(r"^(?:And |But |So )?(?P<who>He|She|It|They|His|Her|Its|Their|That|This|These|Those)\b(?!')")
_PERSONAL = frozenset({"He", "She", "His", "Her"})
_OWNING = frozenset({"His", "Her", "Its", "Their"})
# `He tunes pianos, my son.`
_WHO_IT_IS = re.compile(rf", (?P<who>my (?:[a-z]+ )?{phrases.RELATION})(?=[,.!])")
_NAME = re.compile(rf"(?<!\w){phrases.NAME}")
_THING = re.compile(
    r"\b(?:[Mm]y|[Oo]ur|[Tt]he) (?P<noun>[a-z][\w-]{2,20})"
    r"(?=[.,;:!]|$| (?P<next>[a-z]+)\b)"
)
_NO_CUE = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december yes no ok okay thanks thank hello hi english christmas easter"
)
_VAGUE_NOUNS = _words(
    "same first last next other whole only best most more very thing things time times way rest end day days morning "
    "evening afternoon night week weekend month year years moment past middle point kind fact idea world reason sound "
    "hundred thousand front back side top bottom left right inside outside number name word words noise look feeling "
    "spring summer autumn winter future present air dark one ones own lot second third hour minute turn own nose face "
    "people others part parts form shape size sort"
)
_AFTER_NOUNS = _words(
    "in on at from with for because when after before until every that is are was were has have had and"
)
_DULL = _words(
    "about after again always because been before being could does doing down during even ever every from have having "
    "here into just like more most much never nothing only other over quite really same should since some something "
    "such than that their them then there these they thing this those though through today under until very want was "
    "were what when where which while will with would yesterday your"
)
_OWNER = re.compile(r"\b(?:my|our|the) $")
_TITLES = frozenset({"Dr", "Mr", "Mrs", "Ms", "Aunt", "Uncle"})
_LONG_WORD = re.compile(r"[^\W\d_]{4,24}")


@dataclass(frozen=True, slots=True)
class Passage:
    """An answer, what can be asked for it, best first, and what it is worth to be able to answer."""

    answer: str
    asks: tuple[Ask, ...]
    worth: Worth

    def without(self, texts: Collection[str]) -> Passage:
        """The passage less the questions with one of these texts."""
        return replace(self, asks=tuple(ask for ask in self.asks if ask.text not in texts))


@dataclass(slots=True)
class _Known:
    """What the memory has said so far of who is who, in the person's own words."""

    people: dict[str, str] = field(default_factory=dict)
    person: str = ""
    thing: str = ""

    def resolved(self, sentence: str) -> str:
        """The sentence with a leading pronoun replaced by whom it means, where that is known."""
        match = _LEANS.match(sentence)
        if match is None:
            return sentence
        who = match["who"]
        meant = self.person if who in _PERSONAL else self.thing
        if who in {"He", "She"} and (own := _WHO_IT_IS.search(sentence)):
            meant = "My" + own["who"][2:]
        meant = self.person if not meant and who in {"They", "Their"} else meant
        if not meant or who in {"That", "This", "These", "Those"}:
            return sentence
        meant = phrases.possessive(meant) if who in _OWNING else meant
        return meant + sentence[match.end("who") :]

    def note(self, sentence: str) -> None:
        """Remember whom and what the sentence introduced."""
        named = relations(sentence)
        self.people |= named
        for clause in clauses(sentence, self.people):
            plain = clause.subject.names[0]
            said = re.sub(r"^your\b", "My", plain[:1].lower() + plain[1:] if plain.startswith("The ") else plain)
            said = said[:1].upper() + said[1:]
            if plain == "you":
                self._note_thing(clause.parts.thing)
            elif clause.subject.person or phrases.is_animate(plain) or plain in named.values():
                self.person = said
            else:
                self.thing = said
        for noun in named.values():
            self.person = "My" + noun.removeprefix("your")

    def _note_thing(self, thing: str) -> None:
        match = re.match(r"^(?P<article>a|an|the|your) (?P<noun>(?:[\w-]+ ){0,2}[\w-]+)$", thing)
        if match is None:
            return
        said = ("My " if match["article"] == "your" else "The ") + match["noun"]
        if phrases.is_animate(match["noun"]):
            self.person = said
        self.thing = said


def passages(memory: Memory) -> Iterator[Passage]:
    """The memory's passages, in order."""
    known = _Known()
    if not memory.turns:
        yield from _of_list(memory)
        yield from _of_text(memory.text, known)
        return
    voice = "user" if memory.mode == "dual" else "assistant"
    context = ""
    for turn in memory.turns:
        if turn.role == voice:
            yield from _of_reply(turn.text, context, known)
        context = turn.text if turn.role not in {voice, "system"} else ""


def _of_list(memory: Memory) -> Iterator[Passage]:
    """A list under a title, asked for as a whole."""
    title, items = list_of(memory.text, memory.title)
    answer = "; ".join(items)
    if answer and len(answer.split()) <= MAX_WORDS and len(answer) <= MAX_CHARS:
        yield Passage(answer, _noted(LISTS, title=title), Worth.DETAILED)


def _noted(wordings: Iterable[str], **slots: str) -> tuple[Ask, ...]:
    """Questions for what was noted in so many words; the first is the canonical one."""
    texts = (wording.format(**slots) for wording in wordings)
    asks = (Ask(text, "noted", canonical=number == 0) for number, text in enumerate(texts))
    return tuple(ask for ask in asks if is_askable(ask.text))


def _of_reply(reply: str, context: str, known: _Known) -> Iterator[Passage]:
    """The reply's own passages, before them its opening as the answer to the question, put in other words.

    Where the reply tells a fact, that is what it is asked for; the question was often but the occasion for it.
    """
    question = exchange.question_in(context[-MAX_CONTEXT_CHARS:])
    answer = _opening(reply)
    found = tuple(_of_text(reply, known))
    if question and answer:
        again = exchange.asked_again(question)
        own = max((passage.worth for passage in found), default=Worth.ASIDE)
        yield Passage(answer, again.asks, min(again.worth, Worth.DETAILED) if own is Worth.FACT else again.worth)
        topics = zip(dict.fromkeys([*_names_in(question), *_things_in(question)]), TOPICS, strict=False)
        asks = [Ask(wording.format(cue=cue), "cue") for cue, wording in topics]
        yield Passage(
            answer,
            tuple(ask for ask in asks if is_askable(ask.text)),
            Worth.CUE if again.worth is Worth.CUE else Worth.ASIDE,
        )
    same = {question, expand(question)}  # it is trained as it was put, with its exchange
    for passage in found:
        yield passage.without(same)


def _opening(reply: str) -> str:
    """The reply, or as many of its first sentences as make an answer."""
    answer = ""
    for sentence in sentences(reply[:MAX_CONTEXT_CHARS]):
        longer = f"{answer} {sentence}".strip()
        if len(longer.split()) > MAX_WORDS:
            break
        answer = longer
    return answer


def _of_text(text: str, known: _Known) -> Iterator[Passage]:
    seen = 0
    under_labels, wordings_of = labels(text), cues_for(text)
    for paragraph in paragraphs(text):
        for place, sentence in enumerate(paragraph):
            seen += 1
            if seen > MAX_SENTENCES:
                return
            if sentence.endswith("?"):
                continue
            plain = known.resolved(expand(sentence))
            facts = facts_of(plain, known.people)
            known.note(plain)
            answer = _answer(paragraph, place)
            for fact in facts:
                yield Passage(answer, fact.asks, fact.worth)
            if sentence in under_labels:
                yield Passage(answer, _noted(UNDER_A_LABEL, label=under_labels[sentence]), Worth.DETAILED)
            if cues := _cues(plain, wordings_of, only=not facts):
                yield Passage(answer, cues, Worth.ASIDE if facts else Worth.CUE)


def leans(sentence: str) -> bool:
    """Whether a sentence speaks of what the one before it named (She ..., It ...)."""
    return _LEANS.match(expand(sentence)) is not None


def _answer(paragraph: tuple[str, ...], place: int) -> str:
    """The sentence, with those before it that it leans on, as far as they fit."""
    first = place
    while first and leans(paragraph[first]):
        if len(" ".join(paragraph[first - 1 : place + 1]).split()) > MAX_WORDS:
            break
        first -= 1
    return " ".join(paragraph[first : place + 1])


def _cues(sentence: str, wordings_of: Cues, *, only: bool) -> tuple[Ask, ...]:
    """Questions that only name something of the sentence: its names, its things, else (`only`) its longest word."""
    cues = list(dict.fromkeys([*_names_in(sentence), *_things_in(sentence)]))
    wordings, form = wordings_of.named[len(sentence) % 2 :: 2], "cue"
    if not cues and only and (words := [word for word in _LONG_WORD.findall(sentence) if word.lower() not in _DULL]):
        cues, wordings, form = [max(words, key=len)], wordings_of.word, "word"
    if len(cues) == 1:
        cues *= 2
    asks = (Ask(wording.format(cue=flip(cue)), form) for cue, wording in zip(cues, wordings, strict=False))
    return tuple(ask for ask in asks if is_askable(ask.text))


def _names_in(sentence: str) -> Iterator[str]:
    """Words that are large inside a sentence; the word that opens one is large anyway and tells nothing."""
    for match in _NAME.finditer(sentence):
        words = match.group().removesuffix("'s").split()
        if not match.start() or sentence[match.start() - 2 : match.start()] in {". ", ": "} or match.start() == 1:
            opened = words[0] == "The" and len(words) > 1
            words = words if words[0].rstrip(".") in _TITLES else ["the", *words[1:]] if opened else words[1:]
        if "I" in words:
            words = words[: words.index("I")]
        name = " ".join(words)
        owner = _OWNER.search(sentence[max(0, match.start() - 5) : match.start()])
        name = f"{owner.group()}{name}" if owner and words[:1] != ["the"] else name
        if len(name) > 1 and not {word.casefold() for word in words} & _NO_CUE and not name.startswith("I'"):
            yield name


def _things_in(sentence: str) -> Iterator[str]:
    for match in _THING.finditer(sentence):
        following = match["next"]
        form = read(following) if following else None
        ends = following is None or following in _AFTER_NOUNS or (form is not None and form.tense == "past")
        if ends and match["noun"] not in _VAGUE_NOUNS:
            yield match.group()[:1].lower() + match.group()[1:]
