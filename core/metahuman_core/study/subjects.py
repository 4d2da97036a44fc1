"""The subject of a clause: the words before its verb, and what the asker may call them.

Invariant: what is returned can stand in a question; one that cannot surely be told from what is around it is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from metahuman_core.study import grammar, phrases, verbs
from metahuman_core.study.parts import TAKES_NO_THING
from metahuman_core.study.predicates import ADVERBS, BE, MODALS, predicate
from metahuman_core.study.words import words as _words

_EXISTS = re.compile(
    r"^[Tt]here (?P<be>is|are|was|were) (?:an?|the|some|\w+ few|two|three|four) (?P<thing>(?:[\w-]+ ){0,3}?[\w-]+) "
    r"(?P<rest>(?:in|on|at|under|behind|near|above|inside|next to|opposite)\b.*)"
)
_FIRST = re.compile(r"\b(?:I|[Ww]e)(?= )")
_NOT_BEFORE_VERBS = _words("my our the a an of in at for to with and his her their its your this")
_AFTER_VERBS = _words("in on at from until every the a an my our to")
_NOT_A_SUBJECT = _words(
    "i we you he she it they that this these those what when where who how why if there here not no nobody nothing "
    "none "
    "neither because since while as whenever whether although though unless please let everything everybody"
)
_NOT_IN_A_SUBJECT = _words("i we you he she it they that which who me us him them if because when while as than so")
_PREPOSITIONS = _words(
    "by in on at with from for after before during since under behind near without like to of until till into about "
    "between against across through over above below beside besides despite"
)
_ARTICLES = _words(
    "the a an my our his her their its your this these those some two three four five six seven eight all"
)
_OWNERS = _words("my our the")
_LONGEST_SUBJECT = 7
_RELATIVES = _words("I we you he she they that who which my our")
_ENDS_WITH_CONJUNCTION = re.compile(
    r"\b(?:what|when|where|whether|why|how|if|that|because|since|while|as|than|until|before|after|though|and|or) $",
    re.IGNORECASE,
)
_BEST = re.compile(
    r"^(?:the|of all) (?P<kind>[\w-]+(?: [\w-]+)?)(?:,| that| which)? (?:I|we) (?:like|love|enjoy|"
    r"prefer)(?: (?:best|most|more))?$"
)


# `our new address` is asked for as the address, as the old one was, so that the newer answer takes its place.
_EPITHET = re.compile(r"^your (?:own|new|present|current) ")
_BEHIND_NOUN = re.compile(r" (?:of|from|at|in|on|with|next|behind|under|over) ")
_MADE = re.compile(r"^(?P<what>(?:the|my|our) (?:[\w-]+ ){0,3}[\w-]+?)(?: that| which)? (?:I|we) (?P<did>.+)$")
_NO_OBJECT = _words("it him her them me us not and or but so too that again off away down over")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a clause is about: `names` are what the asker may call them, the first the plainest.

    `doing` is what a clause inside it says of the person, as a question has it: `are you building the boat`.
    """

    names: tuple[str, ...]
    plural: bool
    person: bool = False
    doing: str = ""


YOU = Subject(("you",), plural=True, person=True)


def subject_of(text: str, people: Mapping[str, str]) -> tuple[Subject, list[str]] | None:
    """The subject at the text's beginning (after a few words of lead, for I and we), and the words that follow it."""
    first = _FIRST.search(text, 0, 60)
    if first is not None and (not first.start() or _is_lead(text[: first.start()])):
        return YOU, cleaned(text[first.end() :]).split()
    exists = _EXISTS.match(text)
    if exists is not None:
        thing = f"the {grammar.flip(exists['thing'])}"
        return Subject((thing,), plural=exists["be"] in {"are", "were"}), [
            exists["be"],
            *cleaned(exists["rest"]).split(),
        ]
    words = cleaned(text).split()
    if not words:
        return None
    head = words[0].lower()
    if head in _ARTICLES or (words[0][0].isupper() and head not in _NOT_A_SUBJECT) or head in {"one", "both", "every"}:
        return _noun_phrase(words, people)
    return None


def _is_lead(words: str) -> bool:
    return phrases.is_adverbial(words) and not _ENDS_WITH_CONJUNCTION.search(words)


def told_without_subject(sentence: str) -> tuple[Subject, list[str]] | None:
    """`Bought a loom in Kaunas.`: a diary leaves out the I. Only a plain past with an object behind it is read so."""
    words = cleaned(sentence).split()
    if len(words) <= len(("Bought", "bread")) or not words[0][0].isupper():
        return None
    form = verbs.read(words[0])
    if form is None or form.tense != "past" or form.base == words[0].lower():
        return None
    bare = (
        form.base not in TAKES_NO_THING and words[1].strip(",").isalpha() and words[1] not in _PREPOSITIONS | _NO_OBJECT
    )
    opens_object = (
        bare or words[1].lower() in _ARTICLES or words[1].isdigit() or words[1] in {"up", "out", "to", "on", "in"}
    )
    return (YOU, [words[0].lower(), *words[1:]]) if opens_object else None


def _noun_phrase(words: list[str], people: Mapping[str, str]) -> tuple[Subject, list[str]] | None:
    place = _place_behind_relative(words)
    relative = place > 0
    place = place or _verb_place(words)
    if not place or (place == 1 and words[0].lower() in _ARTICLES):
        return None
    plain = words[:place]
    while len(plain) > 1 and plain[-1].lower() in ADVERBS:
        plain = plain[:-1]
    said = " ".join(plain).rstrip(",")
    if said.endswith(" and I"):
        return YOU, words[place:]
    if not relative and not _is_noun_phrase(plain):
        return None
    return _called(said, people, relative=relative), words[place:]


def alone(text: str, people: Mapping[str, str]) -> Subject | None:
    """The subject that a part without a verb names: `My brother` of `My brother, who lives in Leeds`."""
    words = text.split()
    if not 0 < len(words) <= len(("my", "new", "best", "friend", "Joan", "Lee")) or not _is_noun_phrase(words):
        return None
    if any(_is_verb(word) for word in words) or not (words[0].lower() in _OWNERS or text in people):
        return None
    return _called(text, people, relative=False)


def _called(said: str, people: Mapping[str, str], *, relative: bool) -> Subject:
    """The subject in the asker's words; a person whose name was told with the relation has both names."""
    if (best := _BEST.match(said)) is not None:
        said = f"my favourite {best['kind']}"
    owned = _EPITHET.sub("your ", grammar.flip(said), count=1)
    named = re.match(rf"^({phrases.OWNER} (?:[a-z][\w-]* ){{0,2}}{phrases.RELATION}),? ({phrases.NAME})$", owned)
    names: tuple[str, ...] = (named[1], named[2]) if named else (people[said], said) if said in people else (owned,)
    person = said in people or named is not None or phrases.is_person(owned)
    last = _BEHIND_NOUN.split(said)[0].rsplit(" ", 1)[-1]
    several = " and " in said or (
        bool(re.search(r"(?:[^su']s|children|people|parents|men|women)$", last)) and "'" not in last
    )
    alone = relative or said in people or named is not None or (" " not in said and said[:1].isupper())
    return Subject(names, several and not alone, person, _doing(said) if relative else "")


def _doing(said: str) -> str:
    """`the boat I am building` -> `are you building the boat`."""
    made = _MADE.match(said)
    inner = predicate(made["did"].split(), plural=True, certain=True) if made else None
    return f"{inner.aux} you {inner.verb} {grammar.flip(made['what'])}" if made and inner and inner.verb else ""


def _is_noun_phrase(words: list[str]) -> bool:
    """Whether the words before a verb can be its subject: no clause or preposition opens them, no pronoun is inside."""
    first = words[0].lower()
    if len(words) == 1 and first in _ARTICLES | {"one", "both", "another", "many", "most", "half", "every"}:
        return False
    small = {word.lower().strip(",") for word in words}
    form = verbs.read(words[0])
    is_a_verb = form is not None and form.tense in {"past", "third"} and len(words) > 1
    return not (
        first in _PREPOSITIONS
        or is_a_verb
        or small & _NOT_IN_A_SUBJECT
        or any(word.endswith(".") for word in words[1:])
    )


def _place_behind_relative(words: list[str]) -> int:
    """Where the main verb stands behind a clause about the subject (`the boat I am building is`); 0 for none."""
    opens = next((place for place, word in enumerate(words[1:6], start=1) if word in _RELATIVES), 0)
    told = any((form := verbs.read(word)) is not None and form.tense in {"past", "third"} for word in words[1:opens])
    if (
        not opens
        or told
        or words[opens - 1] == "and"
        or words[0].lower() in _PREPOSITIONS
        or any("," in word for word in words[:opens])
    ):
        return 0
    inner = next(
        (place for place, word in enumerate(words[opens + 1 : opens + 6], start=opens + 1) if _is_verb(word)), 0
    )
    if not inner:
        return 0
    helped = words[inner] in BE | MODALS | {"have", "has", "had"} and words[inner + 1 : inner + 2] != []
    skipped = 2 if helped and words[inner + 1] not in BE | MODALS else 1
    for place, word in enumerate(words[inner + skipped : inner + 9], start=inner + skipped):
        form = verbs.read(word)
        clearly = word in BE | MODALS | {"has", "had"} or (form is not None and form.tense in {"past", "third"})
        if clearly and (word in BE | MODALS or words[place - 1].lower() not in _NOT_BEFORE_VERBS):
            return place
    return 0


def _is_verb(word: str) -> bool:
    form = verbs.read(word)
    return word in MODALS or (form is not None and form.tense in {"past", "third", "base"})


def _verb_place(words: list[str]) -> int:
    """Where the first verb after a noun stands; 0 where none does within a subject's length."""
    for place, word in enumerate(words[1 : _LONGEST_SUBJECT + 1], start=1):
        bare = word.strip(",")
        if bare in MODALS or bare in BE:
            return place
        form = verbs.read(bare)
        before = words[place - 1].lower()
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


def cleaned(text: str) -> str:
    """The text without the marks that end it."""
    return text.strip().rstrip(".!?…\"'”\u2019) ").strip()
