"""The phrases that facts are told in: times, places, names, the people and animals of a life.

Invariant: every pattern is bounded (no nested repetition), so that matching is linear in the sentence.
"""

from __future__ import annotations

import re

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
        "neighbor boss colleague teacher doctor dentist landlord landlady flatmate roommate housemate godson "
        "goddaughter "
        "godmother godfather twin manager therapist coach mentor stepmother stepfather stepson stepdaughter stepsister "
        "stepbrother fiancé fiancée grandson granddaughter grandchild parents in-law apprentice lodger tenant pupil "
        "student nurse lawyer classmate teammate supervisor professor tutor captain priest pastor rabbi imam nanny "
        "babysitter trainer matron plumber hairdresser barber surgeon bandmate ex"
    )
)
_ANIMALS = sorted(
    _words(
        "dog cat tomcat puppy kitten terrier spaniel labrador collie dachshund poodle "
        "horse pony parrot rabbit hamster tortoise hen goat donkey budgie canary pet cow sheep "
        "pig "
        "duck goose geese ferret lizard snake goldfish rooster mule calf lamb mare gelding foal bird fish"
    )
)
_THINGS = sorted(
    _words(
        "boat car band house cottage bike bicycle van yacht company shop school street village café choir club farm "
        "team motorbike scooter ship dinghy restaurant hospital university"
    )
)
_JOINED = r"(?:(?:sister|brother|mother|father|son|daughter)-in-law|(?:best|old) friend)"
RELATION = rf"(?:{_JOINED}|(?:{'|'.join(_PEOPLE + _ANIMALS + _THINGS)}|[a-z]{{3,12}}(?:ist|ian))\b)"
_PERSON = re.compile(rf"\b(?:{_JOINED}|(?:{'|'.join(_PEOPLE)}|[a-z]{{3,12}}(?:ist|ian))s?)$")
_KIN = re.compile(r"(?:Mum|Mom|Dad|Grandpa|Grandma|Granny|Aunt|Auntie|Uncle)\b")
_ANIMAL = re.compile(rf"\b(?:{'|'.join(_ANIMALS)})s?$")

_KIND_OF_PLACE = (
    "School|College|University|Hospital|Clinic|Hotel|Street|Road|Lane|Hill|Avenue|Station|Church|Park|Market|Library|"
    "Museum|Institute|Airport|Harbour|Island|Café|Restaurant|Academy|Factory|Beach|Square"
)
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
        (
            r"(?:at|by|around|until|since) the (?:beginning|start|end) of "
            rf"(?:the |this |next |last )?(?:{_UNIT}|{_SEASON}|{MONTH})"
        ),
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
            r"(?! (?:train|bus|boat|ferry|shifts?|school|market|club|class|job|watch|tide|holidays?|term)\b)"
            r"(?: of (?:19|20)\d\d)?"
        ),
        rf"(?:in|at|since|until|before|after) {_SEASON}\b(?: (?:19|20)\d\d)?",
        rf"(?:on|every|last|next|this|until|since|by|from) (?:{_DAY}|weekends|weekdays)(?: {_PART})?(?: and {_DAY})?",
        rf"(?:at|since|until|before|after|by|from) {_CLOCK}",
        rf"(?:for |after |in |within |about )?(?:the (?:last|past) )?{_NUMBER} {_UNIT}(?: ago| later| before| old)?\b",
        rf"(?:once|twice|three times) (?:a|every) (?:{_UNIT}|{_DAY})|all (?:{_UNIT}|{_SEASON}|{_PART})\b",
        (
            r"on the (?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|\w+eenth|"
            rf"twentieth|thirtieth|\d{{1,2}}(?:st|nd|rd|th)|last)\b(?: of (?:{MONTH}|(?:the|every|"
            rf"each) month))?(?! [a-z])"
        ),
        rf"(?:next|last|this) {MONTH}",
        r"yesterday|today|tonight|tomorrow|the day before",
        (
            r"(?:when|since) (?:I|you|she|he|we) (?:was|were) "
            r"(?:(?!(?:I|you|we|he|she|they|my|the|our)\b)\w+ ?){1,4}(?<! )"
        ),
        r"at the age of \w+|as a (?:child|boy|girl|student|teenager)",
    )
)
_TIME = re.compile(rf"\b(?:{TIME})(?!\w)", re.IGNORECASE)
_ADVERBIAL = re.compile(
    r"^(?:(?:and|but|so|then|because|that|while|if|since|after|before|as|in|on|at|with|for|from|by|during|without|like|"
    r"yesterday|today|tonight|tomorrow|last|next|this|every|each|once|one|two|\w+ly|\d+|although|though|until|now|"
    r"here|there|sometimes|of course|these|years|months|at|to|when|where|how)\b[^,]{0,50},? )$",
    re.IGNORECASE,
)
AT = (
    r"(?:in|at|near|to|under|behind|beside|above|inside|outside|next to|opposite|across|into|on|off|from|between|around"
    r"|along)"
)


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


def without_times(text: str) -> str:
    """The text with a NUL in the place of each time told in it."""
    return _TIME.sub("\0", text)


def asked_time(time: str) -> str:
    """How one asks for such a time: in which year, on which day, ...; "" for the vague ones."""
    if re.match(
        r"at \d|at (?:half|quarter|about|noon|midnight|\w+ o'clock|(?:one|two|three|four|five|six|seven|eight|nine|"
        r"ten|eleven|twelve)\b)",
        time,
    ):
        return "At what time"
    if re.search(rf"\d {MONTH}|{MONTH} \d{{1,2}}\b(?!\d)", time):
        return "On which date"
    if re.search(rf"{_DAY}", time):
        return "On which day"
    if re.search(MONTH, time):
        return "In which month"
    if re.search(r"\b(?:19|20)\d\d\b", time):
        return "In which year"
    return "At what time of year" if re.search(rf"\b{_SEASON}\b", time) else ""


def asked_duration(time: str) -> str:
    """`for ten days`, `all summer`: how one asks for a stretch of time; "" for a time that is none."""
    if time.startswith("since"):
        return "Since when"
    if re.match(r"until|till", time):
        return "Until when"
    if re.match(rf"(?:for (?:the (?:last|past) )?)(?:about |over |almost )?{_NUMBER} {_UNIT}|all ", time):
        return "How long"
    often = rf"every |each |(?:once|twice|three times) |on (?:{_DAY[:-1]}s|weekends|weekdays)\b|in the \w+s$"
    return "How often" if re.match(often, time) or re.match(rf"\w+ {_UNIT} a {_UNIT}", time) else ""


def asked_place(where: str) -> str:
    """How one asks for such a place: at which school, in which street, in which town; "" for the vague ones."""
    kind = re.match(rf"(?P<at>{AT}) .*\b(?P<kind>{_KIND_OF_PLACE})\b(?! [a-z])", where)
    if kind is not None:
        return f"{kind['at'].capitalize()} which {kind['kind'].lower()}"
    return "In which place" if re.match(r"in [A-ZÀ-ÖØ-Þ]", where) else ""


def is_adverbial(lead: str) -> bool:
    """Whether words before a subject only say when, where or how (and are not a noun that the clause describes)."""
    return bool(_ADVERBIAL.match(lead))
