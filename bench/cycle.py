"""Where the seconds of a cycle go: version 1 of the example profile, the demo's own, by `metahuman fine-tune`.

    python bench/cycle.py [--quick] [--against GIT_REF] [--folder DIR]

The seconds of each step are told by the run's own files: its journal says when each step was done. `--against` runs
the same cycle by another commit's code first (`--against v0.1.0`), each commit with its own `etc/demo.toml`: that is
before and after. `--quick`: half an epoch instead of the demo's 2.75.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from metahuman_core.layout import ProfilePaths
from metahuman_daemon.demo import PROFILE, lay_out
from report import Result, drop_page_cache, machine, table, tell
from tree_memory import Measured, measure

_HERE = Path(__file__).resolve().parents[1]
_EPOCHS = re.compile(r"^epochs = .*$", re.MULTILINE)
_QUICK_EPOCHS = "epochs = 0.5"
_CONFIG = "\n[ollama]\nenabled = false\n"
# A step of another commit's journal goes into the row of the one that took its place.
_ROWS = {"merge": "weights", "convert": "weights", "serve": "register"}
_BEGIN, _CHILD, _END = "start, scan, choice", "child, imports, dataset", "retention, end"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle: seconds by row, in the order in which they went; optimiser steps; peaks over the process tree."""

    seconds: dict[str, float]
    steps: int
    whole: Measured


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="half an epoch")
    words.add_argument("--against", metavar="GIT_REF", help="the same by this commit's code first")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cycle-", dir=given.folder)).resolve()
    try:
        before = _cycle(folder, _tree_of(given.against, folder), quick=given.quick) if given.against else None
        tell(_told(folder, before, _cycle(folder, _HERE, quick=given.quick)))
    finally:
        shutil.rmtree(folder)


def _tree_of(ref: str, folder: Path) -> Path:
    """The files of a commit, unpacked."""
    tree = folder / "tree"
    tree.mkdir()
    archive = subprocess.run(["git", "archive", ref], cwd=_HERE, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    return tree


def _cycle(folder: Path, tree: Path, *, quick: bool) -> Cycle:
    """Version 1 in a new root below `folder`, by the code of `tree`, from cold files."""
    root = folder / "root"
    lay_out(root, print)
    config = (tree / "etc" / "demo.toml").read_text(encoding="utf-8") + _CONFIG
    (root / "config.toml").write_text(_EPOCHS.sub(_QUICK_EPOCHS, config) if quick else config, encoding="utf-8")
    if reason := drop_page_cache():
        print(reason)
    began_s = time.time()
    whole = measure(
        [sys.executable, "-m", "metahuman_daemon.cli", "fine-tune", "--config", str(root / "config.toml")],
        root,
        {**os.environ, "PYTHONPATH": f"{tree / 'core'}:{tree / 'daemon'}"},
    )
    (run_dir,) = ProfilePaths(root, PROFILE).run_dirs()
    moments = _moments(run_dir, began_s + whole.seconds)
    steps = len((run_dir / "train-log.jsonl").read_text(encoding="utf-8").splitlines())
    shutil.rmtree(root)
    seconds: dict[str, float] = {}
    for row, until_s in moments:
        seconds[row] = seconds.get(row, 0.0) + until_s - began_s
        began_s = until_s
    print(f"a version in {whole.seconds:.0f} s, {steps} optimiser steps", flush=True)
    return Cycle(seconds, steps, whole)


def _moments(run_dir: Path, ended_s: float) -> list[tuple[str, float]]:
    """Until when each row went on (seconds since the epoch). The run's memories are frozen just before the child."""
    moments = [(_BEGIN, (run_dir / "memories.jsonl").stat().st_mtime)]
    journal = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    for step, entry in journal["steps"].items():
        row = _CHILD if step == "dataset" else _ROWS.get(step, step)
        moments.append((row, datetime.fromisoformat(entry["done_at"]).timestamp()))
    # The journal's end is written when the version is registered.
    return [*moments, ("register", (run_dir / "run.json").stat().st_mtime), (_END, ended_s)]


def _told(folder: Path, before: Cycle | None, after: Cycle) -> Result:
    rows = [
        (row, *(f"{cycle.seconds.get(row, 0.0):.2f}" for cycle in (before, after) if cycle)) for row in after.seconds
    ]
    whole = [cycle for cycle in (before, after) if cycle]
    rows.append(("the whole", *(f"{cycle.whole.seconds:.2f}" for cycle in whole)))
    rows.append(("a training step", *(f"{cycle.seconds['train'] / cycle.steps:.3f}" for cycle in whole)))
    rows.append(("besides training", *(f"{cycle.whole.seconds - cycle.seconds['train']:.2f}" for cycle in whole)))
    rows.append(("peak MiB", *(f"{cycle.whole.rss_mib:.0f}" for cycle in whole)))
    rows.append(("peak anonymous MiB", *(f"{cycle.whole.anonymous_mib:.0f}" for cycle in whole)))
    print("\n" + table(("s", *(["before"] if before else []), "now"), rows))
    return Result(
        "cycle",
        machine(folder),
        _numbers(after),
        peer=_numbers(before) if before else {},
        ratio={"whole": after.whole.seconds / before.whole.seconds} if before else {},
        goal={"whole": 1.0} if before else {},
    )


def _numbers(cycle: Cycle) -> dict[str, float]:
    rows = {f"{re.sub(r'[^a-z]+', '_', row)}_s": seconds for row, seconds in cycle.seconds.items()}
    return {
        **rows,
        "whole_s": cycle.whole.seconds,
        "optimiser_steps": cycle.steps,
        "peak_rss_mib": cycle.whole.rss_mib,
        "peak_anonymous_mib": cycle.whole.anonymous_mib,
    }


if __name__ == "__main__":
    main()
