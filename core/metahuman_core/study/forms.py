"""The forms that words take in a question: the verb of a statement, a plural, a thing called by its last word."""

from __future__ import annotations

import re

from metahuman_core.study import verbs
from metahuman_core.study.clauses import Clause

NUMBER = (
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|hundred|thousand|"
    r"\d+)"
)
ARTICLE = re.compile(rf"^(?:a|an|the|your|his|her|their|its|our|some|another|one|{NUMBER}) ")


def several(kind: str) -> str:
    """`dish` -> `dishes`; "" for what has no plain plural. Nouns take the s as verbs do."""
    return verbs.third(kind) if re.fullmatch(r"[a-z ]+", kind) and not kind.endswith("s") else ""


def head(thing: str) -> str:
    """`the small wooden boat` -> `the boat`; "" where there is nothing to leave out."""
    words = thing.split()
    article = ARTICLE.match(thing)
    if article is None or len(words) <= len(("the", "boat")) or "of" in words or re.search(r"\w{3}ing$", words[-1]):
        return ""
    return article.group() + words[-1]


def told(clause: Clause, *, plural: bool) -> str:
    """The verb of a statement, of several or of one: `bought`, `buys`, `is buying`, `had to buy`."""
    aux, verb = clause.aux, clause.verb
    if clause.base == "be" and not verb:
        return aux if plural else {"are": "is", "were": "was"}.get(aux, aux)
    first, _, others = verb.partition(" ")
    if aux == "did":
        return f"{verbs.past(first)} {others}".strip()
    if aux in {"do", "does"}:
        return verb if plural else f"{verbs.third(first)} {others}".strip()
    one = {"are": "is", "were": "was", "have": "has"}.get(aux, aux)
    return f"{aux if plural else one} {verb}"


def made(clause: Clause, done: str) -> str:
    """`was built by` -> `built`, `is sold by` -> `sells`: the verb of whoever did it."""
    form = verbs.read(done)
    base = form.base if form else done
    is_over = clause.past or base in {"make", "build", "write", "paint", "design"}
    return verbs.past(base) if is_over else verbs.third(base)


def being(clause: Clause) -> str:
    """The form of `be` that suits the clause's subject and time."""
    if clause.subject.plural:
        return "were" if clause.past else "are"
    return "was" if clause.past else "is"
