"""What the gate did with the cases, for people: each case, then each bound with what lies nearest to it. Pure.

Invariant: verdicts are the gate's own, by the bounds that hold now, whatever held when the case was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gate_cases import Case, Half, Kind
from gate_outcome import Outcome, is_right
from metahuman_core.gate.gguf_bounds import GGUF_BOUNDS
from metahuman_core.gate.intervals import proportion_interval
from metahuman_core.gate.measures import Change, Measure
from metahuman_core.settings import GateSettings
from report import table

_MOST_WORDS = 70
_GGUF = GGUF_BOUNDS["Q8_0"]
_FEW_PROMPTS = 5


@dataclass(frozen=True, slots=True)
class Bound:
    """One bound of the gate: where it stands, what is held against it (None: it is not), and what it says."""

    name: str
    at: Callable[[GateSettings], float]
    value: Callable[[Outcome], float | None]
    words: str
    more_is_worse: bool = True


def _of(name: str, value: Callable[[Measure], float | None]) -> Callable[[Outcome], float | None]:
    def found(outcome: Outcome) -> float | None:
        measure: Measure | None = getattr(outcome.evaluation, name, None)
        return value(measure) if measure and measure.prompts >= _FEW_PROMPTS else None

    return found


def _low(change: Change) -> float | None:
    return change.interval.low if change.interval else None


def _gained(measure: Measure) -> float | None:
    low = _low(measure.bits)
    return None if low is None else -low


def _recall_at_best(measure: Measure) -> float:
    return proportion_interval(round(measure.recall.after * measure.prompts), measure.prompts).high


def _lost(measure: Measure) -> float | None:
    return -measure.recall.interval.high if measure.recall.interval else None


def _general_since(outcome: Outcome) -> float | None:
    return _relative(outcome.evaluation.since_anchor) if outcome.evaluation else None


def _relative(change: Change) -> float | None:
    low = _low(change)
    return None if low is None or not change.before else low / change.before


def _flawed(outcome: Outcome) -> float | None:
    found = [_of(name, lambda measure: _low(measure.flawed))(outcome) for name in ("new", "old", "general")]
    return max((low for low in found if low is not None), default=None)


BOUNDS = (
    Bound("learned_bits", lambda g: g.learned_bits, _of("new", _gained), "not answered better", more_is_worse=False),
    Bound("min_recall", lambda g: g.min_recall, _of("new", _recall_at_best), "not recalled:", more_is_worse=False),
    Bound("old_bits", lambda g: g.old_bits, _of("old", lambda m: _low(m.bits)), "old memories are answered worse"),
    Bound("old_recall", lambda g: g.old_recall, _of("old", _lost), "old memories are forgotten:"),
    Bound("since_learned", lambda g: g.since_learned, _of("since_learned", _lost), "a few by each version"),
    Bound(
        "general_loss",
        lambda g: g.general_loss,
        _of("general", lambda m: _relative(m.bits)),
        "general ability is damaged:",
    ),
    Bound("since_anchor", lambda g: g.since_anchor, _general_since, "general ability is damaged since"),
    Bound(
        "max_kl_to_anchor",
        lambda g: g.max_kl_to_anchor,
        lambda o: o.evaluation.kl_to_anchor if o.evaluation else None,
        "drifted from the base",
    ),
    Bound("flawed", lambda g: g.flawed, _flawed, "are empty, repeat themselves"),
    Bound(
        "check, mean KL",
        lambda _: _GGUF.max_kl,
        lambda o: o.checked.mean_kl if o.checked else None,
        "mean KL of the GGUF",
    ),
    Bound(
        "check, first choice",
        lambda _: _GGUF.min_top1,
        lambda o: o.checked.top1_agreement if o.checked else None,
        "first choice",
        more_is_worse=False,
    ),
)


def cases_table(cases: Sequence[Case], outcomes: Mapping[str, Outcome], gate: GateSettings) -> str:
    """A line for each case that was put through."""
    head = ("case", "half", "verdict", "right", "new b/B", "new recalled", "old recalled", "KL", "flawed", "reason")
    rows = []
    for case in cases:
        if outcome := outcomes.get(case.name):
            reasons = outcome.reasons(gate)
            verdict = "stopped" if reasons else "passed"
            right = "yes" if is_right(case, reasons) else "NO"
            first = reasons[0][:_MOST_WORDS] if reasons else ""
            rows.append((case.name, case.half, verdict, right, *_figures(outcome), first))
    return table(head, rows)


def _figures(outcome: Outcome) -> tuple[str, ...]:
    measured = outcome.evaluation
    if measured is None:
        return ("", "", "", "", "")
    sets = (measured.new, measured.old, measured.general)
    old = f"{measured.old.recall.before:.0%} to {measured.old.recall.after:.0%}" if measured.old.prompts else ""
    return (
        f"{measured.new.bits.before:.2f} to {measured.new.bits.after:.2f}",
        f"{measured.new.recall.before:.0%} to {measured.new.recall.after:.0%}",
        old,
        f"{measured.kl_to_anchor:.2f}",
        f"{max(one.flawed.after for one in sets):.0%}",
    )


def bounds_table(half: Half, cases: Sequence[Case], outcomes: Mapping[str, Outcome], gate: GateSettings) -> str:
    """For each bound: where it stands, the worst honest value, and the mildest sabotaged one that it stops.

    "alone": how many sabotaged ones nothing but this bound stops.
    """
    head = ("bound", "stands at", "worst honest", "of", "mildest it stops", "of", "stops", "alone")
    rows = []
    for bound in BOUNDS:
        honest = _values(bound, half, "honest", cases, outcomes)
        stopped = {
            name: value
            for name, value in _values(bound, half, "sabotaged", cases, outcomes).items()
            if any(bound.words in reason for reason in outcomes[name].reasons(gate))
        }
        alone = sum(all(bound.words in reason for reason in outcomes[name].reasons(gate)) for name in stopped)
        worst = _last(honest, most=bound.more_is_worse)
        mildest = _last(stopped, most=not bound.more_is_worse)
        rows.append((bound.name, f"{bound.at(gate):g}", *worst, *mildest, str(len(stopped)), str(alone)))
    return table(head, rows)


def _values(
    bound: Bound, half: Half, kind: Kind, cases: Sequence[Case], outcomes: Mapping[str, Outcome]
) -> dict[str, float]:
    found = {
        case.name: bound.value(outcomes[case.name])
        for case in cases
        if case.kind == kind and case.half == half and case.name in outcomes
    }
    return {name: value for name, value in found.items() if value is not None and not math.isnan(value)}


def _last(values: Mapping[str, float], *, most: bool) -> tuple[str, str]:
    if not values:
        return "", ""
    name = max(values, key=lambda name: values[name] if most else -values[name])
    return f"{values[name]:.3f}", name


def counted(cases: Sequence[Case], outcomes: Mapping[str, Outcome], gate: GateSettings) -> dict[str, float]:
    """How many of each kind went wrong, by half and in all; what was not put through whole is not counted."""
    counts: dict[str, float] = {}
    for ending, half in (("", ("a", "b")), ("_a", ("a",)), ("_b", ("b",))):
        own = [case for case in cases if case.half in half]
        if not own or any(case.name not in outcomes for case in own):
            continue
        reasons = {case.name: outcomes[case.name].reasons(gate) for case in own}
        bad = [case for case in own if case.kind == "sabotaged"]
        counts[f"sabotaged_passed{ending}"] = sum(not reasons[case.name] for case in bad)
        counts[f"wrong_reason{ending}"] = sum(
            bool(reasons[case.name]) and not is_right(case, reasons[case.name]) for case in bad
        )
        counts[f"honest_stopped{ending}"] = sum(bool(reasons[case.name]) for case in own if case.kind == "honest")
    return counts


def gate_share(cases: Sequence[Case], outcomes: Mapping[str, Outcome]) -> float | None:
    """The seconds of evaluation and check as a share of all steps', over honest versions that went through all."""
    gate_s = whole_s = 0.0
    for case in cases:
        outcome = outcomes.get(case.name)
        if outcome and case.kind == "honest" and {"train", "evaluate", "weights", "check"} <= outcome.seconds.keys():
            gate_s += outcome.seconds["evaluate"] + outcome.seconds["check"]
            whole_s += sum(outcome.seconds.values())
    return gate_s / whole_s if whole_s else None
