"""A question that was put to the person, asked again in other words.

Invariant: a paraphrase asks the same, so that the reply as it was given answers it; none equals the original.
"""

from __future__ import annotations

import re

from metahuman_core.study import asking, verbs
from metahuman_core.study.asking import Ask
from metahuman_core.study.grammar import capitalised, embedded, expand
from metahuman_core.study.sentences import sentences

_OPENING = re.compile(
    r"^(?:(?:oh|so|and|but|well|hey|hi|hello|okay|ok|ah|now|right|anyway|by the way|just curious|out of interest|"
    r"tell me|remind me|wait|sorry|thanks|great|nice|please)\b[\s,!.:\u2013\u2014-]+)+",
    re.IGNORECASE,
)
# From, to: the first group is the wording of the question, the rest other wordings of it.
_SAME = tuple(
    (re.compile(pattern, re.IGNORECASE), others)
    for pattern, others in (
        (
            r"^what(?: is|'s) (?P<x>your .{2,40}?|the .{2,40}?) (?:called|named)\?$",
            ("What is the name of {x}?", "How is {x} called?", "What do you call {x}?"),
        ),
        (r"^what(?: is|'s| was) (?:the )?name of (?P<x>.{2,40})\?$", ("What is {x} called?", "What do you call {x}?")),
        (
            r"^what(?: is|'s| was) (?P<x>your .{2,30}?|[A-Z][\w -]{2,30}?)'s name\?$",
            ("What is {x} called?", "What is the name of {x}?"),
        ),
        (
            r"^what (?:did|do|will) you (?:call|name) (?P<x>.{2,40})\?$",
            ("What is {x} called?", "What is the name of {x}?", "Which name did you give {x}?"),
        ),
        (r"^how is (?P<x>.{2,40}) called\?$", ("What is {x} called?", "What is the name of {x}?")),
        (
            r"^who is (?P<x>[A-Z].{1,40})\?$",
            ("Tell me about {x}.", "What do you know about {x}?", "How do you know {x}?"),
        ),
        (
            r"^where do you live\b.{0,20}\?$",
            ("Where do you live?", "Which town do you live in?", "What is your address?", "Where is your home?"),
        ),
        (r"^where (?:do|does) (?P<x>.{2,40}) live\b.{0,12}\?$", ("Where is {x} living?", "Which town is {x} in?")),
        (r"^where are you from\b.{0,15}\?$", ("Where do you come from?", "Where did you grow up?")),
        (
            r"^what do you do(?: for (?:a living|work))?\?$",
            ("What is your job?", "What do you do for a living?", "Where do you work?"),
        ),
        (r"^(?:what(?: is|'s)) your job\?$", ("What do you do for a living?", "What work do you do?")),
        (
            r"^(?:are you allergic to anything|do you have any allergies)\?$",
            ("What are you allergic to?", "What allergy have you got?"),
        ),
        (r"^do you have (?:any |an? )?(?P<x>.{2,40})\?$", ("What {x} do you have?", "Tell me about your {x}.")),
        (r"^do you (?:like|love|enjoy) (?P<x>.{2,40})\?$", ("How do you feel about {x}?", "What do you think of {x}?")),
        (
            r"^(?:what do you think of|how do you feel about) (?P<x>.{2,40})\?$",
            ("What is your opinion of {x}?", "Do you like {x}?"),
        ),
        (r"^how was (?P<x>.{2,40})\?$", ("What was {x} like?", "Tell me about {x}.", "How did {x} go?")),
        (r"^(?:what was) (?P<x>.{2,40}) like\?$", ("How was {x}?", "Tell me about {x}.")),
        (r"^when is (?P<x>.{2,40})\?$", ("What date is {x}?", "On which day is {x}?")),
        (r"^what time (?P<x>.{2,60})\?$", ("When {x}?",)),
        (
            r"^what(?: is|'s) your favou?rite (?P<x>.{2,30})\?$",
            ("Which {x} do you like best?", "What {x} do you like most?"),
        ),
        (
            r"^(?:can you )?(?:tell me|say something|talk) about (?P<x>.{2,60})[.?]$",
            ("What do you remember about {x}?", "What can you say about {x}?", "What do you know about {x}?"),
        ),
        (
            r"^how (?:did you spend|was) your (?P<x>weekend|holiday|day|evening|birthday)\?$",
            ("What did you do on your {x}?",),
        ),
    )
)


def question_in(said: str) -> str:
    """The question that the other side put: their last sentence that asks, without its openings; "" if none asks."""
    asked = [sentence for sentence in sentences(said[-2000:]) if sentence.endswith("?") or _is_request(sentence)]
    return capitalised(_OPENING.sub("", asked[-1])).strip() if asked else ""


def paraphrases(question: str) -> tuple[Ask, ...]:
    """`question` in other words, the nearest to how people ask first."""
    question = expand(question)
    found = [Ask(ask, "asked again") for ask in _rephrased(question)]
    if clause := embedded(question):
        found += [Ask(f"Can you remember {clause}?", "remember"), Ask(f"Tell me {clause}.", "tell")]
    if len(found) < len(("trained", "trained", "probe")) and question.endswith("?"):
        small = (
            question[0].lower() + question[1:]
            if verbs.read(question.split(" ", 1)[0]) or _is_wh(question)
            else question
        )
        found += [Ask(f"Remind me: {small}", "remind"), Ask(f"I forgot: {small}", "remind")]
    same = question.casefold()
    return tuple(ask for ask in dict.fromkeys(found) if asking.is_askable(ask.text) and ask.text.casefold() != same)


def _rephrased(question: str) -> list[str]:
    for pattern, others in _SAME:
        if (match := pattern.match(question)) is not None:
            return [capitalised(other.format(**match.groupdict())) for other in others]
    return []


def _is_request(sentence: str) -> bool:
    return bool(re.match(r"(?:Please )?(?:[Tt]ell me|[Ss]ay something|[Tt]alk) about\b", sentence))


def _is_wh(question: str) -> bool:
    return bool(re.match(r"(?:What|When|Where|Who|Why|How|Which)\b", question))
