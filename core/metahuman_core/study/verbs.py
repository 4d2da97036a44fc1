"""English verbs: which word is a form of which verb, and how its other forms are spelled.

Invariant: `past`, `third` and `participle` of a known verb are read back by `read` as that same verb.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from metahuman_core.study.words import words as _words

Tense = Literal["base", "third", "past", "participle", "ing"]

# Base, past, participle.
_IRREGULAR = """
be was been, become became become, begin began begun, bend bent bent, bet bet bet, bite bit bitten, bleed bled bled,
blow blew blown, break broke broken, breed bred bred, bring brought brought, build built built, burn burnt burnt,
buy bought bought, catch caught caught, choose chose chosen, climb climbed climbed, come came come, cost cost cost,
cut cut cut, deal dealt dealt, dig dug dug, do did done, draw drew drawn, dream dreamt dreamt, drink drank drunk,
drive drove driven, eat ate eaten, fall fell fallen, feed fed fed, feel felt felt, fight fought fought,
find found found, fit fit fit, flee fled fled, fly flew flown, forget forgot forgotten, forgive forgave forgiven,
freeze froze frozen, get got got, give gave given, go went gone, grow grew grown, hang hung hung, have had had,
hear heard heard, hide hid hidden, hit hit hit, hold held held, hurt hurt hurt, keep kept kept, kneel knelt knelt,
know knew known, lay laid laid, lead led led, lean leant leant, learn learnt learnt, leave left left, lend lent lent,
let let let, lie lay lain, light lit lit, lose lost lost, make made made, mean meant meant, meet met met,
pay paid paid, put put put, quit quit quit, read read read, ride rode ridden, ring rang rung, rise rose risen,
run ran run, say said said, see saw seen, sell sold sold, send sent sent, set set set, sew sewed sewn,
shake shook shaken, shine shone shone, shoot shot shot, show showed shown, shrink shrank shrunk, shut shut shut,
sing sang sung, sink sank sunk, sit sat sat, sleep slept slept, slide slid slid, smell smelt smelt, sow sowed sown,
speak spoke spoken, spell spelt spelt, spend spent spent, spill spilt spilt, split split split, spoil spoilt spoilt,
spread spread spread, spring sprang sprung, stand stood stood, steal stole stolen, stick stuck stuck,
sting stung stung, strike struck struck, swear swore sworn, sweep swept swept, swim swam swum, swing swung swung,
take took taken, teach taught taught, tear tore torn, tell told told, think thought thought, throw threw thrown,
understand understood understood, upset upset upset, wake woke woken, wear wore worn, weave wove woven,
weep wept wept, win won won, wind wound wound, write wrote written
"""

_REGULAR = """
accept admire adopt agree allow answer apologise appear argue arrive ask avoid bake bark bathe believe belong blame
boil book borrow brew bury call camp cancel carry celebrate change chase chat chop clean clear close coach collapse
collect commute complain consider cook cost cover crash cross cry cycle dance deal decide deliver deserve design die
disappear dislike divorce drill drop earn echo emigrate empty end enjoy enter expect expire explain fail faint fear
file fill finish fish fix follow frighten fry garden gather graduate grab guess guard hand happen harvest hate haul
help hike hire hope hug hum hurry inherit injure inspect install intend invent invite iron jog join jump kayak kick
kiss knit knock land last laugh launch leak lift like listen live lock look love manage marry measure mend mention
miss move mumble name need notice nurse offer oil open operate order organise owe own pack paint park pass peel perform
phone photograph pick plan plane plant play polish post pour practise prefer prepare promise publish pull push rain
raise react receive refuse rehearse relax remember rent repair replace rescue restore retire return roast row sail
save scare scold scream seem serve share sharpen shop shout sign ski slice smile smoke sneeze snore snow solve sort
sound spray sprain squeak start stay steam stop store stretch study suffer supervise swap talk tar taste tend thank
touch trade train translate travel treat trust try turn twist use varnish visit volunteer vote wait walk want wash
watch water weigh weld whittle wish work worry
"""

_DOUBLING = _words("stop plan chat jog drop knit prefer shop hug slip grab travel cancel hum swap tar")
_SPELT_TWICE = {"learned": "learn", "burned": "burn", "dreamed": "dream", "leaned": "lean", "spilled": "spill"}
_NOT_PAST = _words("hundred speed indeed naked sacred wicked rugged seaweed exceed proceed succeed greed beloved steed")
_VOWEL_E = re.compile(r"(?:[vczu]|[^aeiou]at|ak|ok|ik|[iu]r|dg|[^aeious]l|[^e]as|os|us|is|ap|op|id|ad|ud)$")


@dataclass(frozen=True, slots=True)
class Form:
    """A word read as a verb."""

    base: str
    tense: Tense


def third(base: str) -> str:
    """`live` -> `lives`: the form for he, she and it."""
    if base in {"have", "be"}:
        return {"have": "has", "be": "is"}[base]
    if re.search(r"(?:s|sh|ch|x|z|o)$", base):
        return base + "es"
    return base[:-1] + "ies" if re.search(r"[^aeiou]y$", base) else base + "s"


def past(base: str) -> str:
    """`buy` -> `bought`, `move` -> `moved`."""
    return _irregular().get(base, (_regular_past(base),))[0]


def participle(base: str) -> str:
    """`write` -> `written`, `move` -> `moved`."""
    return _irregular().get(base, (_regular_past(base),))[-1]


def read(word: str) -> Form | None:
    """The verb that `word` is a form of; None for a word that is no known verb and does not look like one."""
    word = word.lower()
    if (known := _forms().get(word)) is not None:
        return known
    if word.endswith("ed") and len(word) > len("need") and word not in _NOT_PAST:
        return Form(_stem(word), "past")
    return None


def read_after_subject(word: str) -> Form | None:
    """As `read`, but where grammar leaves little else than a verb (after I or we), an unknown word is one."""
    if (known := read(word)) is not None:
        return known
    return Form(word.lower(), "base") if re.fullmatch(r"[a-z]{2,15}", word) and not word.endswith("ly") else None


def read_third(word: str) -> Form | None:
    """As `read`, for a word that stands where a verb of the third person must: `expires` -> `expire`."""
    if not re.fullmatch(r"[a-z]{2,15}s", word):
        return None
    if word.endswith("ies"):
        return Form(word[:-3] + "y", "third")
    return Form(word[:-2] if re.search(r"(?:sh|ch|x|zz|ss)es$", word) else word[:-1], "third")


def _stem(word: str) -> str:
    """The base of an unknown regular past: `-ied`, a doubled consonant, a silent e, or the word less its ending."""
    stem = word[:-2]
    if word.endswith("ied"):
        return word[:-3] + "y"
    if re.search(r"([bdgmnprt])\1$", stem):
        return stem[:-1]
    return stem + "e" if _VOWEL_E.search(stem) and not re.search(r"[aeiou]{2}.$", stem) else stem


def _regular_past(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    if re.search(r"[^aeiou]y$", base):
        return base[:-1] + "ied"
    return base + base[-1] + "ed" if base in _DOUBLING else base + "ed"


def _ing(base: str) -> str:
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith(("ee", "be")):
        return base[:-1] + "ing"
    doubled = base in _DOUBLING or base in {"get", "run", "swim", "sit", "put", "cut", "set", "win", "dig", "let"}
    return base + (base[-1] if doubled else "") + "ing"


@cache
def _irregular() -> dict[str, tuple[str, str]]:
    triples = (entry.split() for entry in _IRREGULAR.replace("\n", " ").split(","))
    return {base: (was, been) for base, was, been in triples}


@cache
def _forms() -> dict[str, Form]:
    """Every form of every known verb; of words that are several forms (put, cost), past wins, as memories tell it."""
    forms: dict[str, Form] = {}
    bases = [*_irregular(), *(base for base in _REGULAR.split() if base not in _irregular())]
    for base in bases:
        forms.setdefault(_ing(base), Form(base, "ing"))
        forms.setdefault(third(base), Form(base, "third"))
        forms[base] = Form(base, "base")
    for base in bases:
        forms.setdefault(participle(base), Form(base, "participle"))
    for base in bases:
        if past(base) not in {"lay", "found", "bet", "fit", "saw"} or base in {"find", "see"}:
            forms[past(base)] = Form(base, "past")
    forms |= {spelt: Form(base, "past") for spelt, base in _SPELT_TWICE.items()}
    forms |= {"am": Form("be", "base"), "are": Form("be", "base"), "were": Form("be", "past")}
    return forms
