"""What a rule is: how a clause must read, and what is asked of it; the rules are in facts.py and doings.py.

A rule reads a clause by its verb and what follows it. Of its `asks` the first is the canonical wording: facts of one
kind share it, so that a newer memory can replace an older one. Slots in braces are filled by slots.py; an ask whose
slot is empty is not asked, and named groups of `rest` are slots too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from metahuman_core.study.words import words as _words

_NO_FACTS = _words("quality opinion identity saying feeling likeness self state wish")


@dataclass(frozen=True, slots=True)
class ClauseRule:
    """A clause with one of `verbs` (any, if empty), rest and subject like `rest` and `subject`, its `needs` found.

    `final`: where it applies, the rules behind it have nothing to add. `general`: it reads any verb, and knows no fact.
    """

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
    general: bool = False

    @property
    def is_fact(self) -> bool:
        """Whether what it recognises is worth as much as a fact: most do; some only read how something is."""
        return not self.general and self.name not in _NO_FACTS


def rule(
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
    general: bool = False,
) -> ClauseRule:
    """A row of a table of rules, its words and patterns written as one reads them."""
    return ClauseRule(
        name, asks, _words(verbs), _compiled(rest), _compiled(unlike), _compiled(subject), tuple(needs.split()),
        of_person, negated, final, general,
    )  # fmt: skip


def _compiled(pattern: str) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None
