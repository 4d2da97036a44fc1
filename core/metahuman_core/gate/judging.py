"""Judges a version by its measures: pure, with reasons.

Invariant: a version goes live only after this said yes. Chance alone neither passes nor stops one: that it learned, and
that it lost, must both be so with the whole of the difference's 95 % interval; where too little was asked to tell,
nothing is held against it. What is no number never passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from metahuman_core.gate.intervals import proportion_interval
from metahuman_core.gate.measures import Change, Evaluation, Interval, Measure
from metahuman_core.settings import GateSettings

_FEW_PROMPTS = 5
_ENOUGH_PROMPTS = 15
_KNOWN = 0.8


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version may go live, and why not."""

    passed: bool
    reasons: tuple[str, ...]


def judge(evaluation: Evaluation, gate: GateSettings) -> Verdict:
    """A version is worse if it did not learn what is new, lost what is old or general, or talks nonsense."""
    new, old, general = evaluation.new, evaluation.old, evaluation.general
    reasons = [
        *_no_numbers(evaluation),
        *(_not_learned(new, gate) if new.prompts >= _FEW_PROMPTS else ()),
        *(_lost(evaluation, gate) if old.prompts >= _FEW_PROMPTS else ()),
        *(_damaged(evaluation, gate) if general.prompts else ()),
        *(_nonsense(evaluation, gate)),
    ]
    return Verdict(not reasons, tuple(reasons))


def _no_numbers(evaluation: Evaluation) -> list[str]:
    sets = {"new": evaluation.new, "old": evaluation.old, "general": evaluation.general}
    broken = [name for name, measure in sets.items() if not math.isfinite(measure.bits.after)]
    return [f"the model gives no numbers for the {' and '.join(broken)} prompts"] if broken else []


def _not_learned(new: Measure, gate: GateSettings) -> list[str]:
    """New memories must be likelier than before (unless most were known already), and some of them recalled."""
    reasons = []
    bits = new.bits
    interval = bits.interval or Interval(bits.difference, bits.difference)
    # Enough prompts must show that it learned; a few may only show that it did not.
    is_likelier = (interval.high if new.prompts >= _ENOUGH_PROMPTS else interval.low) < -gate.learned_bits
    if not is_likelier and new.recall.after < _KNOWN:
        reasons.append(f"new memories are not answered better: {_bits(bits)}")
    recalled = round(new.recall.after * new.prompts)
    if proportion_interval(recalled, new.prompts).high < gate.min_recall:
        reasons.append(f"new memories are not recalled: {recalled} of {new.prompts} answers in phrasings not trained")
    return reasons


def _lost(evaluation: Evaluation, gate: GateSettings) -> list[str]:
    """Against the parent, and against those who learned it: a little each time comes to much in the end.

    What is better than its parent is not stopped for what was lost before it.
    """
    reasons, old, since = [], evaluation.old, evaluation.since_learned
    if old.bits.interval and old.bits.interval.low > gate.old_bits:
        reasons.append(f"old memories are answered worse: {_bits(old.bits)}")
    if _is_lower(old.recall, gate.old_recall):
        reasons.append(f"old memories are forgotten: {_shares(old.recall)} recalled")
    elif since.prompts >= _FEW_PROMPTS and _is_lower(since.recall, gate.since_learned) and old.recall.difference < 0:
        told = f"old memories are forgotten, a few by each version since they were learned: {_shares(since.recall)}"
        reasons.append(told)
    return reasons


def _damaged(evaluation: Evaluation, gate: GateSettings) -> list[str]:
    reasons, kl_to_anchor = [], evaluation.kl_to_anchor
    since_parent, since_anchor = evaluation.general.bits, evaluation.since_anchor
    if _is_lossier(since_parent, gate.general_loss):
        reasons.append(f"general ability is damaged: {_bits(since_parent)}")
    elif _is_lossier(since_anchor, gate.since_anchor) and since_parent.difference > 0:
        reasons.append(f"general ability is damaged since the base: {_bits(since_anchor)}")
    if not kl_to_anchor <= gate.max_kl_to_anchor:
        reasons.append(
            f"it has drifted from the base: mean KL {kl_to_anchor:.2f} nats a token of plain text, "
            f"above {gate.max_kl_to_anchor:g}"
        )
    return reasons


def _is_lower(share: Change, margin: float) -> bool:
    return share.interval is not None and share.interval.high < -margin


def _is_lossier(bits: Change, margin: float) -> bool:
    """By more than a share of what it was."""
    return bits.interval is not None and bits.interval.low > margin * bits.before


def _nonsense(evaluation: Evaluation, gate: GateSettings) -> list[str]:
    found = []
    for name in ("new", "old", "general"):
        measure: Measure = getattr(evaluation, name)
        flawed = measure.flawed
        if measure.prompts >= _FEW_PROMPTS and flawed.interval and flawed.interval.low > gate.flawed:
            found.append(
                f"answers to {name} prompts are empty, repeat themselves or hold control tokens: {_shares(flawed)}"
            )
    return found


def _bits(change: Change) -> str:
    return f"{change.before:.2f} to {change.after:.2f} bits per byte{_interval(change, 2)}"


def _shares(change: Change) -> str:
    return f"{change.before:.0%} to {change.after:.0%}{_interval(change, 2)}"


def _interval(change: Change, digits: int) -> str:
    """The interval of the difference, as it stands behind the numbers."""
    return f" ({change.interval.low:+.{digits}f} to {change.interval.high:+.{digits}f})" if change.interval else ""
