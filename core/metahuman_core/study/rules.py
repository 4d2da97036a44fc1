"""The facts that are recognised and what is asked of each: one table, the one place to add a rule (but names.py).

A rule reads a clause by its verb and what follows it. Of its `asks` the first is the canonical wording: facts of one
kind share it, so that a newer memory can replace an older one. Slots in braces are filled from the clause's parts; an
ask whose slot is empty is not asked.

{s} is the subject, {S} its possessive, {do} {v} the verb in a question (`did` ... `buy`), {does} {is} {has} the
auxiliaries whatever the verb, {thing} the object, {n} the object without article, {tail} the words behind it, {when}
{where} {whom} {prep} as found, {whole} the object with what belongs to it, {it} the object as known already
(`a boat` -> `the boat`), {head} its last word, {told} the verb as the person said it, {now} the auxiliary of the
present, {moment} the time if it is a point in time. {What}, {When} and {Which_time} are the question words that suit
the object and the time. Named groups of `rest` are slots too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study import told
from metahuman_core.study.phrases import MONTH
from metahuman_core.study.words import words as _words


@dataclass(frozen=True, slots=True)
class ClauseRule:
    """A clause with one of `verbs` (any, if empty), rest and subject like `rest` and `subject`, its `needs` found."""

    name: str
    asks: tuple[str, ...]
    verbs: frozenset[str] = frozenset()
    rest: re.Pattern[str] | None = None
    unlike: re.Pattern[str] | None = None
    subject: re.Pattern[str] | None = None
    needs: tuple[str, ...] = ()
    of_person: bool = False
    negated: bool | None = None
    final: bool = False


def _rule(
    name: str,
    *asks: str,
    verbs: str = "",
    rest: str = "",
    unlike: str = "",
    subject: str = "",
    needs: str = "",
    of_person: bool = False,
    negated: bool | None = None,
    final: bool = False,
) -> ClauseRule:
    """A row of the table; `final`: where it applies, the general rules at the end have nothing to add."""
    return ClauseRule(
        name, asks, _words(verbs), _compiled(rest), _compiled(unlike), _compiled(subject), tuple(needs.split()),
        of_person, negated, final,
    )  # fmt: skip


def _compiled(pattern: str) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None


CLAUSE_RULES = (
    _rule("home", "Where {does} {s} live?", "Where is {S} home?", "Which place {does} {s} live in?",
        "Where {does} {s} live these days?", verbs="live", rest=told.HOME),
    _rule("town", "Which town {does} {s} live in?", "What town or city {does} {s} live in?", verbs="live",
        rest=r"\b(?:in|near) [A-Z]"),
    _rule("address", "What is {S} address?", "Which street {does} {s} live in?", "What is {S} home address?",
        verbs="live", rest=r"^at\b.*\d|\b(?:Street|Road|Lane|Hill|Avenue|Square|Row|Close)\b"),
    _rule("lives with", "Who {does} {s} live with?", verbs="live", needs="whom"),
    _rule("home", "Where {does} {s} live?", verbs="live", rest=told.HOME, final=True),
    _rule("home", "Where {now} {s} live?", "Where did {s} move to?", "Which town {now} {s} live in?",
        "Where is {S} home?", verbs="move", rest=r"\b(?:to|into|here)\b", of_person=True),
    _rule("moving", "{When} did {s} move {where}?", "{When} did {s} move?", "{Which_time} did {s} move {where}?",
        verbs="move", needs="when", of_person=True),
    _rule("moving", "Where did {s} move from?", verbs="move", rest=r"\bfrom [A-Z]", of_person=True),
    _rule("home", "Where {now} {s} live?", verbs="move", rest=r"\b(?:to|into|here)\b", of_person=True, final=True),
    _rule("birth", "Where {is} {s} born?", "What is {S} birthplace?", "Where {now} {s} come from?", verbs="be",
        rest=r"^born\b.*\b(?:in|at|near|on) (?!\d|" + MONTH + r")(?:[A-Z]|a |the )"),
    _rule("birth", "When {is} {s} born?", "What is {S} date of birth?", "{Which_time} {is} {s} born?",
        "How long ago {is} {s} born?", verbs="be", rest=r"^born\b.*" + told.DATE),
    _rule("birthday", "When is {S} birthday?", "What date is {S} birthday?", verbs="be", rest=r"^born\b.*" + MONTH),
    _rule("origin", "Where did {s} grow up?", "Where did {s} spend {S} childhood?", "Where {now} {s} come from?",
        verbs="grow", rest=r"^up\b", final=True),
    _rule("origin", "Where {now} {s} come from?", "What is {S} home country or town?", verbs="come be",
        rest=r"^(?:originally )?from [A-Z]", final=True),
    _rule("work", "What {does} {s} do for a living?", "Where {does} {s} work?", "What is {S} job?",
        "Who {does} {s} work for?", "What work {does} {s} do?", verbs="work",
        rest=r"^(?:\w+ )?(?:as|at|for|in|on)\b", of_person=True),
    _rule("work", "What {does} {s} do for a living?", "What is {S} job?", "What work {does} {s} do?",
        "What {is} {s} by profession?", verbs="be", rest=told.JOB, unlike=told.NOT_A_JOB, of_person=True, final=True),
    _rule("work", "What {does} {s} teach?", "What is {S} job?", "What subject {does} {s} teach?", verbs="teach",
        unlike=r"^you\b", of_person=True),
    _rule("work", "What {does} {s} do for a living?", "What {does} {s} run?", "What is {S} business?",
        verbs="run manage",
        rest=told.BUSINESS,
        of_person=True),
    _rule("studies", "What did {s} study?", "Where did {s} study?", "What subject did {s} study?",
        "What is {S} degree in?", verbs="study", of_person=True, rest=r"\w", final=True),
    _rule("allergy", "What {is} {s} allergic to?", "What allergy {has} {s} got?", "{Does} {s} have any allergies?",
        "What must {s} avoid because of an allergy?", verbs="be", rest=r"^(?:\w+ )?allergic to\b", final=True),
    _rule("allergy", "What {is} {s} allergic to?", "{Does} {s} have any allergies?", "What allergy {has} {s} got?",
        verbs="have", rest=r"\ballergy\b", final=True),
    _rule("age", "How old {is} {s}?", "What is {S} age?", "What age {is} {s}?", verbs="be", needs="animate",
        rest=told.AGE,
        final=True),
    _rule("age", "How old {is} {s}?", "What age did {s} turn?", verbs="turn", needs="animate", rest=told.AGE),
    _rule("age", "How old {is} {s}?", "What {is} the age of {s}?", verbs="be", rest=r"^[\w-]+ years old", final=True),
    _rule("marriage", "Who {is} {s} married to?", "What is {S} spouse called?", "Who did {s} marry?", verbs="be",
        rest=r"^(?:\w+ )?married to\b"),
    _rule("wedding", "When {do} {s} {v} married?", "When is {S} wedding?", "What date is {S} wedding?", verbs="get",
        rest=r"^married\b", needs="ahead when", of_person=True),
    _rule("wedding", "Where {do} {s} {v} married?", "Where is {S} wedding?", verbs="get", rest=r"^married\b",
        needs="ahead", of_person=True, final=True),
    _rule("wedding", "When did {s} get married?", "When is {S} wedding anniversary?",
        "{Which_time} did {s} get married?", verbs="marry get", rest=told.MARRIED, needs="when", of_person=True),
    _rule("wedding", "Where did {s} get married?", "Where was {S} wedding?", verbs="marry get", rest=told.MARRIED,
        needs="where", of_person=True),
    _rule("marriage", "Who did {s} marry?", "What is {S} spouse called?", verbs="marry", rest=r"^(?:[A-Z]|your )",
        of_person=True, final=True),
    _rule("wedding", "When did {s} get married?", verbs="marry get", rest=r"^married\b", of_person=True, final=True),
    _rule("dislike", "What {does} {s} dislike?", "What {is} {s} not fond of?", "What {does} {s} think of {whole}?",
        "How {does} {s} feel about {whole}?", "{Does} {s} like {whole}?", verbs="like enjoy love stand bear",
        negated=True, final=True),
    _rule("dislike", "What {does} {s} dislike?", "What {does} {s} {v}?", "How {does} {s} feel about {whole}?",
        "What {does} {s} think of {whole}?", "{Does} {s} like {whole}?", verbs="hate dislike loathe detest",
        final=True),
    _rule("like", "What {does} {s} {v}?", "How {does} {s} feel about {whole}?", "What {does} {s} think of {whole}?",
        "{Does} {s} like {whole}?", "What {is} {s} fond of?", verbs="like love enjoy adore", negated=False,
        final=True),
    _rule("preference", "What {does} {s} prefer?", "What {does} {s} like better?", "Which {does} {s} prefer?",
        verbs="prefer", final=True),
    _rule("favourite", "What {is} {s}?", "Which {kind} {does} {owner} like best?",
        "What {kind} {does} {owner} like most?", "What {kind} {does} {owner} prefer?", "Can you name {s}?",
        verbs="be", subject=r"\bfavou?rite\b", final=True),
    _rule("date", "When {is} {s}?", "What date {is} {s}?", "On which day {is} {s}?",
        "When {does} {owner} celebrate {S} {kind}?", verbs="be fall", subject=r"(?:birthday|anniversary|name day)$",
        final=True),
    _rule("number", "What is {s}?", "Can you give me {s}?", "Do you know {s}?", "How does {s} go?", verbs="be",
        subject=told.LOOKED_UP,
        unlike=told.PLACE, final=True),
    _rule("price", "How much {do} {s} {v}?", "What is the price of {s}?", "What {do} {s} {v}?", verbs="cost",
        final=True),
    _rule("price", "How much {is} {s}?", "What {is} {s}?", "What {does} {s} cost?", verbs="be", rest=told.MONEY,
        final=True),
    _rule("price", "How much did {s} pay for {it}?", "What did {it} cost?", "What was the price of {it}?",
        verbs="buy get rent", rest=r"\bfor (?:about |only |just )?" + told.MONEY),
    _rule("price", "How much did {s} get for {it}?", "What did {s} sell {it} for?",
        "How much did {s} sell {it} for?", verbs="sell", rest=r"\bfor (?:about |only |just )?" + told.MONEY),
    _rule("weight", "How much {do} {s} {v}?", "What is {S} weight?", verbs="weigh", final=True),
    _rule("price", "How much {do} {s} {v} {paid}?", "How much {do} {s} {v}?", "What {do} {s} {v} {paid}?",
        verbs="pay earn", rest=told.MONEY + r"(?:.*(?P<paid>\bfor .{2,40}))?", final=True),
    _rule("how many", "How many {n} {do} {s} {v}?", "What {n} {do} {s} {v}?", "{Does} {s} have any {n}?",
        verbs="have own keep", rest=r"^(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,3}) [a-z]",
        needs="n"),
    _rule("appointment", "When is {S} {n}?", "When {do} {s} {v} {thing}?", "Who is {S} {n} with?",
        "What {do} {s} {v} {when}?", "What is on {when}?", verbs="have see visit get",
        rest=told.MEETING,
        needs="when n"),
    _rule("possession", "{Does} {s} have {thing}?", "What {n} {do} {s} {v}?", "Tell me about {S} {n}.",
        verbs="have own", needs="n", negated=False),
    _rule("state", "What {is} {s} {quality}?", "Can you remember what {s} {do} {quality}?", verbs="be",
        rest=r"^(?:\w+ )?[a-z]+ (?:of|at|about|for|in|to|with)\b",
        unlike=told.PLACE + r"|^(?:a|an|the|your|one|born|not|" + r"going)\b", needs="quality", final=True),
    _rule("time", "When {is} {s}?", "What time or day {is} {s}?", verbs="be", needs="when",
        rest=r"^(?:(?:in|on|at|every|from|until|next|this|last|tomorrow|the|\d)\b|[A-Z])",
        unlike=told.NO_TIME,
        final=True),
    _rule("place", "Where {is} {s}?", "Where exactly {is} {s}?", "Do you know where {s} {is}?",
        "In what place {is} {s}?", verbs="be", rest=told.PLACE, final=True),
    _rule("self", "{Is} you {whole}?", "How would you describe yourself?", "What do you say of yourself?", verbs="be",
        subject=r"^you$", rest=r"\w", unlike=r"^(?:not|there|here|able|born|called|named)\b", final=True),
    _rule("identity", "{Who_s} {is} {s}?", "What do you know about {s}?", "How would you describe {s}?", verbs="be",
        rest=r"^(?:an?|the|your|one|\d+|[A-Z])\b|^[A-Z]", final=True),
    _rule("quality", "What {is} {s} like?", "How {is} {s}?", "How would you describe {s}?", verbs="be",
        rest=r"^[a-z]", unlike=r"^(?:you|not|there|here|able|born|called|named|an?|the|your|one)\b"),
    _rule("belonging", "Where {do} {s} {v} {it}?", "Where did {s} put {it}?", "Where can {it} be found?",
        verbs="keep hide put leave bury store", needs="thing where"),
    _rule("learning", "What {do} {s} {v} {tail}?", "What {is} {s} learning?", verbs="learn", needs="thing"),
    _rule("play", "What {do} {s} {v}?", "What instrument or game {does} {s} play?", verbs="play", needs="thing"),
    _rule("speech", "Which languages {does} {s} speak?", "What languages can {s} speak?",
        "{Does} {s} speak {thing}?", verbs="speak", rest=r"^(?:[a-z]+ )?(?:\w+, )*[A-Z]"),
    _rule("meeting", "Where did {s} meet {it}?", "How did {s} meet {it}?", "How do {s} know {it}?", verbs="meet",
        needs="thing where"),
    _rule("meeting", "When did {s} meet {it}?", "{Which_time} did {s} meet {it}?", verbs="meet", needs="thing when"),
    _rule("meeting", "Who did {s} meet {tail}?", "Who did {s} meet {where}?", "Who did {s} meet {when}?",
        verbs="meet", needs="thing", final=True),
    _rule("feeling", "How {do} {s} {v} {when}?", "How {do} {s} {v} {where}?", "How {do} {s} {v}?", verbs="feel",
        final=True),
    _rule("gift", "What {do} {s} {v} {to}?", "Who {do} {s} {v} {gift} to?", "What {do} {s} {v} {to} {tail}?",
        verbs="give send lend show bring buy make",
        rest=told.GIFT,
        final=True),
    _rule("gift", "Who {do} {s} {v} {it} to?", "Who {do} {s} {v} {head} to?",
        verbs="give send lend show sell write promise", rest=r"\bto (?:[A-Z]|your|an?|the)\b", needs="thing"),
    _rule("source", "Where {do} {s} {v} {it} from?", "Who {do} {s} {v} {it} from?",
        rest=r"\bfrom (?:[A-Z]|your |an? |the )", verbs="buy get have borrow inherit learn receive bring take adopt",
        needs="thing"),
    _rule("thing", "{What} {do} {s} {v} {tail}?", "{What} {do} {s} {v} {where}?", "{What} {do} {s} {v} {moment}?",
        unlike=r"^(?:called|named)\b", needs="thing specific", negated=False),
    _rule("where", "Where {do} {s} {v} {it}?", "Do you remember where {s} {told} {it}?",
        "Where {do} {s} {v} {head}?", needs="thing where"),
    _rule("when", "{When} {do} {s} {v} {it}?", "{Which_time} {do} {s} {v} {it}?", "{When} {do} {s} {v} {head}?",
        "Do you remember when {s} {told} {it}?", needs="thing when"),
    _rule("whom", "Who {do} {s} {v} {it} with?", needs="thing whom"),
    _rule("whom", "Who {do} {s} {v} with?", "Who {do} {s} {v} {where} with?", needs="whom prep"),
    _rule("where", "Where {do} {s} {v} {when}?", "Where {do} {s} {v}?", needs="where prep"),
    _rule("when", "{When} {do} {s} {v} {where}?", "{Which_time} {do} {s} {v} {where}?", "{When} {do} {s} {v}?",
        needs="when where prep"),
    _rule("when", "{When} {do} {s} {v}?", "{Which_time} {do} {s} {v}?", needs="when bare"),
    _rule("from", "Where {do} {s} {v} from?", verbs="leave depart come start go fly run sail",
        rest=r"\bfrom (?:[A-Z]|the|an?|pier|platform|gate|track|bay|your)\b"),
    _rule("wish", "What {do} {s} {wish} to do?", "What {do} {s} {wish} to do {moment}?", needs="wish"),
    _rule("event", "What happened to {happened}?", "What did {happened} do?", needs="happened bare"),
    _rule("why", "Why {do} {s} {v} {it}?", "What is the reason that {s} {told} {it}?",
        rest=r"\b(?:because|so that|in order to)\b", needs="thing"),
    _rule("not", "What {do} {s} not {v}?", "Is there anything {s} {do} not {v}?", needs="thing", negated=True),
)  # fmt: skip

CUES = (
    "What do you remember about {cue}?",
    "Tell me about {cue}.",
    "What can you say about {cue}?",
    "What comes to mind when you think of {cue}?",
)
DAYS = ("What happened on {day}?", "What do you remember of {day}?")
