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
_AGREES = ((re.compile(r"\byou am\b"), "you are"), (re.compile(r"\byou was\b"), "you were"))
_NO_SUBJECT = r"(?! (?:I|you|he|she|it|we|they)\b)"  # "Why don't you?" has no order of words without the contraction
_CONTRACTIONS = (
    (re.compile(r"[\u2019\u02bc]"), "'"),
    (re.compile(rf"\b([Cc])an't\b{_NO_SUBJECT}|\b([Cc])annot\b"), r"\1\2an not"),
    (re.compile(rf"\b([Ww])on't\b{_NO_SUBJECT}"), r"\1ill not"),
    (re.compile(rf"\b(\w{{2,6}})n't\b{_NO_SUBJECT}"), r"\1 not"),
    (re.compile(r"\bI'm\b"), "I am"),
    (re.compile(r"\b(I|you|we|they|We|You|They)'ve\b"), r"\1 have"),
    (re.compile(r"\b(I|you|we|they|he|she|it|We|You|They|He|She|It)'ll\b"), r"\1 will"),
    (re.compile(r"\b(you|we|they|You|We|They)'re\b"), r"\1 are"),
    (re.compile(r"\b(it|he|she|that|there|It|He|She|That|There)'s(?= (?:been|got|had)\b)"), r"\1 has"),
    (re.compile(r"\b(it|he|she|that|there|It|He|She|That|There|[Ww]hat|[Ww]here|[Ww]ho|[Ww]hen|[Hh]ow)'s\b"), r"\1 is"),
    (
        re.compile(r"\b(I|we|he|she|they|We|He|She|They)'d(?= (?:\w+ed|been|had|gone|seen|done|made|bought)\b)"),
        r"\1 had",
    ),
    (re.compile(r"\b(I|we|he|she|they|We|He|She|They)'d\b"), r"\1 would"),
    (re.compile(r"\b(I|[Ww]e|[Yy]ou|[Tt]hey) have got\b(?! to\b)"), r"\1 have"),
    (re.compile(r"\b([Hh]e|[Ss]he|[Ii]t) has got\b(?! to\b)"), r"\1 has"),
)
_ASKED = re.compile(
    r"^(?P<wh>(?:(?:On|In|At|From|With|To) )?(?:What|When|Where|Who|Why|How|Which)\b[^?,]{0,50}?) "
    r"(?P<aux>do|does|did|is|are|was|were|have|has|had|can|will|would|could|should) (?P<rest>[^?]{2,120})\?$"
)
_YES_NO = re.compile(
    r"^(?P<aux>Do|Does|Did|Is|Are|Was|Were|Have|Has|Had|Can|Will|Would|Could|Should) (?P<rest>[^?]{2,120})\?$"
)
_STARTS_WITH_VERB = re.compile(r"^(?:Who|What) (?P<verb>[a-z]+) (?!of\b)[^?]{2,100}\?$")
_COMPLEMENT = _words("called named born allergic afraid married made interested scared")
_PRONOUNS = _words("you he she it they there this that these those")
_DETERMINERS = _words("the a an your his her their its this that these those")
_NOT_A_NOUN = _words(
    "today tonight tomorrow yesterday now here there still already yet ready busy fast hard far late open closed again "
    "like over away back home soon then too always ever never up down off on in out fine well all any finished done"
)
_NEVER_NAMES = _words(
    "The A An My Our His Her Their Its This That These Those Some Every Each Both All Two Three Four Five Six Seven "
    "Eight Nine Ten One Another Many Most Several By In On At With From For After Before During Since Under Behind "
    "Near "
    "Half Neither None No Even Only Just Of To As"
)
_BETWEEN = _words("ever never always usually often still really also just already two both all actually normally")


def expand(text: str) -> str:
    """Contractions written out, so that one pattern reads both ways of saying it."""
    for pattern, written_out in _CONTRACTIONS:
        text = pattern.sub(written_out, text)
    return text


def flip(text: str) -> str:
    """`my sister and I` -> `your sister and you`: first person becomes second, as the one who asks would say it."""
    flipped = FIRST_PERSON.sub(lambda match: _FLIPPED[match.group().lower()], text)
    for pattern, agreeing in _AGREES:
        flipped = pattern.sub(agreeing, flipped)
    return flipped


def capitalised(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def lowered_start(text: str) -> str:
    """The text as it would stand inside a sentence: a first word that is large only for being first made small."""
    return text[:1].lower() + text[1:] if re.match(r"[A-Z][a-z]+\b|A\b", text) else text


def lowered_first(text: str) -> str:
    """The text with a first word that is never a name (an article, a preposition, a quantity) made small."""
    return text[:1].lower() + text[1:] if text.split(" ", 1)[0] in _NEVER_NAMES else text


def embedded(question: str) -> str:
    """`Where does your brother live?` -> `where your brother lives`; "" where it cannot surely be told how.

    Subject and complement of `be` look alike (`Is the harbour busy?`), so only the plainest of these are turned.
    """
    if (asked := _ASKED.match(question)) is not None:
        opening = lowered_start(asked["wh"])
    elif (asked := _YES_NO.match(question)) is not None:
        opening = "whether"
    else:
        started = _STARTS_WITH_VERB.match(question)
        form = verbs.read(started["verb"]) if started else None
        return question[0].lower() + question[1:-1] if form and form.tense in {"third", "past"} else ""
    if re.search(r"[\u2019']t\b|\bnot\b", question):
        return ""
    clause = _statement_order(opening, asked["aux"].lower(), asked["rest"].split())
    return f"{opening} {clause}" if clause else ""


def _statement_order(opening: str, aux: str, words: list[str]) -> str:
    """The words of a question behind its auxiliary, as a statement has them; "" where that is not sure."""
    if aux in {"do", "does", "did"}:
        verb = _place_of_verb(words)
        if not verb:
            return ""
        base = words[verb]
        told = {"do": base, "does": verbs.third(base), "did": verbs.past(base)}[aux]
        return " ".join([*words[:verb], told, *words[verb + 1 :]])
    if words[0] in _PRONOUNS - _DETERMINERS or (words[0] in _PRONOUNS and len(words) == 1):
        return " ".join([words[0], aux, *words[1:]])
    if aux not in {"is", "are", "was", "were"} or opening == "whether":
        return ""
    subject = _length_of_subject(opening, words)
    return " ".join([*words[:subject], aux, *words[subject:]]) if subject else ""


def _length_of_subject(opening: str, words: list[str]) -> int:
    """How many of the words behind `be` are its subject; 0 where its end cannot be seen."""
    for place, word in enumerate(words):
        if place > 1 and (word in _COMPLEMENT or (word.endswith("ing") and verbs.read(word) is not None)):
            return place if _is_noun_phrase(words[:place]) else 0
    longest = 3 if opening in {"what", "who", "where"} else 2
    return len(words) if len(words) <= longest and _is_noun_phrase(words) else 0


def _is_noun_phrase(words: list[str]) -> bool:
    """Whether it is plainly one: a name, or an article or the like and a noun, with at most one word between."""
    last = words[-1]
    if last in _NOT_A_NOUN or last.endswith(("ly", "ed")) or not last.replace("-", "").replace("'", "").isalpha():
        return False
    if words[0] in _DETERMINERS:
        return 1 < len(words) <= len(("the", "big", "boat"))
    return all(word[0].isupper() for word in words)


def _place_of_verb(words: list[str]) -> int:
    """Where the verb stands after its subject; 0 where there is none."""
    if words[0] in _PRONOUNS:
        place = next((place for place, word in enumerate(words[1:4], start=1) if word not in _BETWEEN), 0)
        return place if place and words[place].isalpha() and words[place].islower() else 0
    for place, word in enumerate(words[1:6], start=1):
        form = verbs.read(word)
        if form is not None and form.base == word and (place > 1 or words[0][0].isupper()):
            after = verbs.read(words[place + 1]) if len(words) > place + 1 else None
            is_noun = after is not None and after.base == words[place + 1]  # `the school play go`
            return place + is_noun if words[place - 1] not in _DETERMINERS else 0
    return 0
