"""A burst of new files under a running daemon: is one missed, what does it cost, and how late does it notice one file.

    python bench/burst.py [--quick] [--files 100000] [--folder DIR]

The peer is what a service without the ledger would do: list, open and parse each of the files once.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from daemons import Daemon, lay_out, memory, running
from report import Result, machine, table, tell

_QUIET_S = 1.0
_A_FOLDER = 500
_SINGLES = 15
_GOAL_LATENCY_S = 0.2


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="20,000 files")
    words.add_argument("--files", type=int, default=100_000)
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    root = Path(tempfile.mkdtemp(prefix="burst-", dir=given.folder))
    try:
        tell(_measure(root, 20_000 if given.quick else given.files))
    finally:
        shutil.rmtree(root)


def _measure(root: Path, files: int) -> Result:
    folder = lay_out(root, quiet_s=_QUIET_S, reconcile_minutes=60)
    with running(root) as daemon:
        before = [_latency_s(daemon, folder, number) for number in range(_SINGLES)]
        cpu_before_s, began_s = daemon.cpu_s(), time.monotonic()
        for number in range(_SINGLES, _SINGLES + files):
            at = folder / f"{number // _A_FOLDER:05}"
            if number == _SINGLES or number % _A_FOLDER == 0:
                at.mkdir(exist_ok=True)
            (at / f"m{number}.json").write_text(memory(number), encoding="utf-8")
        written_s = time.monotonic() - began_s
        wanted = _SINGLES + files
        status = daemon.until(lambda seen: seen.seen.files >= wanted and seen.seen.memories.known >= wanted, 0.2)
        found_s = time.monotonic() - began_s
        time.sleep(2 * _QUIET_S)  # what it still does afterwards counts too
        ours = {
            "missed": float(wanted - status.seen.memories.known),
            "cpu_s": daemon.cpu_s() - cpu_before_s,
            "written_s": written_s,
            "found_s": found_s,
            "peak_rss_mib": daemon.memory_mib("VmHWM"),
            "latency_median_s": statistics.median(before),
            "latency_max_s": max(before),
            "latency_after_median_s": statistics.median(
                _latency_s(daemon, folder, number) for number in range(wanted, wanted + _SINGLES)
            ),
        }
    peer = {"cpu_s": _read_once_s(folder)}
    print(table(("", "ours", "read once"), [(name, f"{value:.3f}", f"{peer[name]:.3f}" if name in peer else "")
                                            for name, value in ours.items()]))  # fmt: skip
    return Result(
        "burst",
        machine(root),
        ours,
        peer,
        ratio={"cpu": ours["cpu_s"] / peer["cpu_s"]},
        goal={"missed": 0, "latency_median_s": _GOAL_LATENCY_S},
    )


def _latency_s(daemon: Daemon, folder: Path, number: int) -> float:
    """From the last byte of one file to its being due in the status, beyond the quiet time."""
    (folder / f"single{number}.json").write_text(memory(number), encoding="utf-8")
    began_s = time.monotonic()
    before = daemon.status()
    known = before.seen.memories.due if before else 0
    daemon.until(lambda status: status.seen.memories.due > known)
    return time.monotonic() - began_s - _QUIET_S


def _read_once_s(folder: Path) -> float:
    began_s = time.process_time()
    for path in folder.rglob("*.json"):
        with path.open(encoding="utf-8") as file:
            json.load(file)
    return time.process_time() - began_s


if __name__ == "__main__":
    main()
