"""What fills the slots of a rule's asks, read off a clause.

{s} {S} the subject and its possessive; {do} {v} the verb of a question, {told} the verb of a statement, {finite} that
verb behind Who; {does} {is} {has} the auxiliaries whatever the verb, {now} that of the present; {thing} the object,
{n} it without article, {it} it as known already, {head} its last word, {whole} it with what belongs to it, {tail} the
words behind it; {when} {where} {whom} {receiver} as found, {moment} the time if it is a point in time; {What} {When}
{Which_time} {How_long} {Which_place} the question words that suit. A slot that does not suit is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from metahuman_core.study import phrases, verbs
from metahuman_core.study.clauses import Clause
from metahuman_core.study.forms import ARTICLE, NUMBER, being, head, made, several, told
from metahuman_core.study.grammar import capitalised, flip
from metahuman_core.study.predicates import MODALS
from metahuman_core.study.words import words as _words

LONGEST_PHRASE = 7
_SLOT = re.compile(r"\{(\w+)\}")
_SEVERAL = re.compile(rf"^{NUMBER} (?:hundred |thousand )?")
_KIND = re.compile(r"^(?P<owner>.*?)(?:'s?)? ?favou?rite (?P<kind>[\w -]{2,30})$")
_QUALITY = re.compile(
    r"^(?:(?:very|really|quite|so|terribly|rather|a bit|still|deeply) )?"
    r"(?P<quality>[a-z]+ (?:of|at|about|for|in|to|with|on))\b(?: (?P<whom>[A-Z]|your|her\b|him\b))?"
)
_PLANNED = re.compile(
    r"^(?:going|planning|hoping|want|wants|intend|intends|plan|plans|hope|hopes) to (?P<planned>\w.*)$"
)
_INTENT = re.compile(r"(?:going|plan|planning|planned|hop|want|decide|intend|mean)\w* to\b")
_MOMENT = re.compile(r"(?:in|on|at|yesterday|today|last|this|next|every|each|during)\b", re.IGNORECASE)
_ADJECTIVE = re.compile(r"^(?P<adjective>(?:still |very |quite |rather )?[a-z]+)$")
_OWNED = re.compile(r"^(?:an?|one|two|three|four|five|six|\d+) (?:[a-z][\w-]+ ){0,2}[a-z][\w-]+$")
_PLAIN = re.compile(
    r"^(?:the|your|his|her|their|an?|this|that|both|all|every|one) [\w' -]+$|^[A-ZÀ-ÖØ-Þ][\w' -]+$|^you$"
)
_ABSTRACT = re.compile(
    r"\b(?:time|idea|feeling|look|right|chance|reason|way|lot|bit|few|word|question|thing|dream|plan|habit|visit|view|"
    r"hope|doubt|point|problem|need|kind|sort|cold|day|week|year|month|hour|minute|talk|walk|argument|"
    r"operation|appointment|meeting|exam|interview|lesson|class|test|flight|date|sleep|dinner|lunch|moment)s?$"
)
_SUFFERED = _words("break fall die collapse burn sink crash end close disappear melt freeze leak grow change fail")
_MOVING = r"(?:to|from|on|into|off)\b"
_GO = {"did": "go", "do": "go", "does": "go", "are": "going", "is": "going", "was": "going", "were": "going"}
_TAKES_NAMES = frozenset({"meet", "call", "visit", "phone", "see", "marry", "miss", "thank", "help", "ask"})


def filled(ask: str, slots: Mapping[str, str]) -> str:
    """The ask with its slots filled; "" where one is missing. {v} of `be` and {tail} may be empty."""
    names = _SLOT.findall(ask)
    if any(not slots.get(name) for name in names if name not in {"v", "tail"}):
        return ""
    text = _SLOT.sub(lambda match: flip(slots[match[1]].strip(" ,")), ask)
    return capitalised(re.sub(r"\s+(?=[?.,])|(?<=\s)\s+", "", text))


def slots_of(clause: Clause, name: str) -> dict[str, str]:
    """All slots of the clause, its subject called `name`."""
    return {
        **_of_subject(clause, name),
        **_of_verb(clause, name),
        **_of_thing(clause, name),
        **_of_circumstances(clause),
    }


def _of_subject(clause: Clause, name: str) -> dict[str, str]:
    subject = clause.subject
    kind = _KIND.match(name)
    owner = kind["owner"] if kind else ""
    named = re.fullmatch(phrases.NAME, name) is not None
    animate = subject.person or phrases.is_animate(name)
    return {
        "s": name,
        "S": phrases.possessive(name),
        "animate": "yes" if animate or named else "",
        "doer": "yes" if name != "you" and (animate or named) and not clause.negated else "",
        "happened": name if clause.past and name != "you" and not clause.negated else "",
        "plainly": "yes" if _PLAIN.match(name) and len(name.split()) <= LONGEST_PHRASE else "",
        "doing": subject.doing,
        "kind": kind["kind"] if kind else "",
        "kinds": several(kind["kind"]) if kind else "",
        "owner": "you" if owner == "your" else owner,
        "Who_s": "Who" if animate or name.startswith("the person") else "Who or what" if named else "What",
    }


def _of_verb(clause: Clause, name: str) -> dict[str, str]:
    plural = clause.subject.plural
    tense = 0 if clause.past else 1 if plural else 2
    kind = _KIND.match(name)
    owner = kind["owner"] if kind else ""
    does = ("do" if owner == "your" else "does") if owner else ("did", "do", "does")[tense]
    planned = _PLANNED.match(clause.verb)
    is_plan = clause.subject.person and not clause.past and not clause.negated
    modal = clause.verb if clause.aux == "will" and clause.base != "be" else ""
    return {
        "do": clause.aux,
        "v": clause.verb,
        "told": told(clause, plural=plural),
        "finite": "" if clause.negated or name == "you" else told(clause, plural=False),
        "wish": clause.verb.split(" to ")[0] if " to " in clause.verb and not clause.verb.startswith("have") else "",
        "intent": "yes" if _INTENT.match(clause.verb) else "",
        "planned": (planned["planned"] if planned else modal) if is_plan else "",
        "modal": clause.aux if clause.aux in MODALS else "",
        "ahead": "" if clause.past else clause.aux,
        "ongoing": "yes" if not clause.past else "",
        "go": _GO.get(clause.aux, "go" if clause.aux in MODALS else ""),
        "does": does,
        "Does": does.capitalize(),
        "now": "do" if plural else "does",
        "is": clause.aux if clause.base == "be" and clause.aux else being(clause),
        "are": "are" if plural else "is",
        "were": "were" if plural else "was",
        "Are": "Are" if plural else "Is",
        "was": "was" if clause.past else "is",
        "has": "have" if plural else "has",
        "Has": ("Had", "Have", "Has")[tense],
        "behind": "" if clause.aux in {"is", "are", "do", "does", "will"} else "yes",
        "current": "" if clause.past and name == "you" else "yes",
        "have_got": "" if clause.past else "have" if plural else "has",
        "Have_got": "" if clause.past else "Have" if plural else "Has",
        "active": "" if clause.base in _SUFFERED else "yes",
        "your": "your" if name == "you" else "",
        "never": clause.negated,
        "reason": clause.reason,
    }


def _of_thing(clause: Clause, name: str) -> dict[str, str]:
    parts = clause.parts
    rest = parts.rest
    thing = "" if re.match(r"no\b", parts.thing) else parts.thing
    owned = clause.base in {"have", "own", "keep"}
    bare = _SEVERAL.sub("", thing) if _SEVERAL.match(thing) else ""
    known = (
        f"{phrases.possessive(name) if owned else 'the'} {bare}"
        if bare
        else re.sub(r"^(?:an?|one|some) ", "the ", thing)
    )
    whole = f"{thing} {parts.tail}".strip() if thing else ""
    quality, adjective, done = (
        _QUALITY.match(rest),
        _ADJECTIVE.match(_timeless(rest)),
        verbs.read(rest.split(" ", 1)[0]),
    )
    is_done = clause.base == "be" and done is not None and done.tense in {"past", "participle"} and " " in rest
    return {
        "thing": thing,
        "n": bare or ARTICLE.sub("", thing),
        "it": known,
        "head": "" if clause.base in {"paint", "make", "dye", "keep"} else head(known),
        "whole": whole if len(whole.split()) <= LONGEST_PHRASE else thing,
        "tail": parts.tail,
        "liked": _liked(rest),
        "owned": thing if _OWNED.match(thing) and not _ABSTRACT.search(thing) and not phrases.is_person(thing) else "",
        "specific": "" if clause.base in {"have", "own"} else thing,
        "What": "Who" if phrases.is_person(thing) or (clause.base in _TAKES_NAMES and _is_name(thing)) else "What",
        "quality": quality["quality"] if quality else "",
        "Of_whom": "Who" if quality and quality["whom"] else "What",
        "adjective": adjective["adjective"]
        if adjective and not is_done and adjective["adjective"] not in _NO_QUALITY
        else "",
        "known": "" if is_done else "yes",
        "goods": thing if not phrases.is_animate(thing) else "",
        "done": rest.split(" ", 1)[0] if is_done else "",
        "made": made(clause, rest.split(" ", 1)[0]) if is_done else "",
    }


def _of_circumstances(clause: Clause) -> dict[str, str]:
    parts = clause.parts
    long = phrases.asked_duration(parts.when)
    return {
        "when": parts.when,
        "where": parts.where,
        "whom": parts.with_whom,
        "receiver": parts.for_whom,
        "at": ""
        if re.match(_MOVING if clause.base in {"come", "go"} else r"(?:to|from)\b", parts.where)
        else parts.where,
        "On_what_day": "On what day or at what time" if not long and re.match(r"(?:at|on|in)\b", parts.when) else "",
        "prep": parts.preposition,
        "bare": parts.preposition or ("nothing" if _is_bare(parts.rest) else ""),
        "moment": parts.when if _MOMENT.match(parts.when) and not long else "",
        "When": long if long in {"Since when", "Until when", "How long"} else "When" if parts.when else "",
        "Which_time": "" if long in {"Since when", "Until when", "How long"} else phrases.asked_time(parts.when),
        "How_long": long,
        "Which_place": phrases.asked_place(parts.where),
    }


_ADVERBS = frozenset(
    {"home", "away", "back", "again", "together", "well", "hard", "loudly", "there", "here", "early", "late"}
)
_NO_QUALITY = frozenset(
    {"not", "there", "here", "able", "back", "off", "away", "in", "out", "up", "on", "home", "done"}
)


def _is_bare(rest: str) -> bool:
    """Whether nothing follows the verb but times and adverbs."""
    left = _timeless(rest).split(",")[0].split()
    return not left or left[0] in _ADVERBS or left[0].endswith("ly")


def _timeless(rest: str) -> str:
    return " ".join(phrases.without_times(rest).replace("\0", " ").split())


def _liked(rest: str) -> str:
    """What is liked or hated, be it a thing or a doing: `rice pudding`, `flying in winter`."""
    liked = rest.partition(",")[0]
    opens_no_thing = re.match(r"(?:to|it|that|when|how|very|much|him|her|them)\b", liked)
    return "" if opens_no_thing or len(liked.split()) > LONGEST_PHRASE else liked


def _is_name(thing: str) -> bool:
    return re.fullmatch(phrases.NAME, thing) is not None
