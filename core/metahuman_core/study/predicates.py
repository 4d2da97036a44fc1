"""The verb of a clause: which it is, and how a question says it.

Invariant: `aux` and `verb` put round the subject make the question's order (`did` you `buy`); of `be` the auxiliary is
the verb, and `verb` is empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from metahuman_core.study import verbs
from metahuman_core.study.words import words as _words

ADVERBS = _words(
    "also ever always never just still finally really recently usually often sometimes once only now then actually "
    "even "
    "already soon both all probably mostly rarely nearly almost quietly simply absolutely secretly originally long "
    "each later first currently normally generally especially honestly"
)
MODALS = _words("can could will would must should might may shall")
BE = _words("am is are was were")
_DO = _words("do does did")
_HAVE = _words("have has had")
_HABIT = _words("always usually often sometimes rarely never normally generally mostly")
_OPENS_AN_OBJECT = _words("a an the my our your his her their its this that some all everything nothing")
_PARTICLES = _words("up down off out away back over")
_TAKE_INFINITIVE = _words(
    "want plan hope need decide try promise forget begin start like love learn prefer hate go mean intend expect agree"
)
_TAKE_ING = _words("stop start begin keep finish quit")


@dataclass(frozen=True, slots=True)
class Predicate:
    """What is said of a subject: the verb as a question uses it, and the words that follow."""

    base: str
    aux: str
    verb: str
    past: bool
    rest: list[str]
    negated: str = ""


def predicate(words: list[str], *, plural: bool, certain: bool, present: bool = False) -> Predicate | None:
    """Read the words behind a subject; None where they begin with no verb.

    `plural`: the subject takes `do` and `are`; `certain`: after I or we an unknown word is taken for a verb; `present`:
    what could be either tense (read, put) is none of the past, as what was said just before it was not.
    """
    habitual = present or (bool(words) and (words[0].lower() in _HABIT or not {"every", "each"}.isdisjoint(words)))
    while words and words[0].lower().strip(",") in ADVERBS - {"never"}:
        words = words[1:]
    never = bool(words) and words[0].lower() == "never"
    words = words[1:] if never else words
    if not words:
        return None
    head, after = words[0].lower(), words[1:]
    negated = "never" if never or after[:1] == ["never"] else "not" if after[:1] == ["not"] else ""
    after = [word for place, word in enumerate(after) if place > 1 or word not in ADVERBS | {"not"}]
    said = _be(head, after, plural) or _helped(head, after, plural) or _plain(head, after, plural, certain, habitual)
    return replace(_with_particle(said), negated=negated) if said else None


def _be(head: str, after: list[str], plural: bool) -> Predicate | None:
    """am, is, was ...; with a verb in -ing behind it, that verb is the predicate."""
    if head in _HAVE and after[:1] == ["been"] and len(after) > 1 and not after[1].endswith("ing"):
        return Predicate("be", "are" if plural else "is", "", past=False, rest=after[1:])
    if head not in BE:
        return None
    past = head in {"was", "were"}
    aux = ("were" if plural else "was") if past else ("are" if plural else "is")
    doing = verbs.read(after[0]) if len(after) > 1 else None
    if doing is not None and doing.tense == "ing":
        return Predicate(doing.base, aux, after[0], past, after[1:])
    return Predicate("be", aux, "", past, after)


def _helped(head: str, after: list[str], plural: bool) -> Predicate | None:
    """Have done, have been doing, have to do, used to do, can do, did do."""
    if not after:
        return None
    do, have = ("do", "have") if plural else ("does", "has")
    if after[0] == "to" and len(after) > 1 and head in _HAVE | {"used"}:
        verb = after[1] if head == "used" else f"have to {after[1]}"
        past = head in {"used", "had"}
        return Predicate(after[1], "did" if past else do, verb, past, after[2:])
    if head in MODALS or (head in _DO and after[0] not in _OPENS_AN_OBJECT):
        form = verbs.read_after_subject(after[0])
        aux = head if head in MODALS or head == "did" else do
        return Predicate(form.base if form else after[0], aux, after[0], head == "did", after[1:])
    if head in _HAVE:
        if after[0] == "been" and len(after) > 1:
            doing = verbs.read(after[1]) or verbs.Form(after[1], "ing")
            return Predicate(doing.base, have, f"been {after[1]}", past=False, rest=after[2:])
        done = verbs.read(after[0])
        if done is not None and done.tense in {"past", "participle"}:
            return Predicate(done.base, head if head == "had" else have, after[0], head == "had", after[1:])
    return None


def _plain(head: str, after: list[str], plural: bool, certain: bool, habitual: bool) -> Predicate | None:
    """bought, buys, buy. What is its own past (put, read) is taken for the past, unless it tells a habit."""
    form = verbs.read_after_subject(head) if certain else verbs.read(head) or verbs.read_third(head)
    if form is None or form.tense in {"ing", "participle"}:
        return None
    past = form.tense == "past" and not (habitual and head == form.base)
    return Predicate(form.base, "did" if past else "do" if plural else "does", form.base, past, after)


def _with_particle(said: Predicate) -> Predicate:
    """`want` + `to learn` and `give` + `up` are asked for as one verb."""
    base, verb, rest = said.base, said.verb, said.rest
    going = base != "go" or verb == "going"
    if len(rest) > 1 and rest[0] == "to" and base in _TAKE_INFINITIVE and going and verbs.read_after_subject(rest[1]):
        return _with_particle(replace(said, base=rest[1], verb=f"{verb} to {rest[1]}", rest=rest[2:]))
    goes_on = base in _TAKE_ING and (
        base != "keep" or len(rest) < len(("racing", "pigeons")) or not rest[1].endswith("s")
    )
    if len(rest) > 1 and rest[0].endswith("ing") and goes_on:
        return replace(said, verb=f"{verb} {rest[0]}", rest=rest[1:])
    if rest and rest[0] in _PARTICLES and base not in {"be", "live"}:
        return replace(said, verb=f"{verb} {rest[0]}", rest=rest if base == "grow" else rest[1:])
    return said
