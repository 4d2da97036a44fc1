"""The ways of saying what somebody or something is called, and what is asked of a name.

To add one, add a row: a pattern over the whole sentence whose groups `noun` and `name` fill the slots of its asks. The
first ask is the canonical wording; {who} is who or what, as the thing named is. The first row that matches has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study.phrases import NAME, OWNER, RELATION

_NOUNS = r"(?:[a-z][\w-]{0,20} ){0,3}[a-z][\w-]{1,20}"


@dataclass(frozen=True, slots=True)
class NameRule:
    """A pattern over the whole sentence; groups `noun`, `name` and the like fill the slots."""

    name: str
    pattern: re.Pattern[str]
    asks: tuple[str, ...]


_CALLED = (
    "What is your {noun} called?",
    "{who} is {name}?",
    "What is the name of your {noun}?",
    "What is your {noun}'s name?",
    "Do you remember the name of your {noun}?",
)
_THE_CALLED = ("What is the {noun} called?", "What is the name of the {noun}?", "{who} is {name}?")
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
                "Do you remember the names of your {noun}?",
            ),
        ),
        ("called", rf"\b(?:have|has|got|own|adopted|bought) {_A}", _CALLED),
        (
            "called",
            rf"\b(?:[Tt]he|[Tt]his|that) (?P<noun>{_NOUNS}) (?:is|was) (?:called|named) (?P<name>{NAME})",
            _THE_CALLED,
        ),
        ("called", rf"\b{_A}", _THE_CALLED),
        (
            "named",
            rf"\b(?:named|called|christened) (?:my|our) (?P<noun>{_NOUNS}) (?P<name>{NAME})",
            ("What did you call your {noun}?", *_CALLED),
        ),
        (
            "named",
            rf"\b(?:named|called|christened) the (?P<noun>{_NOUNS}) (?P<name>{NAME})",
            ("What did you call the {noun}?", "What did you name the {noun}?", *_THE_CALLED),
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
            ("What is your name?", "What are you called?", "Who are you?"),
        ),
    )
)
