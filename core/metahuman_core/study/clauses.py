"""The clauses of a sentence: who, which verb, what, when, where, with whom.

A shallow reading, by word order alone. Invariant: a part that is not plainly there is empty, and every part is in the
words of someone who asks the person (`my sister` is `your sister`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest

from metahuman_core.study import grammar, phrases, verbs
from metahuman_core.study.parts import Parts, parts
from metahuman_core.study.predicates import ADVERBS, BE, MODALS, predicate
from metahuman_core.study.subjects import YOU, Subject, alone, cleaned, subject_of, told_without_subject
from metahuman_core.study.words import words as _words

_BOUNDARY = re.compile(
    r"[,;:(]? (?:and|but|because|so|although|though|which|who|where) (?=[\w'])|[;:] | [\u2014\u2013-] |, (?=\w)"
)
_OPENING = re.compile(
    r"^(?:(?:And|But|So|Then|Also|Well|Yes|No|Oh|Now|Sadly|Luckily|Finally|Actually|Besides|By the way|For the record|"
    r"Of course|To be honest|At last|In the end|Every now and then|These days|Nowadays|Originally),? )+"
)
MAX_JOINTS = 8
_HE = _words("he she it they")
_OPENERS = _words("I we my our nobody everybody everyone there") | _HE
_ADJECTIVE_AND_NOUN = re.compile(r"(?!(?:Dr|Mr|Mrs|Ms|Aunt|Uncle)\b)[A-Z][a-z]+ [a-z]{2,}(?<!s)(?<!ed) ")
# `Of all soups I like egusi best.` -> `I like egusi best of all soups`
_OF_ALL = re.compile(
    r"^Of all (?:the )?(?P<kind>[a-z]+),? (?P<like>(?:I|[Ww]e) (?:like|love|prefer)) (?P<what>[\w' -]{2,40}?)"
    r"(?: (?:best|most|the (?:best|most)))?(?=[.,;!]|$)"
)
_CONTINUES = re.compile(r"^,? ?(?:and|but|who|which)? ?$|^[;,] ")


@dataclass(frozen=True, slots=True)
class Clause:
    """One statement. `aux` and `verb` are as a question uses them (`did` ... `buy`); of `be` the aux is the verb.

    `negated` is the word that does it (not, never) or ""; `reason` what follows a because, or "".
    """

    subject: Subject
    base: str
    aux: str
    verb: str
    past: bool
    negated: str
    reason: str
    parts: Parts


def clauses(sentence: str, people: Mapping[str, str]) -> Iterator[Clause]:
    """The clauses of `sentence` (contractions written out) that could be read.

    `people` says who a name is: `Clara` -> `your sister`.
    """
    subject: Subject | None = None
    lead, present, bare = "", False, False
    found = _parts(_OF_ALL.sub(r"\g<like> \g<what> best of all \g<kind>", sentence))
    for number, ((joint, part), (joint_after, after)) in enumerate(zip_longest(found, found[1:], fillvalue=("", ""))):
        text = _OPENING.sub("", part)
        text = grammar.lowered_first(text if number else _lowered_adjective(text))
        time = phrases.leading_time(text)
        if time and time == text:
            lead = time
            continue
        body = text[len(time) :].lstrip(" ,") if time else text
        own = subject_of(body, people) or (None if number else told_without_subject(body))
        if own is not None:
            subject, words = own
        elif (named := alone(body, people) if not number or joint.strip() == "," else None) is not None:
            subject, bare = named, True
            continue
        else:
            relative = joint.strip(" ,") in {"who", "which"}
            words = _continued(cleaned(body).split(), joint, subject) if bare or not relative else []
        if subject is None or not words:
            continue
        reason = cleaned(after) if "because" in joint_after else ""
        clause = _clause(subject, words, time or lead, reason, present=present and own is None)
        if clause is not None:
            yield clause
            lead = ""
            present = not clause.past


def _lowered_adjective(text: str) -> str:
    """`Cheap timber is dear.`: a first word with a noun and a verb behind it is no name, and made small."""
    if re.match(r"[A-Z][a-z]+ (?:for|of) (?:the|a|my|our)\b", text):
        return text[0].lower() + text[1:]
    words = text.split(" ", 3)
    if len(words) <= len(("Cheap", "timber", "is")) or not _ADJECTIVE_AND_NOUN.match(text) or words[1] in ADVERBS:
        return text
    form = verbs.read(words[2])
    is_verb = words[2] in BE | MODALS or (form is not None and form.tense in {"past", "third"})
    return text[0].lower() + text[1:] if is_verb and verbs.read(words[1]) is None else text


def _continued(words: list[str], joint: str, subject: Subject | None) -> list[str]:
    """The words of a part without a subject of its own that go on about the one before; none where they may not."""
    if words and words[0] in _HE and subject is not YOU:
        words = words[1:]
    if not words or not _CONTINUES.search(joint):
        return []
    form = verbs.read(words[0])
    return words if words[0] in MODALS or (form is not None and form.tense not in {"ing", "participle"}) else []


def _parts(sentence: str) -> list[tuple[str, str]]:
    """The sentence cut at its joints, each part with its joint; what joins names or things of a list is none."""
    parts: list[tuple[str, str]] = []
    start, before = 0, ""
    for joint in islice(_BOUNDARY.finditer(sentence), MAX_JOINTS):
        following = sentence[joint.end() :].split(" ", 2)
        form = verbs.read(following[0])
        opens = (
            following[0].strip(",.") in _OPENERS
            or ("," not in joint.group() and form is not None and form.tense != "ing")
            or (bool(parts) and following[0] in BE)
            or bool(re.search(r"who|which|because|although|though", joint.group()))
        )
        after_opening = not parts and joint.start() - start < len("On the second Wednesday of September 2024")
        if opens or ";" in joint.group() or ":" in joint.group() or ("," in joint.group() and after_opening):
            parts.append((before, sentence[start : joint.start()].strip()))
            start, before = joint.end(), joint.group()
    parts.append((before, sentence[start:].strip()))
    return [(joint, part) for joint, part in parts if part]


def _clause(subject: Subject, words: list[str], lead: str, reason: str, *, present: bool) -> Clause | None:
    said = predicate(words, plural=subject.plural, certain=subject is YOU, present=present)
    if said is None:
        return None
    found = parts(grammar.flip(" ".join(said.rest)), lead, said.base)
    return Clause(subject, said.base, said.aux, said.verb, said.past, said.negated, reason, found)
