"""How facts are told: patterns over the words behind a verb (LOOKED_UP: over a subject) that the rules share."""

from __future__ import annotations

from metahuman_core.study.phrases import MONTH, NAME, RELATION

DATE = rf"(?:{MONTH}|\b\d{{1,2}}[./-]\d{{1,2}}\b|\b(?:19|20)\d\d\b)"
MONEY = (
    r"(?:[€$£¥]|\b\d[\d.,]* ?"
    r"(?:euros?|pounds?|dollars?|cents|pence|francs|kron(?:or|er|e|a)|naira|yen|rupees?|yuan|won|pesos?|reais|zloty|shillings?|"
    r"rand|liras?|baht|dirhams?|quid|k)\b|\b(?:hundred|thousand|million)\b)"
)
PLACE = r"^(?:in|at|on|near|under|behind|beside|above|inside|outside|next to|opposite|across|around|between|by)\b"
HOME = r"^(?:[a-z]+ ){0,3}(?:in|at|on|near|with|above|by|next|around|up|down|out)\b"
MARRIED = r"^(?:married|engaged)\b|^(?:in|on|at)\b|^[A-Z]"
JOB = (
    r"^(?:an?|the) (?:[\w-]+ ){0,2}(?:[\w-]{2,}(?:er|or|ist|ian|ant|eur)|nurse|cook|chef|guide|pilot|judge|"
    r"postman|fisherman|midwife|clerk|surgeon|mechanic|vet|architect|nun|priest|electrician)\b"
)
NOT_A_JOB = (
    r"^(?:an?|the) (?:[\w-]+ )?"
    r"(?:student|sister|brother|mother|father|daughter|member|lover|winter|letter|number|summer|disaster|matter)"
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
SEVERAL = (
    r"^(?:about |almost |over |only )?"
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|\d{1,3}) [a-z]"
)
COLOUR = (
    r"^(?:(?:all|very|bright|dark|light|pale|deep|[a-z]+) )?"
    r"(?:red|blue|green|yellow|white|black|grey|gray|brown|orange|purple|violet|pink|turquoise|silver|golden|beige)\b"
)
TRAVELLING = "go travel drive fly sail take ride cycle move walk emigrate run row return"
SAYING = "say think believe notice hope ask explain understand know suppose guess realise wonder promise insist decide"
BORN_AT = (
    r"^born\b.*\b(?:in|at|near|on) "
    rf"(?!\d|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|{MONTH})(?:[A-Z]|a |the )"
)
BEST_OF_ALL = r"^(?:.* )?(?:best|most) of all (?:the )?(?P<kind>[a-z]+?)(?:(?<=sh)es|(?<=ch)es|s)$"
STATE = (
    r"^(?:\w+ )?(?:(?:proud|fond|jealous|ashamed|tired) of|(?:good|bad) at|interested in|responsible for|"
    r"(?:worried|happy|sad|angry) about|angry with|keen on|addicted to)\b"
)
ON_STAGE = r"^(?:the|an?) .*\b(?:play|film|show|musical|pantomime|nativity|opera)\b"
HARMFUL = (
    r"^(?:\w+ )?(?:penicillin|antibiotics|aspirin|ibuprofen|nuts|peanuts|walnuts|hazelnuts|almonds|milk|dairy|gluten|"
    r"wheat|eggs?|fish|shellfish|prawns|mussels|strawberries|kiwis?|soya|sesame|celery|alcohol|caffeine|sugar|lactose)\b"
)
SERVICE = r"^with the (?:[\w-]+ ){0,2}(?:brigade|police|army|navy|council|post|railways?|bank|service|coastguard)\b"
CAR = (
    r"^(?:an? |the )?(?:\w+ ){0,3}(?:Toyota|Volkswagen|VW|Ford|Opel|Vauxhall|Renault|Peugeot|Citro[eë]n|Fiat|Skoda|"
    r"Seat|Volvo|Saab|BMW|Audi|Mercedes|Honda|Nissan|Mazda|Suzuki|Subaru|Hyundai|Kia|Dacia|Mini|Land Rover|Jeep|Tesla|"
    r"Chevrolet|Lada|Trabant|Mitsubishi|Polo|Golf)\b"
)
LANGUAGE = r"^(?P<skill>[A-Z][a-z]+(?:ish|ese|ian|ic|an|ch|ek|ew|wahili|indi|rdu))\b"
