"""The clauses of a sentence: who, which verb, what, when, where, with whom.

A shallow reading, by word order alone. Invariant: a part that is not plainly there is empty, and every part is in the
words of someone who asks the person (`my sister` is `your sister`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise

from metahuman_core.study import grammar, phrases, verbs
from metahuman_core.study.predicates import ADVERBS, BE, MODALS, predicate
from metahuman_core.study.words import words as _words

_BOUNDARY = re.compile(
    r"[,;:(]? (?:and|but|because|so|although|though|which|who|where) (?=[\w'])|[;:] | [\u2014\u2013-] |, (?=\w)"
)
_EXISTS = re.compile(
    r"^[Tt]here (?P<be>is|are|was|were) (?:an?|the|some|\w+ few|two|three|four) (?P<thing>(?:[\w-]+ ){0,3}?[\w-]+) "
    r"(?P<rest>(?:in|on|at|under|behind|near|above|inside|next to|opposite)\b.*)"
)
_FIRST = re.compile(r"\b(?:I|[Ww]e)(?= )")
_OPENING = re.compile(
    r"^(?:(?:And|But|So|Then|Also|Well|Yes|No|Oh|Now|Sadly|Luckily|Finally|Actually|Besides|By the way|For the record|"
    r"Of course|To be honest|At last|In the end|Every now and then|These days|Nowadays|Originally),? )+"
)
MAX_JOINTS = 8
_HE = _words("he she it they")
_OPENERS = _words("I we my our") | _HE
_NOT_BEFORE_VERBS = _words("my our the a an of in at for to with and")
_AFTER_VERBS = _words("in on at from until every the a an my our to")
_NOT_A_SUBJECT = _words("i we you he she it they that this what when where who how why if there here not")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a clause is about: `names` are what the asker may call them, the first the plainest."""

    names: tuple[str, ...]
    plural: bool
    person: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """One statement. `aux` and `verb` are as a question uses them (`did` ... `buy`); of `be` the aux is the verb."""

    subject: Subject
    base: str
    aux: str
    verb: str
    past: bool
    negated: bool
    parts: phrases.Parts


YOU = Subject(("you",), plural=True, person=True)


def clauses(sentence: str, people: Mapping[str, str]) -> Iterator[Clause]:
    """The clauses of `sentence` (contractions written out) that could be read.

    `people` says who a name is: `Clara` -> `your sister`.
    """
    subject: Subject | None = None
    lead = ""
    for number, part in enumerate(_parts(sentence)):
        text = _OPENING.sub("", part)
        text = text[0].lower() + text[1:] if number == 0 and text.startswith(("My ", "Our ", "The ")) else text
        time = phrases.leading_time(text)
        if time and time == text:
            lead = time
            continue
        body = text[len(time) :].lstrip(" ,") if time else text
        found = _subject(body, people)
        if found is not None:
            subject, words = found
        elif number and subject is not None:
            words = _clean(body).split()
            if words and words[0] in _HE and subject is not YOU:
                words = words[1:]
            if not words or not _begins_predicate(words[0]):
                continue
        else:
            continue
        clause = _clause(subject, words, time or lead)
        if clause is not None:
            yield clause
            lead = ""


def _begins_predicate(word: str) -> bool:
    form = verbs.read(word)
    return word in MODALS or (form is not None and form.tense != "ing")


def _parts(sentence: str) -> list[str]:
    """The sentence cut at its joints, but not where a joint only joins two names or things of a list."""
    parts: list[str] = []
    start = 0
    for joint in islice(_BOUNDARY.finditer(sentence), MAX_JOINTS):
        following = sentence[joint.end() :].split(" ", 2)
        opens = following[0].strip(",.") in _OPENERS or (
            "," not in joint.group() and (form := verbs.read(following[0])) is not None and form.tense != "ing"
        )
        after_opening = not parts and joint.start() - start < len("On the second Wednesday of September 2024")
        if opens or ";" in joint.group() or ":" in joint.group() or ("," in joint.group() and after_opening):
            parts.append(sentence[start : joint.start()])
            start = joint.end()
    parts.append(sentence[start:])
    return [part.strip() for part in parts if part.strip()]


def _subject(text: str, people: Mapping[str, str]) -> tuple[Subject, list[str]] | None:
    """The subject at the text's beginning (after a few words of lead, for I and we), and the words that follow it."""
    first = _FIRST.search(text, 0, 60)
    if first is not None and (not first.start() or phrases.is_adverbial(text[: first.start()])):
        return YOU, _clean(text[first.end() :]).split()
    exists = _EXISTS.match(text)
    if exists is not None:
        thing = f"the {grammar.flip(exists['thing'])}"
        return Subject((thing,), plural=exists["be"] in {"are", "were"}), [
            exists["be"],
            *_clean(exists["rest"]).split(),
        ]
    words = _clean(text).split()
    if not words:
        return None
    head = words[0].lower()
    if head in {"my", "our", "the"} or (words[0][0].isupper() and head not in _NOT_A_SUBJECT):
        return _noun_phrase(words, people)
    return None


def _noun_phrase(words: list[str], people: Mapping[str, str]) -> tuple[Subject, list[str]] | None:
    place = _verb_place(words)
    if not place or (place == 1 and words[0].lower() in {"my", "our", "the"}):
        return None
    plain = words[:place]
    while len(plain) > 1 and plain[-1].lower() in ADVERBS:
        plain = plain[:-1]
    said = " ".join(plain).rstrip(",")
    if said.endswith(" and I"):
        return YOU, words[place:]
    owned = grammar.flip(said)
    named = re.match(rf"^({phrases.OWNER} (?:[a-z][\w-]* ){{0,2}}{phrases.RELATION}),? ({phrases.NAME})$", owned)
    if named is not None:
        names: tuple[str, ...] = (named[1], named[2])
    elif said in people:
        names = (people[said], said)
    else:
        names = (owned,)
    person = said in people or named is not None or phrases.is_person(owned)
    plural = " and " in said or (bool(re.search(r"(?:[^su]s|children|people|parents)$", said)) and "'" not in plain[-1])
    return Subject(names, plural, person), words[place:]


def _verb_place(words: list[str]) -> int:
    """Where the first verb after a noun stands; 0 where none does within a subject's length."""
    for place, word in enumerate(words[1:8], start=1):
        bare = word.strip(",")
        if bare in MODALS or bare in BE:
            return place
        form = verbs.read(bare)
        before = words[place - 1].lower()
        if not {"I", "we"}.isdisjoint(words[1:place]):
            continue
        if (
            form is not None
            and form.tense in {"past", "third", "base"}
            and before not in _NOT_BEFORE_VERBS
            and not before.endswith("'s")
        ):
            clearly = form.tense != "base" or words[place - 1].endswith("s") or word == "have"
            if clearly and not re.search(r"^[A-Z]", bare):
                return place
    return _place_of_unknown_verb(words)


def _place_of_unknown_verb(words: list[str]) -> int:
    """A word in -s with a preposition or an article behind it: `my passport expires in`."""
    for place, (word, following) in enumerate(pairwise(words[2:7]), start=2):
        if (
            re.search(r"[a-z]{3}[^su]s$", word)
            and following in _AFTER_VERBS
            and words[place - 1] not in _NOT_BEFORE_VERBS
        ):
            return place
    return 0


def _clause(subject: Subject, words: list[str], lead: str) -> Clause | None:
    said = predicate(words, plural=subject.plural, certain=subject is YOU)
    if said is None:
        return None
    parts = phrases.parts(grammar.flip(" ".join(said.rest)), lead)
    return Clause(subject, said.base, said.aux, said.verb, said.past, said.negated, parts)


def _clean(text: str) -> str:
    return text.strip().rstrip(".!?…\"'”\u2019) ").strip()
