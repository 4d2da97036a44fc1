"""How facts are told: patterns over the words behind a verb (LOOKED_UP: over a subject) that the rules share."""

from __future__ import annotations

from metahuman_core.study.phrases import MONTH, NAME, RELATION

DATE = rf"(?:{MONTH}|\b\d{{1,2}}[./-]\d{{1,2}}\b|\b(?:19|20)\d\d\b)"
MONEY = (
    r"(?:[€$£¥]|\b\d[\d.,]* ?"
    r"(?:euros?|pounds?|dollars?|cents|pence|francs|kronor|k)\b|\b(?:hundred|thousand)\b)"
)
PLACE = r"^(?:in|at|on|near|under|behind|beside|above|inside|outside|next to|opposite|across|around|between|by)\b"
HOME = r"^(?:[a-z]+ ){0,3}(?:in|at|on|near|with|above|by|next|around|up|down|out)\b"
MARRIED = r"^(?:married|engaged)\b|^(?:in|on|at)\b|^[A-Z]"
JOB = (
    r"^(?:an?|the) (?:[\w-]+ ){0,2}(?:[\w-]{2,}(?:er|or|ist|ian|ant|eur)|nurse|cook|chef|guide|pilot|judge|"
    r"postman|fisherman|midwife|clerk|surgeon|mechanic|vet|architect|student|nun|priest|electrician)\b"
)
NOT_A_JOB = (
    r"^(?:an?|the) (?:[\w-]+ )?"
    r"(?:sister|brother|mother|father|daughter|member|lover|winter|letter|number|summer|disaster|matter)"
)
BUSINESS = (
    r"^(?:a|the|your|his|her|our) (?:\w+ ){0,4}"
    r"(?:shop|bakery|café|cafe|company|business|farm|garage|school|hotel|restaurant|bar|pub|workshop|office)\b"
)
AGE = (
    r"^(?:\d{1,3}|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)[\w-]*|"
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?: (?:years|months|on|in|last|this|today)\b| now|$)"
)
LOOKED_UP = (
    r"(?:number|code|password|pin|PIN|address|email|e-mail|name|size|combination|key|registration|plate|username)$"
)
MEETING = (
    r"\b(?:appointment|meeting|exam|interview|check-up|lesson|class|surgery|operation|rehearsal|test|flight|date)\b"
)
NO_TIME = (
    r"^(?:the|in|on|at) (?!(?:\d|first|second|third|last|noon|half|quarter|" + MONTH + r"|[A-Z][a-z]+day))[a-z]"
    r"|^(?:in|at) [A-Z](?![a-z]+ \d)"
)
GIFT = (
    rf"^(?P<to>you|{NAME}|your (?:[a-z]+ )?{RELATION}) "
    r"(?P<gift>(?:an?|the|your|some|two|three) (?:(?!(?:for|on|in|at|with|to|of|from)\b)[\w-]+ ?){1,4})"
)
