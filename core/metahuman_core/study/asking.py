"""The questions that a sentence answers, best first.

Invariant: no question has a pronoun of the first person (the asker's `me` aside), an empty slot or more than
`MAX_ASK_WORDS` words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from metahuman_core.study import phrases, verbs
from metahuman_core.study.clauses import Clause, clauses
from metahuman_core.study.grammar import FIRST_PERSON, capitalised, embedded, flip
from metahuman_core.study.names import NAME_RULES
from metahuman_core.study.rules import CLAUSE_RULES, ClauseRule

MAX_ASK_WORDS = 14
MIN_ASKS = 3
_SLOT = re.compile(r"\{(\w+)\}")
_ASKERS_ME = re.compile(r"\b(?:[Tt]ell|[Rr]emind|[Gg]ive) me\b")
_ARTICLE = re.compile(
    r"^(?:a|an|the|your|his|her|their|its|our|some|another|"
    r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d+) "
)
_KIND = re.compile(r"^(?P<owner>.*?)(?:'s?)? ?favou?rite (?P<kind>[\w -]{2,30})$")
_QUALITY = re.compile(
    r"^(?:(?:very|really|quite|so|terribly|rather|a bit|still|deeply) )?"
    r"(?P<quality>[a-z]+ (?:of|at|about|for|in|to|with))\b"
)
_MOMENT = re.compile(r"(?:in|on|at|since|yesterday|today|last|this|next|every|each|during)\b", re.IGNORECASE)
_ORDINARY_START = re.compile(r"^(?:The|My|Our|His|Her|Their|This|That|These|Those|When|Where|What|If|And|But|So)\b")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question in words, the rule that it came of, and whether it is that rule's canonical wording."""

    text: str
    form: str
    canonical: bool = False


def asks_of(sentence: str, people: Mapping[str, str]) -> tuple[Ask, ...]:
    """What `sentence` (contractions written out) answers; the first wordings of all its facts before any second one."""
    by_rule = [_asks(form, texts) for form, texts in _named(sentence)]
    for clause in clauses(sentence, people):
        if by_rule and clause.base in {"name", "call"}:
            continue
        by_rule += [_asks(rule.name, texts) for rule, texts in _ruled(clause)]
    in_turn = [ask for tier in zip_longest(*by_rule) for ask in tier if ask is not None]
    if in_turn and len(in_turn) < MIN_ASKS and (clause_asked := embedded(in_turn[0].text)):
        in_turn += [
            Ask(f"Can you tell me {clause_asked}?", "tell"),
            Ask(f"Do you remember {clause_asked}?", "remember"),
        ]
    return tuple({ask.text.casefold(): ask for ask in reversed(in_turn) if is_askable(ask.text)}.values())[::-1]


def _asks(form: str, texts: list[str]) -> list[Ask]:
    return [Ask(text, form, canonical=number == 0) for number, text in enumerate(texts)]


def is_askable(text: str) -> bool:
    """Whether it may be put to the person: short, and in the second person."""
    return len(text.split()) <= MAX_ASK_WORDS and not FIRST_PERSON.search(_ASKERS_ME.sub("", text))


def relations(sentence: str) -> dict[str, str]:
    """The people and animals that the sentence names, as the asker would call them: `Clara` -> `your sister`."""
    found = {}
    for _, slots in _name_matches(sentence):
        noun = slots.get("noun", "")
        if phrases.is_animate(noun):
            found[slots["name"]] = f"your {noun}"
    return found


def _name_matches(sentence: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, rule in enumerate(NAME_RULES):
        match = rule.pattern.search(sentence)
        if match is None:
            continue
        slots = match.groupdict()
        if _ORDINARY_START.match(slots["name"]):
            continue
        noun = slots.get("noun", "")
        yield number, slots | {"who": "Who" if phrases.is_animate(noun) else "What"}


def _named(sentence: str) -> Iterator[tuple[str, list[str]]]:
    for number, slots in _name_matches(sentence):
        rule = NAME_RULES[number]
        yield rule.name, [_filled(ask, slots) for ask in rule.asks]
        return


def _ruled(clause: Clause) -> Iterator[tuple[ClauseRule, list[str]]]:
    slots_of = [_slots(clause, name) for name in clause.subject.names]
    for rule in CLAUSE_RULES:
        if not _applies(rule, clause, slots_of[0]):
            continue
        texts = [
            text
            for number, ask in enumerate(rule.asks)
            if (text := _filled(ask, slots_of[number % len(slots_of)] | _groups(rule, clause)))
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
        (clause.base in rule.verbs if rule.verbs else clause.base != "be")
        and (rule.rest is None or rule.rest.search(clause.parts.rest) is not None)
        and (rule.unlike is None or rule.unlike.search(clause.parts.rest) is None)
        and (rule.subject is None or rule.subject.search(clause.subject.names[0]) is not None)
        and (not rule.of_person or clause.subject.person)
        and (rule.negated is None or rule.negated == clause.negated)
        and all(slots[need] for need in rule.needs)
    )


def _slots(clause: Clause, name: str) -> dict[str, str]:
    subject = clause.subject
    plural = subject.plural
    tense = 0 if clause.past else 1 if plural else 2
    does = ("did", "do", "does")[tense]
    kind = _KIND.match(name)
    quality = _QUALITY.match(clause.parts.rest)
    owner = kind["owner"] if kind else ""
    owner = "you" if owner == "your" else owner
    whole = clause.parts.rest.split(",")[0]
    known = re.sub(r"^an? ", "the ", clause.parts.thing)
    return {
        "s": name,
        "S": phrases.possessive(name),
        "do": clause.aux,
        "v": clause.verb,
        "told": _told(clause),
        "wish": clause.verb.split(" to ")[0] if " to " in clause.verb and not clause.verb.startswith("have") else "",
        "happened": name if clause.past and name != "you" else "",
        "ahead": "" if clause.past else clause.aux,
        "animate": "yes" if subject.person or phrases.is_animate(name) or re.fullmatch(phrases.NAME, name) else "",
        "moment": clause.parts.when if _MOMENT.match(clause.parts.when) else "",
        "does": ("do" if owner == "you" else "does") if kind else does,
        "Does": does.capitalize(),
        "now": "do" if plural else "does",
        "is": clause.aux if clause.base == "be" and clause.aux else _is(clause),
        "Is": _is(clause).capitalize(),
        "has": ("had", "have", "has")[tense],
        "thing": clause.parts.thing,
        "n": _ARTICLE.sub("", clause.parts.thing),
        "it": known,
        "head": _head(known) if clause.base not in {"paint", "make", "dye", "keep"} else "",
        "whole": whole if len(whole.split()) <= MAX_ASK_WORDS // 2 else clause.parts.thing,
        "tail": clause.parts.tail if len(clause.parts.tail.split()) <= MAX_ASK_WORDS // 2 else "",
        "when": clause.parts.when,
        "where": clause.parts.where,
        "whom": clause.parts.with_whom,
        "prep": clause.parts.preposition,
        "bare": clause.parts.preposition or ("nothing" if not clause.parts.thing else ""),
        "specific": "" if clause.base in {"have", "own"} else clause.parts.thing,
        "What": "Who" if phrases.is_animate(clause.parts.thing) or _is_name(clause) else "What",
        "When": _when(clause.parts.when),
        "Which_time": phrases.asked_time(clause.parts.when) if _when(clause.parts.when) == "When" else "",
        "kind": kind["kind"] if kind else "",
        "owner": owner,
        "quality": quality["quality"] if quality else "",
        "Who_s": "Who" if subject.person or phrases.is_animate(name) or re.fullmatch(phrases.NAME, name) else "What",
    }


def _head(thing: str) -> str:
    """`the small wooden boat` -> `the boat`; "" where there is nothing to leave out."""
    words = thing.split()
    article = _ARTICLE.match(thing)
    if (
        article is None
        or len(words) <= len(("the", "boat"))
        or "of" in words
        or words[0].isdigit()
        or re.search(r"\w{3}ing$", words[-1])
    ):
        return ""
    return article.group() + words[-1]


def _told(clause: Clause) -> str:
    """The past that the person told it in: `bought`, `had to buy`."""
    if clause.aux != "did":
        return ""
    first, *others = clause.verb.split(" ")
    return " ".join([verbs.past(first), *others])


def _is(clause: Clause) -> str:
    if clause.subject.plural:
        return "were" if clause.past else "are"
    return "was" if clause.past else "is"


def _is_name(clause: Clause) -> bool:
    """Whether a verb that takes people has a name for its object."""
    people = {"meet", "call", "visit", "phone", "see", "marry", "miss", "thank", "help", "ask"}
    return clause.base in people and re.fullmatch(phrases.NAME, clause.parts.thing) is not None


def _when(time: str) -> str:
    """The question word for the time."""
    if time.startswith("since"):
        return "Since when"
    return "How long" if time.startswith("for ") else "When" if time else ""


def _filled(ask: str, slots: Mapping[str, str]) -> str:
    """The ask with its slots filled; "" where one is missing. {v} of `be` and {tail} may be empty."""
    names = _SLOT.findall(ask)
    if any(not slots.get(name) for name in names if name not in {"v", "tail"}):
        return ""
    text = _SLOT.sub(lambda match: flip(slots[match[1]].strip(" ,")), ask)
    return capitalised(re.sub(r"\s+(?=[?.,])|(?<=\s)\s+", "", text))
