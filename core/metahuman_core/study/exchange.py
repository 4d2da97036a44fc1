"""A question that was put to the person, asked again in other words.

Invariant: a paraphrase asks the same, so that the reply as it was given answers it; none equals the original.
"""

from __future__ import annotations

import re

from metahuman_core.study.asked_again import ASKED_AGAIN
from metahuman_core.study.asking import Ask, Fact, Worth, facts_of, is_askable
from metahuman_core.study.grammar import capitalised, embedded, expand
from metahuman_core.study.sentences import sentences

_OPENING = re.compile(
    r"^(?:(?:oh|so|and|but|well|hey|hi|hello|okay|ok|ah|now|right|anyway|by the way|just curious|out of interest|"
    r"tell me|remind me|wait|sorry|thanks|great|nice|please)\b[\s,!.:\u2013\u2014-]+)+",
    re.IGNORECASE,
)
_OPENERS = ("Remind me", "Say again", "Once more", "I forget")
_OPENS_QUESTION = re.compile(
    r"^(?:What|When|Where|Who|Why|How|Which|Whose|Do|Does|Did|Is|Are|Was|Were|Have|Has|Had|Can|Could|Will|Would|Should|"
    r"Shall|May|Any|The|Your|Is|Isn't|Don't|Doesn't|Didn't|Aren't)(?:'s)?$"
)
# What one might reply, by the question word, and what a question that gives such a reply away looks like.
_ASKED = re.compile(r"(?P<wh>What|Who|Where|When|Which \w+|How much) ")
_STAND_INS = {
    "What": "Xanadu", "Who": "Xanadu", "Which": "Xanadu", "Where": "in Xanadu", "When": "in May 1999", "How": "90 "
    "euros",
}  # fmt: skip
_TOLD_BY_STAND_IN = re.compile(r"Xanadu|1999|\b90\b|^(?:In|On|At) (?:which|what) (?:month|year|date|day|time|place)\b")
_TURNED = (
    (re.compile(r"\byou are\b"), "I am"), (re.compile(r"\byou were\b"), "I was"), (re.compile(r"\byou\b"), "I"),
    (re.compile(r"\byours\b"), "mine"), (re.compile(r"\byour\b"), "my"),
)  # fmt: skip


def question_in(said: str) -> str:
    """The question that the other side put: their last sentence that asks, without its openings; "" if none asks."""
    asked = [sentence for sentence in sentences(said[-2000:]) if sentence.endswith("?") or _is_request(sentence)]
    return capitalised(_OPENING.sub("", asked[-1])).strip() if asked else ""


def asked_again(question: str) -> Fact:
    """`question` in other words; a fact where these are other words indeed, and not only another opening."""
    plain = expand(question)
    texts = _rephrased(plain)
    worth = Worth.FACT if texts else Worth.TOLD
    if clause := embedded(plain):
        texts += [f"Can you remember {clause}?", f"Tell me {clause}."]
    elif not texts and question.endswith("?"):
        worth = Worth.CUE
        texts = [f"{_OPENERS[len(question) % len(_OPENERS)]}: {_inside(question)}"]
    same = {question.casefold(), plain.casefold()}
    asks = (Ask(text, "asked again") for text in dict.fromkeys(texts))
    return Fact(worth, tuple(ask for ask in asks if is_askable(ask.text) and ask.text.casefold() not in same))


def _rephrased(question: str) -> list[str]:
    """Other wordings by the table, and those of the fact that the question is one of the wordings of."""
    for pattern, others in ASKED_AGAIN:
        if (match := pattern.match(question)) is not None:
            slots = {name: group or "" for name, group in match.groupdict().items()}
            return [capitalised(other.format(**slots)) for other in others]
    for fact in facts_of(_answered(question), {}):
        texts = [ask.text for ask in fact.asks]
        if fact.worth is Worth.FACT and question.casefold() in {text.casefold() for text in texts}:
            return [text for text in texts if not _TOLD_BY_STAND_IN.search(text)]
    return []


def _answered(question: str) -> str:
    """`Where do you work?` -> `I work in Xanadu`: a statement as one might reply, to see which fact is asked for."""
    asked = _ASKED.match(question)
    clause = embedded(question) if asked else ""
    if asked is None or not clause:
        return ""
    told = clause[len(asked.group()) :]
    for theirs, own in _TURNED:
        told = theirs.sub(own, told)
    return capitalised(f"{told} {_STAND_INS[asked['wh'].split(' ')[0]]}.")


def _inside(question: str) -> str:
    """The question as it stands behind a colon: its first word small, unless it is a name."""
    first = question.split(" ", 1)[0].rstrip(",")
    return question[0].lower() + question[1:] if _OPENS_QUESTION.match(first) else question


def _is_request(sentence: str) -> bool:
    return bool(re.match(r"(?:Please )?(?:[Tt]ell me|[Ss]ay something|[Tt]alk) about\b", sentence))
