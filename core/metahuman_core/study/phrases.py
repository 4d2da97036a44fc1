"""The phrases that facts are told in: times, places, names, the people and animals of a life.

Invariant: every pattern is bounded (no nested repetition), so that matching is linear in the sentence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study.words import words as _words

OWNER = r"(?:[Mm]y|[Oo]ur|[Yy]our)"
NAME = (
    r"(?:(?:Dr|Mr|Mrs|Ms)\.? )?[A-ZÀ-ÖØ-Þ][\w'-]{0,30}"
    r"(?: (?:(?:de|da|van|von|of|the) )?[A-ZÀ-ÖØ-Þ][\w'-]{0,30}){0,3}"
)
_PEOPLE = sorted(
    _words(
        "sister brother mother father mum mom dad wife husband partner girlfriend boyfriend son daughter child "
        "children "
        "baby grandmother grandfather grandma grandpa granny grandad aunt uncle cousin niece nephew friend neighbour "
        "neighbor boss colleague teacher doctor dentist landlord landlady flatmate roommate godson goddaughter "
        "godmother "
        "twin manager therapist coach mentor "
        "stepmother stepfather stepson stepdaughter fiancé fiancée grandson granddaughter grandchild parents in-law"
    )
)
_ANIMALS = sorted(
    _words("dog cat puppy kitten horse pony parrot rabbit hamster tortoise hen goat donkey budgie canary pet")
)
_THINGS = sorted(
    _words("boat car band house cottage bike bicycle van yacht company shop school street village café choir club")
)
_JOINED = r"(?:(?:sister|brother|mother|father|son|daughter)-in-law|(?:best|old) friend)"
RELATION = rf"(?:{_JOINED}|(?:{'|'.join(_PEOPLE + _ANIMALS + _THINGS)}|[a-z]{{3,12}}(?:ist|ian))\b)"
_PERSON = re.compile(rf"\b(?:{_JOINED}|(?:{'|'.join(_PEOPLE)}|[a-z]{{3,12}}(?:ist|ian))s?)$")
_KIN = re.compile(r"(?:Mum|Mom|Dad|Grandpa|Grandma|Granny|Aunt|Auntie|Uncle)\b")
_ANIMAL = re.compile(rf"\b(?:{'|'.join(_ANIMALS)})s?$")

MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?"
)
_DAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?"
_SEASON = r"(?:spring|summer|autumn|fall|winter|Easter|Christmas|New Year)"
_NUMBER = (
    r"(?:\d{1,3}|a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|many|few|a few|several)"
)
_UNIT = r"(?:minute|hour|day|night|week|weekend|month|year|decade)s?"
_PART = r"(?:morning|afternoon|evening|night|lunchtime)s?"
_BEFORE = r"(?:(?:on|in|since|until|till|by|from|before|after|around|about|for|back in|late in|early in|during) )?"
_CLOCK = (
    r"(?:about |around |exactly )?(?:\d{1,2}[:.]\d{2}(?: ?[ap]\.?m\b\.?)?|\d{1,2} ?[ap]\.?m\b\.?"
    r"|\d{1,2}(?: o'clock\b|\b(?![:.]\d| (?-i:[A-Z])))"
    r"|noon|midnight|dawn|dusk|lunchtime|night|(?:half|quarter) (?:past|to) \w+"
    r"|(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?: o'clock)?)\b"
)
TIME = "|".join(
    (
        rf"{_BEFORE}(?:the )?(?:{_DAY},? (?:the )?)?\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{MONTH}(?:,? \d{{4}})?",
        rf"{_BEFORE}{MONTH} (?:the )?\d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}})?",
        rf"{_BEFORE}\d{{4}}-\d\d-\d\d",
        (
            r"(?:in|since|until|by|from|before|after|around|back in|during|of) "
            rf"(?:early |late |mid-)?(?:{MONTH}(?: \d{{4}})?|(?:19|20)\d\d\b)"
        ),
        (
            r"(?:(?:in|since|until|during|at|before|after|for) )?"
            rf"(?:the |last |next |this |every |each )(?:\w+ )?(?:{_SEASON}|{_PART}|{_UNIT}|{_DAY})\b(?: {_PART})?"
            r"(?: of (?:19|20)\d\d)?"
        ),
        rf"(?:in|at|since|until|before|after) {_SEASON}\b(?: (?:19|20)\d\d)?",
        rf"(?:on|every|last|next|this|until|since|by|from) (?:{_DAY}|weekends|weekdays)(?: {_PART})?(?: and {_DAY})?",
        rf"(?:at|since|until|before|after|by|from) {_CLOCK}",
        rf"(?:for |after |in |within |about )?(?:the (?:last|past) )?{_NUMBER} {_UNIT}(?: ago| later| before| old)?\b",
        rf"(?:once|twice|three times) (?:a|every) (?:{_UNIT}|{_DAY})",
        r"yesterday|today|tonight|tomorrow|the day before",
        r"(?:when|since) (?:I|you|she|he|we) (?:was|were) (?:\w+ ?){1,4}",
        r"at the age of \w+|as a (?:child|boy|girl|student|teenager)",
    )
)
_TIME = re.compile(rf"\b(?:{TIME})(?!\w)", re.IGNORECASE)
_ADVERBIAL = re.compile(
    r"^(?:(?:and|but|so|then|because|that|while|if|since|after|before|as|in|on|at|with|for|from|by|during|without|like|"
    r"yesterday|today|tonight|tomorrow|last|next|this|every|each|once|one|two|\w+ly|\d+|although|though|until|now|"
    r"here|there|sometimes|of course|these|years|months|at|to|what|when|where|how)\b[^,]{0,50},? )$",
    re.IGNORECASE,
)
_AT = (
    r"(?:in|at|near|to|under|behind|beside|above|inside|outside|next to|opposite|across|into|on|off|from|between|around"
    r"|along)"
)
_PREPOSITION = re.compile(
    rf"\b(?:{_AT}|with|without|for|by|about|of|as|because|when|after|before|that|than|until|since|while|if|"
    r"every|named|called)\b"
)
_END_OF_THING = re.compile(_PREPOSITION.pattern.replace("|of|", "|") + r"|\bof$|[,;:(\0]")
_RELATIVE = re.compile(r"\b(?:the|an?|your) (?:[\w-]+ ){1,3}?(?=(?:you|he|she|they) [a-z])")
_END_OF_PLACE = re.compile(r"[\0,;:(]| (?:with|for|because|and|when|after|before|to|as|but|while|until|so)\b")
_NO_THING = _words(
    "too again together here there home well more less it them him her this that so not now early late tired happy "
    "sad a lot very much alone everything nothing something everyone better best one"
) | {"a lot", "very much", "so much", "very well", "all", ""}
_WHERE = re.compile(
    rf"\b(?P<at>{_AT}) (?P<what>(?:the|a|an|your|our|my|his|her|their|no\.?) [a-z][\w-]+|\d|[A-ZÀ-ÖØ-Þ][\w'-]+)"
)
_WITH = re.compile(rf"\bwith (?P<whom>{NAME}|(?:your|my) (?:\w+ )?{RELATION})")
_LONGEST_THING = 6
_NOWHERE = re.compile(
    r"\b(?:in|at|from|on|to) (?:the end|a hurry|the phone|my own|your own|time|the (?:first|last) time|"
    r"English|French|German|Spanish|Portuguese|Italian)\b"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What follows a verb, taken apart: `rest` is all of it, `tail` what follows the `thing`."""

    rest: str
    thing: str
    tail: str
    when: str
    where: str
    with_whom: str
    preposition: str


def is_person(noun: str) -> bool:
    """Whether the noun phrase ends in a word for a person."""
    return bool(_PERSON.search(noun) or _KIN.match(noun))


def is_animate(noun: str) -> bool:
    """Whether one asks for it by who: people and animals."""
    return is_person(noun) or bool(_ANIMAL.search(noun))


def possessive(name: str) -> str:
    """`you` -> `your`, `Clara` -> `Clara's`, `your parents` -> `your parents'`."""
    if name == "you":
        return "your"
    return name + ("'" if name.endswith("s") and name[0].islower() else "'s")


def leading_time(text: str) -> str:
    """The time that the text begins with, or ""."""
    match = _TIME.match(text)
    return match.group() if match else ""


def time_in(text: str) -> str:
    """The first time told in the text, or ""."""
    match = _TIME.search(text)
    return match.group() if match else ""


def asked_time(time: str) -> str:
    """How one asks for such a time: in which year, on which day, ...; "" for the vague ones."""
    if re.match(r"at \d|at (?:half|quarter|about|noon|midnight|\w+ o'clock)", time):
        return "At what time"
    if re.search(rf"\d {MONTH}|{MONTH} \d{{1,2}}\b(?!\d)", time):
        return "On which date"
    if re.search(rf"{_DAY}", time):
        return "On which day"
    if re.search(MONTH, time):
        return "In which month"
    return "In which year" if re.search(r"\b(?:19|20)\d\d\b", time) else ""


def is_adverbial(lead: str) -> bool:
    """Whether words before a subject only say when, where or how (and are not a noun that the clause describes)."""
    return bool(_ADVERBIAL.match(lead))


def parts(rest: str, lead: str) -> Parts:
    """Take apart what follows the verb; `lead` is a time that stood before the subject."""
    rest = rest.strip(" ,")
    relative = _RELATIVE.search(rest)
    if relative is not None:
        rest = rest[: relative.end()].strip()
    when = time_in(rest) or (lead if re.match(MONTH, lead) else lead[:1].lower() + lead[1:])
    timeless = _TIME.sub("\0", rest)
    whom = _WITH.search(timeless)
    end = _END_OF_THING.search(timeless)
    thing = timeless[: end.start() if end else len(timeless)].strip()
    if thing.lower() in _NO_THING:
        thing = ""
    place = next((found for found in _WHERE.finditer(timeless) if not _NOWHERE.match(timeless, found.start())), None)
    if place is not None and thing and place["at"] in {"to", "from"}:
        place = None
    return Parts(
        rest=rest,
        thing=thing if len(thing.split()) <= _LONGEST_THING else "",
        tail=rest[len(thing) :].split(",")[0].strip(),
        when=when,
        where=_END_OF_PLACE.split(timeless[place.start() :], maxsplit=1)[0].strip(" ,") if place else "",
        with_whom=whom["whom"] if whom else "",
        preposition=opens.group() if (opens := _PREPOSITION.match(rest)) else "",
    )
