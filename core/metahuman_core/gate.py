"""Judges a new version by its measures: pure, with reasons.

Invariant: a version goes live only after this said yes. The measures are bits per byte of the answers, on the same
prompts for the new version and for its parent, so that the size of the vocabulary and the length of texts play no part.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """Bits per byte on one set of prompts, before (parent) and after (new version); `prompts` may be 0."""

    prompts: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured: kept-out phrasings of the new memories and of old ones, and general prompts."""

    new: Measure
    old: Measure
    general: Measure


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may go live, and why not."""

    passed: bool
    reasons: tuple[str, ...]


# Wide on purpose: what is caught here is damage. Intervals and recall belong to the finer gate.
_OLD_WORSE = 1.5
_GENERAL_WORSE = 2.0
_FEW_PROMPTS = 5


def judge(evaluation: Evaluation) -> Verdict:
    """A version is worse if it did not learn what is new, or lost much of what is old or general."""
    reasons = []
    new, old, general = evaluation.new, evaluation.old, evaluation.general
    if new.prompts >= _FEW_PROMPTS and not new.after < new.before:
        reasons.append(f"new memories are not answered better: {new.before:.2f} to {new.after:.2f} bits per byte")
    if old.prompts >= _FEW_PROMPTS and not old.after <= old.before * _OLD_WORSE + 0.1:
        reasons.append(f"old memories are answered worse: {old.before:.2f} to {old.after:.2f} bits per byte")
    if general.prompts and not general.after <= general.before * _GENERAL_WORSE:
        reasons.append(f"general ability is damaged: {general.before:.2f} to {general.after:.2f} bits per byte")
    return Verdict(not reasons, tuple(reasons))
