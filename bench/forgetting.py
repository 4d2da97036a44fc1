"""Which way of learning forgets least: a batch of invented facts a cycle, by several strategies, from the same base.

    python bench/forgetting.py [--quick | --tiny] [--seeds N] [--cycles N] [--strategies A,B] [--sweep [SETTINGS]]
    python bench/forgetting.py --dialogues locomo:PATH
    python bench/forgetting.py --report-only [--markdown FILE]

Every version is trained, merged and asked by the product's own steps; after each cycle all batches, past and future,
are asked for in phrasings that nobody trained, and the general prompts measured. Each version's result is kept in
`--results`: stopped anywhere, the same command goes on, and results of other options lie beside it. `--quick`: two
cycles of six facts, one seed, two strategies. Goals (by 95 % intervals over seeds and facts): what the product does by
default loses at most 2 points of what it learned, 20 less than the naive chain, recalls 80 %, is within 3 points of
training all from the beginning, and changes the loss on general prompts by at most 1 %.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from lifelong.dialogues import read_folder, write_folder
from lifelong.invented import Counts, invent
from lifelong.kept import Answered, Kept, Measured
from lifelong.material import Material
from lifelong.people import read_people
from lifelong.planning import Cell, Line, base_cell, passes_ahead, probes_of
from lifelong.running import Pace, run, walked
from lifelong.strategies import NAIVE, OURS, STRATEGIES, chosen
from lifelong.summaries import goals_of, summary_of, unmeasured
from lifelong.telling import for_people, markdown, result
from metahuman_core.converter import data_folder
from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError, StoppedError, UsageError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.journal import digest_of
from metahuman_core.progress import Progress, Report
from metahuman_core.settings import TrainingSettings
from qwen3_shapes import TINY
from report import tell

_HERE = Path(__file__).resolve().parent
_BASE = data_folder() / "SmolLM2-135M-Instruct"
_CYCLES, _SEEDS = 5, 3
_QUICK = {"cycles": 2, "seeds": 1, "facts": 6, "strategies": f"{NAIVE},{OURS}"}
_TINY = {"cycles": 3, "seeds": 1, "facts": 3}
_TINY_EPOCHS = 1.0
# Until one is measured: a sample, forward and backward, on two cores.
_PASS_S = 0.2


@dataclass(frozen=True, slots=True)
class Bench:
    """What is to be made: the base, asked for every seed, and a line for every strategy and seed."""

    base: Path
    asked: dict[int, Cell]
    lines: tuple[Line, ...]


def main() -> None:
    """Measure what is not kept yet, and tell."""
    given = _words()
    _set_environment(given.threads)
    given.results.mkdir(parents=True, exist_ok=True)
    try:
        bench, kept = _planned(given), Kept(given.results)
        if not given.report_only:
            _make_all(bench, kept)
        _tell(bench, kept, given)
    except MetahumanError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # before training listens for it
        sys.exit(StoppedError.exit_code)


def _words() -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = words.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="two cycles of six facts, one seed, two strategies")
    size.add_argument("--tiny", action="store_true", help="a random model that learns nothing: does the bench run?")
    words.add_argument("--model", type=Path, default=_BASE, help="base folder (default: the demo's SmolLM2-135M)")
    words.add_argument("--cycles", type=int, default=_CYCLES, help=f"batches (default {_CYCLES})")
    words.add_argument("--seeds", type=int, default=_SEEDS, help=f"how often, with other facts (default {_SEEDS})")
    words.add_argument("--first-seed", type=int, default=1, help="so that several machines can share the work")
    words.add_argument("--strategies", default=",".join(one.name for one in STRATEGIES), help="names with commas")
    words.add_argument("--sweep", nargs="?", const="all", default="", help="variations of ours: all, or settings")
    defaults = Counts()
    words.add_argument("--facts", type=int, default=defaults.facts, help=f"in a batch (default {defaults.facts})")
    words.add_argument("--trained", type=int, default=defaults.trained, help="phrasings of a fact that are trained")
    words.add_argument("--watched", type=int, default=defaults.watched, help="phrasings of a fact that the gate asks")
    words.add_argument("--unseen", type=int, default=defaults.unseen, help="phrasings of a fact that are asked only")
    words.add_argument("--corrected", type=int, default=defaults.corrected, help="facts that are corrected later")
    words.add_argument(
        "--dialogues", metavar="FORMAT:PATH", help="locomo:FILE or longmemeval:FILE, and no invented facts"
    )
    words.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    words.add_argument("--threads", type=int, help="for computing (default: all cores)")
    words.add_argument("--results", type=Path, default=_HERE / "results" / "forgetting", help="where results are kept")
    words.add_argument("--report-only", action="store_true", help="tell what is kept, and make nothing")
    words.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as a page, too")
    given = words.parse_args()
    preset = _QUICK if given.quick else _TINY if given.tiny else {}
    for name, value in preset.items():
        if getattr(given, name) == words.get_default(name):
            setattr(given, name, value)
    for name in ("cycles", "seeds", "first_seed", "facts", "trained", "unseen"):
        if getattr(given, name) < 1:
            words.error(f"--{name.replace('_', '-')} must be at least 1")
    return given


def _set_environment(threads: int | None) -> None:
    """As the product's own child is started (metahuman_daemon/worker.py), before anything heavy is loaded."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)


def _planned(given: argparse.Namespace) -> Bench:
    base = _tiny_base(given.results) if given.tiny else _found(given.model)
    if not (base / "config.json").is_file():
        raise UsageError(f"there is no model in {base}", "run `metahuman setup --demo`, or name one with --model")
    sha256, recipe = fingerprint(base), TrainingSettings(device=given.device)
    if given.tiny:
        recipe = recipe.model_copy(update={"epochs": _TINY_EPOCHS})
    materials, strategies = _materials(given), chosen(given.strategies, given.sweep)
    return Bench(
        base,
        {seed: base_cell(seed, material, recipe, sha256) for seed, material in materials.items()},
        tuple(Line(one, seed, material, recipe, sha256) for one in strategies for seed, material in materials.items()),
    )


def _found(model: Path) -> Path:
    """A folder, or one that the demo has, by its name or the beginning of it."""
    of_the_demo = sorted(data_folder().glob(f"{model.name}*/config.json"))
    return of_the_demo[0].parent if not model.exists() and of_the_demo else model


def _materials(given: argparse.Namespace) -> dict[int, Material]:
    """What each seed learns: other facts, or another person's dialogues."""
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    if not given.dialogues:
        counts = Counts(given.facts, given.trained, given.watched, given.unseen, given.corrected)
        return {seed: invent(seed, given.cycles, counts) for seed in seeds}
    kind, found, file = given.dialogues.partition(":")
    if kind not in ("locomo", "longmemeval") or not found:
        raise UsageError(f"{given.dialogues!r} is no set of dialogues", "say locomo:FILE or longmemeval:FILE")
    people = read_people(kind, Path(file), given.facts * given.cycles)
    if len(people) < seeds.stop - 1:
        raise UsageError(f"{file} has {len(people)} people for {given.seeds} seeds", "take fewer seeds")
    materials: dict[int, Material] = {}
    for seed in seeds:
        person = people[seed - 1]
        told = digest_of([person, given.cycles])
        folder = given.results / "dialogues" / told[:20]
        if not folder.is_dir():
            write_folder(person, given.cycles, folder)
        materials[seed] = read_folder(folder, given.cycles)
        for number, batch in enumerate(materials[seed].batches, 1):
            if not (batch.memories and batch.probes):
                raise UsageError(f"batch {number} of {person.name} has nothing to learn or to ask", "take fewer cycles")
    return materials


def _tiny_base(results: Path) -> Path:
    folder = results / "tiny-base"
    if not folder.is_dir():
        from synthetic_base import write_base

        write_base(folder, TINY, spread=0.2)
    return folder


def _make_all(bench: Bench, kept: Kept) -> None:
    """Make and measure every version that has no result. Raises StoppedError."""
    from lifelong.learning import Made, Place, make, measure

    asked_to_stop: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        asked_to_stop.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    place = Place(bench.base, kept, _reporter(), lambda: bool(asked_to_stop))
    materials = {line.seed: line.material for line in bench.lines}
    pace = Pace(passes_ahead(walked(line, kept) for line in bench.lines), _PASS_S)
    print(pace, flush=True)

    def made_and_measured(cell: Cell, known: Mapping[str, Cell]) -> Measured:
        made = make(cell, known, place) if cell.samples else Made(0, 0.0, went_on=False)
        material = materials[cell.seed]
        measured = measure(cell, probes_of(material), material.system, made, place)
        if cell.samples:
            pace.add(cell, measured)
        print(f"{_one_line(measured)}; {pace}", flush=True)
        return measured

    run(list(bench.asked.values()), bench.lines, kept, made_and_measured)


def _on_terminal(progress: Progress) -> None:
    of = f"{progress.done:.0f} of {progress.total:.0f} {progress.unit}" if progress.total else progress.note
    print(f"\r\033[K{progress.step}: {of}", end="\r", file=sys.stderr, flush=True)


def _reporter() -> Report:
    return _on_terminal if sys.stderr.isatty() else lambda _: None


def _one_line(measured: Measured) -> str:
    def recalled(answers: list[Answered]) -> str:
        return f"{100 * sum(a.recalled for a in answers) / len(answers):.0f} %" if answers else "-"

    facts = [answer for answer in measured.answers if not answer.correction]
    new = recalled([answer for answer in facts if answer.batch == measured.cycle])
    old = recalled([answer for answer in facts if answer.batch < measured.cycle])
    general = sum(measured.general_bits) / sum(measured.general_bytes)
    return (
        f"{measured.strategy}, seed {measured.seed}, cycle {measured.cycle}: {measured.samples} samples, "
        f"{measured.steps} steps, {measured.train_s:.0f} + {measured.measure_s:.0f} s; "
        f"new {new}, old {old}, general {general:.3f} bits per byte"
    )


def _tell(bench: Bench, kept: Kept, given: argparse.Namespace) -> None:
    """Tell what is kept of it. Raises UsageError where that is no whole line."""
    of_strategies: dict[str, list[list[Measured]]] = {}
    for line in bench.lines:
        whole, base = walked(line, kept), kept.get(bench.asked[line.seed].key)
        there = of_strategies.setdefault(line.strategy.name, [])
        if base is not None and whole.next() is None:
            there.append([base, *whole.measured])
        else:
            print(f"{line.strategy.name}, seed {line.seed}: {len(whole.measured)} of {given.cycles} versions are kept")
    summaries = {name: summary_of(name, lines) for name, lines in of_strategies.items() if lines}
    if not summaries:
        raise UsageError("nothing is kept that could be told", "run it without --report-only")
    goals = goals_of(summaries)
    print("\n" + for_people(list(summaries.values()), goals))
    if given.markdown:
        write_text(given.markdown, markdown(list(summaries.values()), goals, _what(given)))
    tell(result(summaries, goals, unmeasured(goals, tuple(of_strategies)), given.results))


def _what(given: argparse.Namespace) -> str:
    """What was measured, in a sentence."""
    what = given.dialogues or (
        f"{given.facts} invented facts a batch, {given.trained} trained and {given.unseen} unseen phrasings of each, "
        f"{given.corrected} facts corrected later"
    )
    return f"{given.model.name}: {given.cycles} cycles, {given.seeds} seeds; {what}."


if __name__ == "__main__":
    main()
