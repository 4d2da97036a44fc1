"""Turning what a person says into what they can be asked: persons exchanged, questions turned into clauses.

Invariant: `flip` leaves no pronoun of the first person; nothing here knows what a fact is.
"""

from __future__ import annotations

import re

from metahuman_core.study import verbs
from metahuman_core.study.words import words as _words

_FLIPPED = {
    "i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself",
    "we": "you", "us": "you", "our": "your", "ours": "yours", "ourselves": "yourselves",
}  # fmt: skip
FIRST_PERSON = re.compile(r"\b(?:I|(?i:me|my|mine|myself|we|us|our|ours|ourselves))\b(?!\.)")
_AM = re.compile(r"\byou am\b")
_CONTRACTIONS = (
    (re.compile(r"[\u2019\u02bc]"), "'"),
    (re.compile(r"\b([Cc])an't\b|\b([Cc])annot\b"), r"\1\2an not"),
    (re.compile(r"\b([Ww])on't\b"), r"\1ill not"),
    (re.compile(r"\b(\w{2,6})n't\b"), r"\1 not"),
    (re.compile(r"\bI'm\b"), "I am"),
    (re.compile(r"\b(I|you|we|they|We|You|They)'ve\b"), r"\1 have"),
    (re.compile(r"\b(I|you|we|they|he|she|it|We|You|They|He|She|It)'ll\b"), r"\1 will"),
    (re.compile(r"\b(you|we|they|You|We|They)'re\b"), r"\1 are"),
    (re.compile(r"\b(it|he|she|that|there|It|He|She|That|There|[Ww]hat|[Ww]here|[Ww]ho|[Ww]hen|[Hh]ow)'s\b"), r"\1 is"),
    (re.compile(r"\b(I|we|he|she|they|We|He|She|They)'d\b"), r"\1 would"),
    (re.compile(r"\b(I|[Ww]e|[Yy]ou|[Tt]hey) have got\b"), r"\1 have"),
)
_ASKED = re.compile(
    r"^(?P<wh>(?:(?:On|In|At|From|With|To) )?(?:What|When|Where|Who|Why|How|Which)\b[^?,]{0,50}?) "
    r"(?P<aux>do|does|did|is|are|was|were|have|has|had|can|will|would|could|should) (?P<rest>[^?]{2,120})\?$"
)
_YES_NO = re.compile(
    r"^(?P<aux>Do|Does|Did|Is|Are|Was|Were|Have|Has|Had|Can|Will|Would|Could|Should) (?P<rest>[^?]{2,120})\?$"
)
_LONGEST_SUBJECT = 4
_COMPLEMENT = _words("called named born allergic afraid married from like made good interested scared")


def expand(text: str) -> str:
    """Contractions written out, so that one pattern reads both ways of saying it."""
    for pattern, written_out in _CONTRACTIONS:
        text = pattern.sub(written_out, text)
    return text


def flip(text: str) -> str:
    """`my sister and I` -> `your sister and you`: first person becomes second, as the one who asks would say it."""
    flipped = FIRST_PERSON.sub(lambda match: _FLIPPED[match.group().lower()], text)
    return _AM.sub("you are", flipped)


def capitalised(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def lowered_start(text: str) -> str:
    """The text as it would stand inside a sentence: a first word that is large only for being first made small."""
    return text[:1].lower() + text[1:] if re.match(r"[A-Z][a-z]+\b|A\b", text) else text


def embedded(question: str) -> str:
    """`Where does your brother live?` -> `where your brother lives`; "" where it cannot be told how."""
    if (asked := _ASKED.match(question)) is not None:
        opening = lowered_start(asked["wh"])
    elif (asked := _YES_NO.match(question)) is not None:
        opening = "whether"
    else:
        return ""
    clause = _statement_order(asked["aux"].lower(), asked["rest"].split())
    return f"{opening} {clause}" if clause else ""


def _statement_order(aux: str, words: list[str]) -> str:
    if aux in {"do", "does", "did"}:
        verb = _place_of_verb(words)
        if not verb:
            return ""
        base = words[verb]
        told = {"do": base, "does": verbs.third(base), "did": verbs.past(base)}[aux]
        return " ".join([*words[:verb], told, *words[verb + 1 :]])
    if words[0] in {"you", "he", "she", "it", "they", "there"}:
        return " ".join([words[0], aux, *words[1:]])
    if aux in {"is", "are", "was", "were"}:
        ends = (place for place, word in enumerate(words) if place and (word in _COMPLEMENT or word.endswith("ing")))
        subject = next(ends, len(words) if len(words) <= _LONGEST_SUBJECT else 0)
        return " ".join([*words[:subject], aux, *words[subject:]]) if subject else ""
    return ""


def _place_of_verb(words: list[str]) -> int:
    """Where the verb stands after its subject; 0 where there is none."""
    if words[0] in {"you", "he", "she", "it", "they"}:
        return 1 if len(words) > 1 and words[1].isalpha() else 0
    for place, word in enumerate(words[1:6], start=1):
        if place > 1 or words[0][0].isupper():
            form = verbs.read(word)
            if form is not None and form.base == word:
                return place
    return 0
