"""Whether the gate stops what it must and lets pass what it should: twenty sabotaged versions, twenty honest ones.

    python bench/gate.py [--quick] [--half a|b] [--only NAME …] [--results DIR] [--report-only]

The demo's model learns parts of the example profile's memories: two versions for the ground, then the cases of
`gate_cases.py`, each through the product's own steps and then the gate's bounds as they are by default. One attempt is
made each (a run makes a second, gentler one). Of a case that is spoilt in training the prompts are the honest
version's. Measures are kept in `--results` (default: cache/gate below the repository), and what is there is not
measured again: a bench that was killed goes on. `--report-only` judges what is there anew. `--quick`: a smaller ground,
what can be spoilt behind the training, and the ground's two versions. Goals: no sabotaged version passes, none is
stopped for another reason than its own, and no honest one is stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gate_cases import CASES, V1, V2, Case, Half, ground_digest
from gate_ground import SizeName, lay_out
from gate_outcome import Outcome, keep, kept_at, read_kept
from gate_report import bounds_table, cases_table, counted, gate_share
from metahuman_core.gate.exam import answers_in
from metahuman_core.progress import Progress
from metahuman_core.settings import GateSettings
from report import Result, machine, tell

_CACHE = Path(__file__).resolve().parents[1] / "cache" / "gate"
_EVERY_S = 30.0
# What a case costs, in the time of one that is only measured.
_TRAINED, _GROUND = 3.0, 5.0


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="a smaller ground, and what need not be trained")
    words.add_argument("--half", choices=("a", "b"), default="", help="only this half of the cases")
    words.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these cases")
    words.add_argument("--results", type=Path, default=_CACHE, help="where measures are kept")
    words.add_argument("--report-only", action="store_true", help="measure nothing")
    given = words.parse_args()
    if unknown := set(given.only) - {case.name for case in CASES}:
        words.error(f"no such case: {', '.join(sorted(unknown))}")
    size: SizeName = "quick" if given.quick else "whole"
    chosen = choose(CASES, given.only, given.half, quick=given.quick)
    results: Path = given.results
    results.mkdir(parents=True, exist_ok=True)
    if not given.report_only:
        measure(chosen, results, size)
    found = {case.name: read_kept(kept_at(results, case, size)) for case in chosen}
    tell(_told(results, chosen, {name: outcome for name, outcome in found.items() if outcome}))


def choose(cases: Sequence[Case], only: Sequence[str], half: Half, *, quick: bool) -> list[Case]:
    """The cases that are asked for, those first that need no training."""
    fitting = [
        case
        for case in cases
        if (not only or case.name in only) and half in ("", case.half) and (not quick or case.quick or only)
    ]
    return sorted(fitting, key=lambda case: case.trains and not case.of_ground)


def left_to_do(cases: Sequence[Case], results: Path, size: str) -> list[Case]:
    """The cases of which nothing is kept yet."""
    return [case for case in cases if read_kept(kept_at(results, case, size)) is None]


def measure(cases: Sequence[Case], results: Path, size: SizeName) -> None:
    """Put through the gate whatever is not kept yet."""
    left = left_to_do(cases, results, size)
    if not left:
        return
    from gate_trial import Trials  # torch, which a report alone does not need

    ground = lay_out(results / f"ground-{size}-{ground_digest(size)}", size)
    trials = Trials(ground, _Teller())
    missing = {name: recipe for name, recipe in (("v1", V1), ("v2", V2)) if not trials.has_ground(name)}
    clock = _Clock(len(missing) * _GROUND + sum(map(_cost, left)))
    for name, recipe in missing.items():
        trials.ground_version(name, recipe)
        clock.done(f"the ground's version {name[1:]}", _GROUND)
    for case in left:
        outcome = trials.put_through(case)
        keep(kept_at(results, case, size), outcome, answers_in(trials.answers_file(case).parent))
        trials.clear(case)
        stopped = "; ".join(outcome.reasons(GateSettings())) or "passed"
        clock.done(f"{case.kind} {case.name}: {stopped}", _cost(case))


def _cost(case: Case) -> float:
    return _TRAINED if case.trains and not case.of_ground else 1.0


class _Clock:
    """Says what is done, and about how long the rest will take."""

    def __init__(self, work: float) -> None:
        self._work, self._done, self._began_s = work, 0.0, time.monotonic()

    def done(self, what: str, work: float) -> None:
        self._done += work
        passed_s = time.monotonic() - self._began_s
        left_s = passed_s / self._done * (self._work - self._done)
        print(f"{passed_s / 60:5.1f} min, about {left_s / 60:.0f} left: {what}", flush=True)


class _Teller:
    """Tells a step's progress every half minute, to people only."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.total and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + _EVERY_S
            print(f"  {progress.step}: {progress.done:g} of {progress.total:g} {progress.unit}", file=sys.stderr)


def _told(results: Path, cases: Sequence[Case], outcomes: dict[str, Outcome]) -> Result:
    gate = GateSettings()
    print("\n" + cases_table(cases, outcomes, gate))
    for half in ("a", "b"):
        print(f"\nhalf {half}\n" + bounds_table(half, cases, outcomes, gate))
    ours = {"cases": float(len(outcomes)), **counted(cases, outcomes, gate)}
    ours.update({f"{step}_s": seconds for step, seconds in _mean_seconds(outcomes).items()})
    share = gate_share(cases, outcomes)
    return Result(
        "gate",
        machine(results),
        ours,
        ratio={} if share is None else {"gate_of_cycle": share},
        goal=dict.fromkeys(("sabotaged_passed", "wrong_reason", "honest_stopped"), 0.0),
    )


def _mean_seconds(outcomes: dict[str, Outcome]) -> dict[str, float]:
    """The mean seconds of each step, over the cases that took it."""
    steps: dict[str, list[float]] = {}
    for outcome in outcomes.values():
        for step, seconds in outcome.seconds.items():
            steps.setdefault(step, []).append(seconds)
    return {step: sum(seconds) / len(seconds) for step, seconds in steps.items()}


if __name__ == "__main__":
    main()
