"""The ways of saying what somebody or something is called, and what is asked of a name.

To add one, add a row: a pattern over the whole sentence whose groups `noun` and `name` fill the slots of its asks. The
first ask is the canonical wording; {who} is who or what, as the thing named is. The first row that matches has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study.phrases import NAME, OWNER, RELATION, is_animate, is_person
from metahuman_core.study.words import words as _words

_NOUNS = r"(?:[a-z][\w-]{0,20} ){0,3}[a-z][\w-]{1,20}"


@dataclass(frozen=True, slots=True)
class NameRule:
    """A pattern over the whole sentence; groups `noun`, `name` and the like fill the slots."""

    name: str
    pattern: re.Pattern[str]
    asks: tuple[str, ...]


_CALLED = (
    "What is your {noun} called?",
    "What is the name of your {noun}?",
    "What is your {noun}'s name?",
    "{who} is {name}?",
    "What do you call your {noun}?",
    "Which name does your {noun} go by?",
    "Do you know the name of your {noun}?",
    "What is {name} to you?",
    "Who is your {person}?",
    "What name does your {animal} answer to?",
    "What name did you give your {pet}?",
)
_THE_CALLED = (
    "What is the {noun} called?",
    "What is the name of the {noun}?",
    "{who} is {name}?",
    "What is the {short}'s name?",
    "Which name does the {noun} go by?",
    "What name does the {animal} answer to?",
)
_A = rf"(?:an?|another|one|two|some) (?P<noun>{_NOUNS}),? (?:called|named|by the name of) (?P<name>{NAME})"

NAME_RULES = tuple(
    NameRule(name, re.compile(pattern), asks)
    for name, pattern, asks in (
        (
            "called",
            rf"\b{OWNER} (?P<noun>{_NOUNS}) (?:is|was|are|were) (?:now )?(?:called|named) (?P<name>{NAME})",
            _CALLED,
        ),
        ("called", rf"\b{OWNER} (?P<noun>{_NOUNS}),? (?:which is |who is )?(?:called|named) (?P<name>{NAME})", _CALLED),
        ("called", rf"\b(?:[Tt]he )?name of (?:my|our) (?P<noun>{_NOUNS}) (?:is|was) (?P<name>{NAME})", _CALLED),
        ("called", rf"\b{OWNER} (?P<noun>{_NOUNS})'s name (?:is|was) (?P<name>{NAME})", _CALLED),
        (
            "called",
            (
                rf"\b(?:have|has) (?:two|three|four|five|six|\d) (?P<noun>[a-z]+s|children),? "
                rf"(?:called |named )?(?P<name>{NAME})(?:, {NAME})?,? and {NAME}"
            ),
            (
                "What are your {noun} called?",
                "What are the names of your {noun}?",
                "Can you name your {noun}?",
                "Which names do your {noun} go by?",
                "How many {noun} do you have?",
            ),
        ),
        ("called", rf"\b(?:have|has|got|own|adopted|bought) {_A}", _CALLED),
        (
            "called",
            rf"\b(?:[Tt]he|[Tt]his|that) (?P<noun>{_NOUNS}) (?:is|was) (?:called|named) (?P<name>{NAME})",
            _THE_CALLED,
        ),
        (
            "called",
            rf"\b[Aa]n? (?P<noun>{_NOUNS}) (?:called|named) (?P<name>{NAME})",
            ("What is the {noun} called?", *_THE_CALLED),
        ),
        ("called", rf"\b{_A}", _THE_CALLED),
        (
            "named",
            rf"\b(?:named|called|christened) (?:my|our) (?P<noun>{_NOUNS}) (?P<name>{NAME})",
            ("What did you call your {noun}?", *_CALLED),
        ),
        (
            "named",
            rf"\b(?:I|[Ww]e|and) (?:named|called|christened|baptised) the (?P<noun>{_NOUNS}) (?P<name>{NAME})",
            (
                "What did you call the {noun}?",
                "What did you name the {noun}?",
                "What name did you give the {noun}?",
                "What is your {noun} called?",
                *_THE_CALLED,
            ),
        ),
        (
            "named",
            rf"\b(?P<namer>{NAME}) (?:named|called|christened|baptised) the (?P<noun>{_NOUNS}) (?P<name>{NAME})",
            (
                "What did {namer} call the {noun}?",
                "What name did {namer} give the {noun}?",
                *_THE_CALLED,
                "What is your {noun} called?",
            ),
        ),
        ("relation", rf"\b{OWNER} (?P<noun>(?:[a-z][\w-]+ ){{0,2}}{RELATION}),? (?:is )?(?P<name>{NAME})", _CALLED),
        (
            "relation",
            rf"\b(?P<name>{NAME}) ?(?:,|is|was) {OWNER} (?P<noun>(?:[a-z][\w-]+ ){{0,2}}{RELATION})(?! (?:and|or)\b)",
            _CALLED,
        ),
        (
            "own name",
            rf"\b[Mm]y (?:full )?name is (?P<name>{NAME})",
            (
                "What is your name?",
                "What are you called?",
                "Who are you?",
                "Could you give me your name?",
                "How should one address you?",
            ),
        ),
    )
)

# `my new dentist` is asked for as the dentist, as the old one was.
_EPITHETS = re.compile(r"^(?:(?:new|own|dear|little|very own|poor|lovely|beloved|first) )+(?=[a-z])")
_NAMED_BY_OWNERS = _words("boat ship van car bike bicycle motorbike house cottage farm band dinghy yacht company club")


def slots_of_name(match: re.Match[str]) -> dict[str, str]:
    """The slots that a match fills: its groups, and {who} {person} {animal} {pet} as the thing named is one."""
    slots = {name: group or "" for name, group in match.groupdict().items()}
    noun = slots["noun"] = _EPITHETS.sub("", slots.get("noun", ""))
    animal = noun if is_animate(noun) and not is_person(noun) else ""
    last = noun.rsplit(" ", 1)[-1]
    owned = animal or last in _NAMED_BY_OWNERS
    known = is_animate(noun)
    return slots | {
        "who": "Who" if known else "What" if owned else "Who or what",
        "person": noun if is_person(noun) else "",
        "animal": animal,
        "pet": noun if owned else "",
        "short": "" if re.search(r" (?:at|of|in|on|with) ", noun) else noun,
    }
