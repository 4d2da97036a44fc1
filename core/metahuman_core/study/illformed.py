"""What no question looks like that a person would ask: the last sieve behind the rules.

To keep some nonsense out, add a row: what it is, and how it reads.
"""

from __future__ import annotations

import re

_ROWS = (
    ("article inside", r"[a-z,] (?:A|An|My|Our|By|In|On|At|Some|Every|Even|One|Half) [a-z]"),
    ("two verbs", r"\b(?:do|does|did) (?:you|he|she|they|it) (?:is|are|was|were|has|had|does|did)\b"),
    ("a verb too few", r"^(?:What|Who|Where|When|Why) (?:do|does|did|is|are|was|were) (?:you|he|she|it|they)?\?$"),
    ("conjunction for a subject", r"\b(?:do|does|did|is|are|was|were) (?:because|since|if|when|as|than|and|but)\b"),
    ("conjunction at the end", r"\b(?:and|or|but|because|than|if|the|a|an|your|as)[?.]$"),
    ("since a clause", r"^(?:Are|Is|Was|Were) \w+ (?:since|because|until|when)\b"),
    ("half a comparison", r"^What (?:do|does|did) (?:(?!\b(?:more|less|better|rather|other)\b).)* than\b"),
    ("liking twice", r"\blike (?:best|most|better) (?:like|smell|taste)\b"),
    ("a put number", r"\bdid \w+ put (?:two|three|four|five|six|seven|eight|nine|ten|\d+)\b"),
    ("doubled word", r"\b(?!had\b|that\b|ha\b|no\b|very\b)([a-z]{2,}) \1\b"),
    ("nobody", r"\b(?:do|does|did|is|are|was) (?:nobody|nothing|none|neither)\b"),
    ("no thing", r"\b(?:your|the|'s) no\b|^What no\b|\bhave no\b"),
    ("loose mark", r":(?!\d)|[;(){}\[\]<>|#=*~\u2014\u2013]|\.\.|https?:|[a-z]{4,}\. [A-Za-z]|\?."),
    ("loose verb", r"\b(?:is|are|was|were|be) (?:is|are|was|were)\b|\b(?:has|have|had) (?:has|have)\b"),
    ("article without noun", r"\b(?:the|a|an) (?:of|in|on|at|to|for|with|is|are|was|you|he|she|they|it)\b(?!-)"),
    ("you in the third person", r"\byou (?:is|was|has|does|likes|wants|goes)\b|\b(?:he|she|it) (?:are|were)\b"),
    ("preposition twice", r"\b(?:in|on|at|to|for|with|of|by) (?:in|at|to|for|with|of|by)\b"),
    ("no word at all", r"^\W*\w?\W*$"),
)
_MARK_OF_OURS = re.compile(r'^(?:Remind me|Say again|Once more|I forget): |"')
_BAD = tuple(re.compile(pattern) for _, pattern in _ROWS)


def is_ill_formed(question: str) -> bool:
    """Whether the question would sound wrong to whoever is asked it."""
    plain = _MARK_OF_OURS.sub("", question)
    return any(bad.search(plain) for bad in _BAD)
