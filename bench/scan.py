"""How long it takes to see that nothing has changed: our scan beside a bare walk that asks for each file's stat.

Peer and floor are one here: os.scandir and a stat of each entry is the least that tells whether a file changed. Both
run in processes of their own, in turn, over the same tree, with warm and with cold page cache. Goal: at most 1.5 times
the bare walk, and at most 350 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report import Result, drop_page_cache, in_child, machine, peak_rss_mib, table, tell

_SCRIPT = Path(__file__).resolve()
_PAIRS = 5
_FILES = (100_000, 1_000_000)
_FILES_QUICK = (20_000, 100_000)
_FILES_A_FOLDER = 200
_MONTHS = 12
_WORDS = ("tide", "stove", "boat", "rope", "lamp", "garden", "letter", "harbour", "bread", "window", "school", "snow")
_MOST_RATIO = 1.5
_MOST_MIB = 350.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One size of tree: the first scan, and pairs (bare walk, our scan) in seconds, by temperature."""

    files: int
    first_s: float
    first_mib: float
    pairs: dict[str, list[tuple[float, float]]]
    peak_mib: float

    def ratio(self, how: str) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(ours / bare for bare, ours in self.pairs[how])

    def median_s(self, how: str, place: int) -> float:
        """The median of the bare walks (place 0) or of our scans (1)."""
        return statistics.median(pair[place] for pair in self.pairs[how])


def make_tree(root: Path, files: int) -> None:
    """Small memories in nested folders of years and months, the same ones each time."""
    chance = random.Random(files)  # noqa: S311
    for first in range(0, files, _FILES_A_FOLDER):
        year, month = divmod(first // _FILES_A_FOLDER, _MONTHS)
        folder = root / f"{year:04}" / f"{month + 1:02}"
        folder.mkdir(parents=True)
        for number in range(first, min(first + _FILES_A_FOLDER, files)):
            name = f"evt-{number:08}"
            said = f"{' '.join(chance.choices(_WORDS, k=12))} {number}"
            memory = {"id": name, "timestamp": "2025-03-01T12:00:00Z", "content": said, "type": "journal"}
            (folder / f"{name}.json").write_text(json.dumps(memory), encoding="utf-8")


def bare_walk(root: Path) -> dict[str, float]:
    """The least: list each folder, ask for each entry's stat."""
    began = time.perf_counter()
    waiting = [str(root)]
    entries = 0
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                entry.stat(follow_symlinks=False)
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
    return {"s": time.perf_counter() - began, "entries": entries}


def our_scan(root: Path, ledger_path: Path) -> dict[str, float]:
    """What `status` and the daemon do: open the ledger, bring it up to date."""
    from metahuman_core.ledger import Ledger
    from metahuman_core.memories.read import Limits

    began = time.perf_counter()
    with Ledger(ledger_path) as ledger:
        report = ledger.scan([("memory", root)], Limits())
    return {
        "s": time.perf_counter() - began,
        "files": report.files,
        "files_read": report.files_read,
        "peak_mib": peak_rss_mib(),
    }


def measure(folder: Path, files: int, temperatures: Sequence[str]) -> Measured:
    """Make a tree of so many files, scan it once, then time pairs."""
    root, ledger = folder / "memory", folder / "state" / "ledger.sqlite3"
    print(f"making {files:,} files", file=sys.stderr)
    make_tree(root, files)
    os.sync()
    first = _in_child("ours", root, ledger)
    _must_be(first, files, files)
    pairs: dict[str, list[tuple[float, float]]] = {how: [] for how in temperatures}
    peak_mib = 0.0
    for how in temperatures:
        if how == "warm":
            _in_child("bare", root, ledger)  # so that the first pair is as warm as the others
        for number in range(_PAIRS):
            seconds = {}
            for who in ("bare", "ours") if number % 2 else ("ours", "bare"):  # neither is always the one that warms
                if how == "cold":
                    drop_page_cache()
                done = _in_child(who, root, ledger)
                seconds[who] = done["s"]
                if who == "ours":
                    _must_be(done, files, 0)
                    peak_mib = max(peak_mib, done["peak_mib"])
            pairs[how].append((seconds["bare"], seconds["ours"]))
    return Measured(files, first["s"], first["peak_mib"], pairs, peak_mib)


def _in_child(who: str, root: Path, ledger: Path) -> dict[str, float]:
    return in_child(_SCRIPT, "--child", who, str(root), str(ledger))


def _must_be(done: dict[str, float], files: int, read: int) -> None:
    if (done["files"], done["files_read"]) != (files, read):
        raise SystemExit(f"a scan that is fast and wrong: {done}, not {files} files and {read} read")


def result_of(folder: Path, all_measured: Sequence[Measured]) -> Result:
    """Numbers by name, the number of files at the names' ends."""
    ours, peer, ratio, goal = {}, {}, {}, {}
    for measured in all_measured:
        n = measured.files
        ours[f"first_scan_s_{n}"] = measured.first_s
        ours[f"first_scan_files_per_s_{n}"] = n / measured.first_s
        ours[f"first_scan_peak_rss_mib_{n}"] = measured.first_mib
        ours[f"peak_rss_mib_{n}"] = measured.peak_mib
        goal[f"peak_rss_mib_{n}"] = _MOST_MIB
        for how in measured.pairs:
            peer[f"bare_walk_{how}_s_{n}"] = measured.median_s(how, 0)
            ours[f"scan_{how}_s_{n}"] = measured.median_s(how, 1)
            ratio[f"{how}_{n}"] = measured.ratio(how)
            goal[f"{how}_{n}"] = _MOST_RATIO
    return Result("scan", machine(folder), ours=ours, peer=peer, floor=peer, ratio=ratio, goal=goal)


def show(all_measured: Sequence[Measured]) -> str:
    """The table for people."""
    rows = [
        [
            f"{measured.files:,}",
            how,
            f"{measured.median_s(how, 0):.3f} s",
            f"{measured.median_s(how, 1):.3f} s",
            f"{measured.ratio(how):.2f}",
            f"{measured.peak_mib:.0f} MiB",
            f"{measured.files / measured.first_s:,.0f}/s",
            f"{measured.first_mib:.0f} MiB",
        ]
        for measured in all_measured
        for how in measured.pairs
    ]
    return table(["files", "cache", "bare walk", "scan", "ratio", "peak", "first scan", "its peak"], rows)


def main() -> None:
    """Read the command line; as a child, do one thing and print its numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{_FILES_QUICK} files, not {_FILES}")
    parser.add_argument("--files", type=int, nargs="+", help="how many files, other than that")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the trees are made")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        who, root, ledger = asked.child
        print(json.dumps(bare_walk(Path(root)) if who == "bare" else our_scan(Path(root), Path(ledger))))
        return
    reason = drop_page_cache()
    if reason:
        print(f"warm only: {reason}")
    all_measured = []
    for files in asked.files or (_FILES_QUICK if asked.quick else _FILES):
        with tempfile.TemporaryDirectory(dir=asked.folder, prefix="scan-") as made:
            all_measured.append(measure(Path(made), files, ["warm"] if reason else ["warm", "cold"]))
    print(show(all_measured))
    tell(result_of(asked.folder, all_measured))


if __name__ == "__main__":
    main()
