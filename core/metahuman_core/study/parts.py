"""What follows a verb, taken apart: the thing, when, where, with whom, for whom.

Invariant: a part is empty unless it plainly is what its name says: a `thing` is a noun phrase, a `tail` a phrase that
can end a question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study import phrases, verbs
from metahuman_core.study.phrases import AT, MONTH, NAME, RELATION
from metahuman_core.study.words import words as _words

_PREPOSITION = re.compile(
    rf"\b(?:{AT}|with|without|for|by|about|of|as|because|when|after|before|that|than|until|since|while|if|"
    r"over|round|through|past|instead|every|each|named|called|so|whether|where|who|which)\b"
)
_END_OF_THING = re.compile(_PREPOSITION.pattern.replace("|of|", "|").replace("|past|", "|") + r"|\bof$|[,;:(\0]")
_DOING = re.compile(
    r" (?P<doing>[a-z]+ing) (?:out|in|at|on|from|to|with|the|an?|my|your|his|her|their|up|down|off|over|for|into)\b"
)
_RELATIVE = re.compile(r"\b(?:the|an?|your) (?:[\w-]+ ){1,3}?(?=(?:you|he|she|they) [a-z])")
_END_OF_PLACE = re.compile(
    r"[\0,;:(]| (?:with|for|because|and|when|after|before|to|as|but|while|until|so|that|who|which|about|of \w+ing)\b"
)
_NO_THING = _words(
    "too again together here there home well more less it them him her this that so not now early late tired happy "
    "sad very much alone up down off out away back over looking everything nothing something everyone better best "
    "one as like no right straight both"
) | {"a lot", "very much", "so much", "very well", "all", "", "a little", "a bit", "the rest", "the way", "the same"}
_OPENS_A_NOUN = _words(
    "a an the your his her their its this that these those some any two three four five six seven eight nine ten "
    "eleven "
    "twelve twenty thirty forty fifty hundred another first second third one our many few several half"
)
_NEVER_IN_A_NOUN = _words(
    "you he she it they him them me us is was are were am be been too enough yourself himself herself itself very not "
    "nobody somebody everybody anyone everyone someone ever never"
)
# Verbs that take a thing, so that a bare noun behind them is one: `mends clocks`.
_TAKES_A_THING = _words(
    "make mend repair keep sell buy grow collect eat drink build bake cook teach study learn play read write paint "
    "draw "
    "restore knit sew brew plant win plane harvest carry catch hunt breed raise speak sing wear own need want hate "
    "love like find "
    "bring get have pull sort wash clean prepare serve deliver design drive fix order gather sharpen fear take sow "
    "smoke row cut polish weld translate import export train treat nurse fry roast weave carve varnish watch"
)
# Verbs that take none: what follows them says how, where or what like.
TAKES_NO_THING = _words(
    "go come look stand sit lie smell sound seem walk sleep work live stay travel arrive laugh smile talk swim "
    "happen fall "
    "rise shine rain agree feel move turn belong depart let say think believe hope wish suppose appear die last be "
    "worry apologise bark complain retire commute"
)
_WHERE = re.compile(
    rf"\b(?P<at>{AT}) (?P<what>(?:the|a|an|your|our|my|his|her|their|no\.?) [a-z][\w-]+|\d|[A-ZÀ-ÖØ-Þ][\w'-]+)"
)
_WITH = re.compile(rf"\bwith (?P<whom>{NAME}|(?:your|my|the) (?:\w+ )?{RELATION})")
_FOR = re.compile(rf"\bfor (?P<whom>{NAME}|(?:your|my|the|an?) (?:\w+ )?{RELATION})")
_TRAILING = re.compile(
    r"(?: (?:right|straight|back|home|away|out|up|down|again|too|now|instead|alone|together|off|over))+$"
)
_LONGEST_THING = 6
_LONGEST_TAIL = 6
_TAIL = re.compile(
    r"^(?:in|at|on|to|from|with|without|for|by|about|into|onto|under|behind|beside|near|across|over|through|between|"
    r"around|along|against|after|before|during|of)\b"
)
_NOT_IN_A_TAIL = re.compile(
    r"\b(?:you|he|she|it|they|that|who|which|because|when|while|if|is|was|are|were|has|had|than|as|so|until|too|him|"
    r"each|them|(?:in|for|by|at|with|from|of|on) \w+ing)\b|\bto (?!the\b|an?\b|your\b|his\b|her\b|their\b)[a-z]"
)
_NOWHERE = re.compile(
    r"\b(?:in|at|from|on|to|into) (?:the (?:end|beginning|start|moment|phone|first|last|shape|form|middle|name|"
    r"style|dark|rain|sun|wind|way|same)|"
    r"a (?:hurry|way|mood|row|while|good|bad)|(?:your|his|her|their) (?:coats?|shoes|boots|mind|head|opinion|life|"
    r"sleep|hands?|"
    r"hair|way|turn|eyes?|mouth|face|ears?|lap|arms?|heart)|my own|your own|time|fact|order|love|"
    rf"English|French|German|Spanish|Portuguese|Italian|{MONTH})\b"
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
    for_whom: str
    preposition: str


def parts(rest: str, lead: str, base: str) -> Parts:
    """Take apart what follows the verb `base`; `lead` is a time that stood before the subject."""
    rest = rest.strip(" ,")
    relative = _RELATIVE.search(rest)
    if relative is not None:
        rest = rest[: relative.end()].strip()
    when = phrases.time_in(rest) or (lead if re.match(MONTH, lead) else lead[:1].lower() + lead[1:])
    timeless = phrases.without_times(rest)
    whom, receiver = _WITH.search(timeless), _FOR.search(timeless)
    end = _END_OF_THING.search(timeless)
    said = _less_doing(timeless[: end.start() if end else len(timeless)].strip())
    said = _TRAILING.sub("", said)
    tail = rest[len(said) :].split(",")[0].strip()
    thing = said if _is_thing(said, base) else ""
    place = next((found for found in _WHERE.finditer(timeless) if not _NOWHERE.match(timeless, found.start())), None)
    if place is not None and thing and place["at"] in {"to", "from"}:
        place = None
    return Parts(
        rest=rest,
        thing=thing,
        tail=tail if _is_tail(tail) else "",
        when=when,
        where=_END_OF_PLACE.split(timeless[place.start() :], maxsplit=1)[0].strip(" ,") if place else "",
        with_whom=_somebody(whom),
        for_whom=_somebody(receiver),
        preposition=opens.group() if (opens := _PREPOSITION.match(rest)) else "",
    )


def _somebody(match: re.Match[str] | None) -> str:
    """The person or animal that the match names; "" for things."""
    whom = match["whom"] if match else ""
    return whom if whom[:1].isupper() or phrases.is_animate(whom) else ""


def _less_doing(said: str) -> str:
    """`my wrist falling out of` -> `my wrist`."""
    doing = _DOING.search(said + " in")
    form = verbs.read(doing["doing"]) if doing else None
    return said[: doing.start()] if doing and form is not None and doing.start() > len("my ") else said


def _is_thing(said: str, base: str) -> bool:
    words = said.split()
    if said.lower() in _NO_THING or base in TAKES_NO_THING or not 0 < len(words) <= _LONGEST_THING:
        return False
    if any(word.lower() in _NEVER_IN_A_NOUN or word.endswith("ly") for word in words):
        return False
    opens_a_noun = words[0].lower() in _OPENS_A_NOUN and len(words) > 1
    if words[0].lower() in _NO_THING and not opens_a_noun:
        return False
    return opens_a_noun or words[0][0].isupper() or words[0].isdigit() or base in _TAKES_A_THING


def _is_tail(tail: str) -> bool:
    return bool(_TAIL.match(tail)) and len(tail.split()) <= _LONGEST_TAIL and not _NOT_IN_A_TAIL.search(tail)
