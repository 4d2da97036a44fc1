"""The facts that a sentence tells, and the questions for each, the canonical wording first.

Invariant: no question has a pronoun of the first person (the asker's own aside), an empty slot or more than
`MAX_ASK_WORDS` words, and none is ill-formed. The order of a fact's wordings hangs on the wordings alone, so that two
memories of the same fact train the same ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import zip_longest

from metahuman_core.study import phrases
from metahuman_core.study.clauses import Clause, clauses
from metahuman_core.study.doings import DOINGS
from metahuman_core.study.facts import FACTS
from metahuman_core.study.grammar import FIRST_PERSON, embedded
from metahuman_core.study.illformed import is_ill_formed
from metahuman_core.study.names import NAME_RULES, slots_of_name
from metahuman_core.study.rules import ClauseRule
from metahuman_core.study.slots import filled, slots_of

# Of these facts one holds at a time: who has moved lives at the old address no more.
ONE_AT_A_TIME = frozenset({"home", "town", "address", "work", "number", "car", "age"})
MAX_ASK_WORDS = 16
MIN_ASKS = 4
_RULES = (*FACTS, *DOINGS)
_ASKERS_OWN = re.compile(r"\b(?:[Tt]ell|[Rr]emind|[Gg]ive) me\b|^I (?:forget|forgot):")
_TELLING = re.compile(r"\d|[a-z,] (?:[A-ZÀ-ÖØ-Þ][\w'-]+)")
_ORDINARY_START = re.compile(
    r"^(?:The|My|Our|His|Her|Their|This|That|These|Those|When|Where|What|If|And|But|So|I|It|He|She|Yes|No)\b"
)
# A subject that is a name alone is somebody, where what is said of it is said of people.
_FIRST_NAME = re.compile(r"^(?!The |Our |My )[A-ZÀ-ÖØ-Þ][a-zß-öø-ÿ]+$")
# `It's my favourite meal.`, of what the sentence before it named.
_FAVOURITE = re.compile(
    r"^(?:It|That|This|They|Those|These) (?:is|was|are|has been) (?P<rest>my (?:very |all-time )?favou?rite\b.*)"
)


class Worth(IntEnum):
    """How much it is to be able to answer it.

    A word or day of what can be asked for otherwise, of what cannot; something told, something told with detail,
    what a model asked for, a fact.
    """

    ASIDE = 0
    CUE = 1
    TOLD = 2
    DETAILED = 3
    ASKED = 4
    FACT = 5


@dataclass(frozen=True, slots=True)
class Ask:
    """A question in words, the rule that it came of, and whether it is that rule's canonical wording."""

    text: str
    form: str
    canonical: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a sentence tells, and what can be asked for it, the best first."""

    worth: Worth
    asks: tuple[Ask, ...]


def facts_of(sentence: str, people: Mapping[str, str]) -> tuple[Fact, ...]:
    """What `sentence` (contractions written out) tells: the facts that rules know, then what else its clauses say."""
    found = [Fact(Worth.FACT, asks) for asks in _named(sentence)]
    for clause in clauses(_FAVOURITE.sub(r"The thing is \g<rest>", sentence), people):
        if not (found and (clause.base in {"name", "call"} or clause.parts.rest.startswith(("called ", "named ")))):
            found += _told(clause)
    return tuple(fact for fact in found if fact.asks)


def is_askable(text: str) -> bool:
    """Whether it may be put to the person: short, well-formed, and in the second person."""
    return (
        len(text.split()) <= MAX_ASK_WORDS
        and not FIRST_PERSON.search(_ASKERS_OWN.sub("", text))
        and not is_ill_formed(text)
    )


def relations(sentence: str) -> dict[str, str]:
    """The people and animals that the sentence names, as the asker would call them: `Clara` -> `your sister`."""
    found = {}
    for _, slots in _name_matches(sentence):
        noun = slots.get("noun", "")
        if phrases.is_animate(noun):
            found[slots["name"]] = f"your {noun}"
    return found


def _told(clause: Clause) -> Iterator[Fact]:
    """The clause's facts; what the general rules ask of it is one together."""
    general: list[list[Ask]] = []
    asked: set[str] = set()
    facts = 0
    for rule, texts in _ruled(clause):
        if rule.general:
            general.append(_asks(rule.name, texts))
        elif texts[0] not in asked:
            asked |= set(texts)
            known = rule.is_fact
            facts += known
            worth = Worth.FACT if known else _worth_beside(facts, clause)
            yield Fact(worth, _ordered(_asks(rule.name, texts)))
    if general:
        in_turn = [ask for tier in zip_longest(*general) for ask in tier if ask is not None]
        worth = _worth_beside(facts, clause)
        asks = _askable(in_turn)
        yield Fact(worth, _filled_up(asks) if worth > Worth.TOLD else tuple(asks))


def _worth_beside(facts: int, clause: Clause) -> Worth:
    """What else a clause tells is worth less where a fact was recognised in it."""
    return min(_worth(clause), Worth.TOLD) if facts else _worth(clause)


def _worth(clause: Clause) -> Worth:
    """Of what no rule knows: whether it tells enough of the person's own life to be worth several questions."""
    parts = clause.parts
    known = sum(bool(part) for part in (parts.thing, parts.where, parts.when, parts.with_whom, parts.for_whom))
    name = clause.subject.names[0]
    own = clause.subject.person or name.startswith("you") or " you " in name
    detailed = known > 1 or _TELLING.search(parts.rest) is not None
    another = clause.subject.person and name != "you" and parts.thing != ""
    return Worth.DETAILED if another or (own and detailed and known) else Worth.TOLD


def _asks(form: str, texts: list[str]) -> list[Ask]:
    return [Ask(text, form, canonical=number == 0) for number, text in enumerate(texts)]


def _askable(asks: list[Ask]) -> list[Ask]:
    distinct: dict[str, Ask] = {}
    for ask in asks:
        if is_askable(ask.text):
            distinct.setdefault(ask.text.casefold(), ask)
    return list(distinct.values())


def _ordered(asks: list[Ask]) -> tuple[Ask, ...]:
    """The canonical wording, then the others in an order that differs from noun to noun, but not from time to time."""
    kept = _askable(asks)
    others = sorted(kept[1:], key=lambda ask: hashlib.sha256(ask.text.encode()).digest())
    return _filled_up(kept[:1] + others)


def _filled_up(asks: list[Ask]) -> tuple[Ask, ...]:
    """Where there are but few wordings, the first is put into a clause too."""
    if asks and len(asks) < MIN_ASKS and (asked := embedded(asks[0].text)):
        more = [Ask(f"Can you tell me {asked}?", "tell"), Ask(f"Do you remember {asked}?", "remember")]
        asks = _askable([*asks, *more])[:MIN_ASKS]
    return tuple(asks)


def _name_matches(sentence: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, rule in enumerate(NAME_RULES):
        match = rule.pattern.search(sentence)
        if match is None or _ORDINARY_START.match(match["name"]):
            continue
        slots = slots_of_name(match)
        if not slots["noun"].startswith(("favourite", "favorite")):
            yield number, slots


def _named(sentence: str) -> Iterator[tuple[Ask, ...]]:
    for number, slots in _name_matches(sentence):
        rule = NAME_RULES[number]
        yield _ordered(_asks(rule.name, [text for ask in rule.asks if (text := filled(ask, slots))]))
        return


def _ruled(clause: Clause) -> Iterator[tuple[ClauseRule, list[str]]]:
    called = [slots_of(clause, name) for name in clause.subject.names]
    for rule in _RULES:
        if not _applies(rule, clause, called[0]):
            continue
        texts = [
            text
            for number, ask in enumerate(rule.asks)
            if (text := filled(ask, called[number % len(called)] | _groups(rule, clause)))
        ]
        if texts:
            yield rule, texts
        if rule.final:
            return


def _groups(rule: ClauseRule, clause: Clause) -> dict[str, str]:
    match = rule.rest.search(clause.parts.rest) if rule.rest else None
    return {name: group or "" for name, group in match.groupdict().items()} if match else {}


def _applies(rule: ClauseRule, clause: Clause, slots: Mapping[str, str]) -> bool:
    return (
        not (clause.base == "be" and clause.verb)  # what can or should be tells nothing of what is
        and (clause.base in rule.verbs if rule.verbs else (clause.base != "be" or not rule.general))
        and (rule.rest is None or rule.rest.search(clause.parts.rest) is not None)
        and (rule.unlike is None or rule.unlike.search(clause.parts.rest) is None)
        and (rule.subject is None or rule.subject.search(clause.subject.names[0]) is not None)
        and (not rule.of_person or clause.subject.person or _FIRST_NAME.match(clause.subject.names[0]) is not None)
        and (rule.negated is None or rule.negated == bool(clause.negated))
        and all(slots[need] for need in rule.needs)
    )
