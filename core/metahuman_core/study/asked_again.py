"""Ways of asking the same: a question's pattern, and other wordings of it.

To add one, add a row: a pattern over the whole question, whose groups fill the slots of the wordings.
"""

from __future__ import annotations

import re

_OCCASION = r"(?:birthday|wedding|party|concert|exam|appointment|flight|anniversary|meeting|match|trip|move)"
_ROWS = (
    # Names.
    (r"what(?: is|'s) (?P<x>your .{2,40}?|the .{2,40}?|his|her|its) (?:called|named)",
     "What is the name of {x}?", "How is {x} called?", "What do you call {x}?", "Which name does {x} go by?"),
    (r"what(?: is|'s| was) (?:the )?name of (?P<x>.{2,40})", "What is {x} called?", "What do you call {x}?",
     "Which name does {x} go by?"),
    (r"what(?: is|'s| was) (?P<x>your .{2,30}?|[A-Z][\w -]{2,30}?)'s name", "What is {x} called?",
     "What is the name of {x}?", "Which name does {x} go by?"),
    (r"what (?:did|do|will) you (?:call|name) (?P<x>.{2,40})", "What is {x} called?", "What is the name of {x}?",
     "Which name did you give {x}?"),
    (r"how is (?P<x>.{2,40}) called", "What is {x} called?", "What is the name of {x}?", "Which name does {x} go by?"),
    (r"(?:who am i (?:talking|speaking|writing) (?:to|with)|who are you|what(?: is|'s) your (?:full )?name)",
     "What is your name?", "Who are you?", "What are you called?", "How should one address you?"),
    (r"who(?: is|'s) (?P<x>[A-Z][^?]{1,40}?|your [^?]{2,30}?)", "Tell me about {x}.", "What do you know about {x}?",
     "How do you know {x}?", "What can you say about {x}?"),
    # Homes, work, family.
    (r"where do you live\b.{0,20}", "Where do you live?", "Which town do you live in?", "What is your address?",
     "Where is your home?"),
    (r"where (?:do|does) (?P<x>.{2,40}) live\b.{0,12}", "Where is {x} living?", "Which town is {x} in?",
     "What place does {x} call home?"),
    (r"(?:where are you from\b.{0,15}|where do you come from|do you come from .{2,30}|are you from .{2,30})",
     "Where do you come from?", "Where did you grow up?", "Where are your roots?"),
    (r"(?:what do you do(?: for (?:a living|work))?|what(?: is|'s) your (?:job|trade|work|profession))",
     "What do you do for a living?", "What is your job?", "What work do you do?", "How do you earn your money?",
     "What is your trade?"),
    (r"(?:are you married|do you have a (?:husband|wife|partner|family)|is there a (?:husband|wife|partner).{0,20})",
     "Are you married?", "Do you have a husband or wife?", "Is there somebody you are married to?"),
    (r"(?:do you have|have you got|did you grow up with|are there) (?:any )?(?:brothers?|sisters?|siblings)\b.{0,30}",
     "Do you have any brothers or sisters?", "Do you have any siblings?", "Who are your siblings?"),
    (r"(?:do you have|have you got) (?:any )?(?:children|kids)", "Do you have children?", "Are you a parent?",
     "How many children do you have?"),
    (r"(?:how old (?:is|are) (?P<x>[^?]{2,30}))", "What age is {x}?", "How many years old is {x}?"),
    # Health, tastes, fears.
    (r"(?:are you allergic to anything|do you have any allergies|what are you allergic to|any allergies)",
     "What are you allergic to?", "What allergy have you got?", "What must you avoid because of an allergy?"),
    (r"what are you (?:afraid|scared|frightened) of", "What scares you?", "What frightens you?", "What do you fear?"),
    (r"do you (?:like|love|enjoy) (?P<x>.{2,40})", "How do you feel about {x}?", "What do you think of {x}?",
     "Are you fond of {x}?"),
    (r"(?:what do you think of|how do you feel about|what is your opinion of) (?P<x>.{2,40})",
     "What is your opinion of {x}?", "Do you like {x}?", "What do you say about {x}?"),
    (r"what(?: is|'s) your favou?rite (?P<x>.{2,30})", "Which {x} do you like best?", "What {x} do you like most?",
     "What {x} do you prefer?"),
    (r"(?:which|what) (?P<x>[^?]{2,30}) do you (?:like|love) (?:best|most)", "What is your favourite {x}?",
     "What {x} do you prefer?"),
    (r"how do you (?:take|drink|like|have) your (?P<x>[\w ]{2,20})", "How do you like your {x}?",
     "How do you drink your {x}?", "What do you put in your {x}?", "How do you take your {x}?"),
    (r"(?:what would you like|what do you want) to (?P<x>eat|drink)\b(?P<y>.{0,20})",
    "What do you feel like {x}ing{y}?",
     "What do you want to {x}{y}?"),
    # What was, what will be.
    (r"how was (?P<x>(?:your|the|my) [^?]{2,40})", "What was {x} like?", "Tell me about {x}.", "How did {x} go?"),
    (r"how did (?P<x>(?:your|the|my) [^?]{2,40}) go", "How was {x}?", "What was {x} like?", "Tell me about {x}."),
    (r"what(?: is|'s| are) (?P<x>your [^?]{2,30}?) like", "How would you describe {x}?", "Tell me about {x}.",
     "What can you say about {x}?"),
    (r"what was (?P<x>.{2,40}) like", "How was {x}?", "Tell me about {x}."),
    (r"how (?:are|is) (?P<x>your [^?]{2,30}?|the [^?]{2,30}?)(?: today| now| doing| these days)?",
     "How are things with {x}?", "What is new with {x}?"),
    (r"any news (?:from|of|about) (?P<x>[^?]{2,40})", "What is new with {x}?", "What have you heard from {x}?"),
    (r"how (?:did you spend|was) your (?P<x>weekend|holiday|day|evening|birthday)", "What did you do on your {x}?"),
    (rf"when(?: is|'s) (?P<x>(?:your|the) [a-z' -]{{2,40}}{_OCCASION})", "What date is {x}?", "On which day is {x}?"),
    (r"what will you (?P<x>[a-z]+)(?P<y> [^?]{2,30})?", "What are you going to {x}{y}?", "What do you plan to {x}{y}?",
     "What do you intend to {x}{y}?"),
    (r"what are you going to (?P<x>[^?]{2,40})", "What do you plan to {x}?", "What do you intend to {x}?",
     "What will you {x}?"),
    (r"what(?: is|'s| are) (?:the|your) (?:big )?plans? for (?P<x>[^?]{2,30})", "What are you going to do {x}?",
     "What have you planned for {x}?", "What do you have in mind for {x}?"),
    (r"what are you (?P<x>[a-z]+ing)(?P<y>| there| here| now| today| at the moment)",
     "What is it that you are {x}{y}?", "What have you been {x}{y}?"),
    (r"why did you (?P<x>[^?]{2,50})", "What made you {x}?", "What was your reason to {x}?"),
    (r"why do you (?P<x>[^?]{2,50})", "What makes you {x}?", "What is your reason to {x}?"),
    (r"who taught you (?P<x>[^?]{2,40})", "Who did you learn {x} from?", "Who was your teacher in {x}?"),
    (r"how do you (?P<x>(?!feel\b|like\b|take\b|do\b)[a-z]+ [^?]{2,40})", "In what way do you {x}?",
     "What is your way to {x}?"),
    (r"what(?: is|'s) your (?P<x>advice|tip|rule|recipe|secret|method|plan|opinion|view)(?P<y>[^?]{0,40})",
     "What {x} do you have{y}?", "Do you have some {x}{y}?"),
    (r"what time (?P<x>(?:do|does|did|is|was|will) [^?]{2,60})", "When {x}?"),
    (r"do you have (?P<x>an? [^?]{2,30})", "Have you got {x}?", "Do you own {x}?"),
    (r"do you have any (?P<x>[^?]{2,30})", "Have you got any {x}?", "What {x} do you have?"),
    (r"(?:can you )?(?:tell me|say something|talk) about (?P<x>.{2,60}?)", "What do you remember about {x}?",
     "What can you say about {x}?", "What do you know about {x}?"),
)  # fmt: skip
ASKED_AGAIN = tuple(
    (re.compile(rf"^{pattern}[?.]$".replace("[A-Z]", "(?-i:[A-Z])"), re.IGNORECASE), others)
    for pattern, *others in _ROWS
)
