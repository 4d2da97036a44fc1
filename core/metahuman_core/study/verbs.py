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
accept act add adjust admire adopt advise afford agree aim allow announce annoy answer apologise appear apply approach
argue arrange arrest arrive ask assemble assist attach attack attend attract avoid award bake balance ban bark bathe
battle beg behave believe belong blame bless blink block boast boil book borrow bounce breathe brew brush bump bury
buzz calculate call camp cancel carry carve celebrate change charge chase chat cheat cheer chew choke chop clap clean
clear close coach collapse collect collide command commute compare compete complain compose conduct confess confirm
confuse connect consider construct contain continue convince cook copy cost cough count cover crash crawl cross cry
cure curl cycle dance dare deal decide decorate defend delay delight deliver demand depend deserve design destroy
detect develop die dip disappear discover discuss dislike dive divide divorce donate doubt drag drain drill drip drop
drown dump earn echo emigrate employ empty encourage end engage enjoy enter entertain escape establish estimate examine
exchange excite exist expand expect expire explain explode explore fail faint fasten fear fetch file fill finish fish
fix flap float flood flow fold follow fool frighten fry gamble garden gather gaze glow grab graduate greet grill grin
grip groan grumble guard guess hammer hand happen harvest hate haul heal help hike hire hope howl hug hum hunt hurry
identify ignore imagine impress improve include increase influence inform inherit injure inspect install instruct
intend interrupt interview introduce invent invest invite iron irritate itch jog join judge juggle jump kayak kick kiss
knit knock land last laugh launch leak lick lift like limp listen live load locate lock look love manage marry measure
melt memorise mend mention milk miss mix moan move mow multiply mumble murder name need nod notice nurse obey observe
obtain occur offend offer oil open operate order organise owe own pack pad paddle paint park pass pause peck pedal peel
perform permit phone photograph pick pinch plan plane plant play plough poke polish possess post pour practise pray
preach prefer prepare pretend prevent produce promise promote protect prove provide publish pull pump punch puncture
punish push qualify question queue rain raise rate reach react realise receive recommend recover reduce refer reflect
refuse regret rehearse reject relax rely remember remind remove rent repair repeat replace represent rescue respond
restore retire retrain return reveal reverse rinse roast rob roll rot row rub ruin rush sack sail satisfy save scare
scatter scold scrape scratch scream scrub seal seem serve settle share sharpen shave shelter shiver shop shout shrug
sigh sign sip skate ski skip slam slice smash smile smoke snatch sneeze sniff snip snore snow soak solve soothe sort
sound spare sprain spray sprinkle squash squeak squeeze stain stare start stay steam stir stop store strap strengthen
stretch strip stroke study subtract succeed suffer suggest supervise supply support suppose surprise surround suspect
suspend swallow swap switch talk tame tap tar taste tease telephone tempt tend thank tickle touch trade train translate
travel treat tremble trick trim trot trust try tug tumble tune turn twist undress unite unlock unpack use vanish
varnish visit volunteer vote wait walk wander want warn wash waste watch water wave weaken weigh weld whip whisper
whistle whittle wipe wish wonder work worry wrap wreck wrestle yawn yell zip
"""

_DOUBLING = _words(
    "stop plan chat jog drop knit prefer shop hug slip grab travel cancel hum swap tar ban beg chip clap clip dip "
    "drag drip drum grin grip nod pat pop rob rub scrub sip skip slam snip spot stir strap strip tap trap trim "
    "trip trot tug whip wrap zip admit commit occur permit refer regret"
)
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
