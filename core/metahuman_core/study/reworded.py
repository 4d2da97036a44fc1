"""The same question with another everyday word in it, so that a fact can be asked for in words that no rule uses.

Invariant: one word or turn of phrase is replaced at a time; what is asked for stays. The order of the wordings hangs on
the question alone. To add words that mean the same, add a row: what is said, and what may be said instead.
"""

from __future__ import annotations

import hashlib
import re

_ROWS = (
    # People and animals.
    ("your husband", "your partner", "the man you are married to"),
    ("your wife", "your partner", "the woman you are married to"),
    ("your partner", "your other half"),
    ("your mother", "your mum", "your mom"),
    ("your father", "your dad"),
    ("your grandmother", "your gran", "your granny"),
    ("your grandfather", "your grandad", "your grandpa"),
    ("your (?:mum|mom)", "your mother"),
    ("your dad", "your father"),
    ("your son", "your boy"),
    ("your daughter", "your girl"),
    ("your (?:children|kids)", "your kids", "your children"),
    ("your parents", "your mum and dad"),
    ("your brother", "that brother of yours"),
    ("your sister", "that sister of yours"),
    ("your friend", "that friend of yours"),
    ("your best friend", "your closest friend"),
    ("your neighbour", "the person next door"),
    ("your neighbours", "the people next door"),
    ("your boss", "your employer", "the one you work for"),
    ("your colleague", "the person you work with"),
    ("your doctor", "your GP", "your physician"),
    ("your apprentice", "your trainee"),
    ("your lodger", "your tenant"),
    ("kitten", "little cat", "young cat"),
    ("puppy", "little dog", "young dog"),
    ("hens", "chickens"),
    ("your (?:dog|cat)", "your pet"),
    # Things and places.
    ("your car", "your vehicle", "the car that you drive"),
    ("your van", "the van that you drive"),
    ("bike", "bicycle"),
    ("bicycle", "bike"),
    ("phone number", "telephone number", "number for calling you"),
    ("your house", "your home", "your place"),
    ("flat", "apartment"),
    ("your garden", "your yard"),
    ("allotment", "vegetable plot"),
    ("which street", "which road"),
    ("which town", "which place", "which city"),
    ("university", "college"),
    ("the shop", "the store"),
    ("your job", "your work", "your profession", "your occupation"),
    ("for a living", "for work", "as a job"),
    ("your holiday", "your vacation", "your trip"),
    ("prize", "award"),
    ("film", "movie"),
    ("(?<=the |our )book", "novel"),
    ("your hobby", "your pastime"),
    ("your address", "the address of your home"),
    ("wellington boots", "rubber boots"),
    ("glasses", "spectacles"),
    ("dish", "meal", "food"),
    ("colour", "color"),
    # What one does.
    ("afraid of", "scared of", "frightened of"),
    ("scares you", "makes you afraid"),
    ("fond of", "keen on"),
    ("like (?:best|most)", "love most", "prefer to all others"),
    ("favourite", "best-loved"),
    ("grow up", "spend your childhood"),
    ("teach", "give lessons in"),
    ("buy", "purchase", "get"),
    ("bought", "purchased", "got"),
    ("pay for", "spend on"),
    ("cost", "come to"),
    ("repair", "fix", "mend"),
    ("mend", "repair", "fix"),
    ("build", "make", "put together"),
    ("built", "made", "put together"),
    ("keep", "have"),
    ("own", "have"),
    ("win", "get"),
    ("find", "come across"),
    ("break", "hurt"),
    ("marry", "get married to"),
    ("get married", "have your wedding"),
    ("visit", "go to see"),
    ("start", "begin"),
    ("begin", "start"),
    ("move to", "settle in"),
    ("come to", "arrive in"),
    ("sing", "go singing"),
    ("swallow", "gulp down"),
    ("stolen", "taken by a thief"),
    ("plan to", "want to", "mean to"),
    ("at the moment", "these days", "nowadays"),
)
_TABLE = tuple((re.compile(rf"\b{said}\b"), others) for said, *others in _ROWS)


def reworded(question: str) -> tuple[str, ...]:
    """Other wordings of a question, none if it has no word that is known."""
    found: dict[str, None] = {}
    for said, others in _TABLE:
        for match in said.finditer(question):
            for other in others:
                text = question[: match.start()] + other + question[match.end() :]
                if text != question:
                    found.setdefault(text)
    return tuple(sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest()))
