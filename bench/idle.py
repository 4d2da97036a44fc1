"""What the daemon costs while nothing happens: memory and CPU, with 5,000 watched folders.

    python bench/idle.py [--quick] [--folders 5000] [--folder DIR]

Measured from outside over two reconciling scans: 660 s at the default of one in five minutes. `--quick` sets a shorter
interval for both, and reckons from what a scan and the time between cost what five minutes would. The peer is the same
Python with the needed libraries imported, asleep.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daemons import Daemon, lay_out, memory, running
from report import Result, machine, table, tell

_RECONCILE_S = 300.0
_QUICK_S = 20.0
_FILES_A_FOLDER = 3
_LIBRARIES = "import apscheduler.triggers.cron, ollama, pydantic, sqlite3, structlog, watchdog.observers"
_GOAL_MIB = 64.0
_GOAL_SHARE = 0.001


def main() -> None:
    """Measure, and tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="two scans in 44 s instead of 660")
    words.add_argument("--folders", type=int, default=5000, help="watched folders")
    words.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    given = words.parse_args()
    root = Path(tempfile.mkdtemp(prefix="idle-", dir=given.folder))
    try:
        tell(_measure(root, given.folders, _QUICK_S if given.quick else _RECONCILE_S))
    finally:
        shutil.rmtree(root)


def _measure(root: Path, folders: int, reconcile_s: float) -> Result:
    _make_tree(lay_out(root, quiet_s=1, reconcile_minutes=reconcile_s / 60), folders)
    with running(root) as daemon:
        daemon.until(lambda status: status.daemon is not None and not status.daemon.job, 0.2)
        time.sleep(5)  # the jobs of the start have ended
        seconds = reconcile_s * 2.2
        began_s, cpu_before_s = time.monotonic(), daemon.cpu_s()
        quiet_s = _cpu_between_scans(daemon, reconcile_s * 0.5)
        time.sleep(max(0.0, seconds - (time.monotonic() - began_s)))
        wall_s, cpu_s = time.monotonic() - began_s, daemon.cpu_s() - cpu_before_s
        ours = {
            "rss_mib": daemon.memory_mib("VmRSS"),
            "peak_rss_mib": daemon.memory_mib("VmHWM"),
            "cpu_s": cpu_s,
            "wall_s": wall_s,
            "cpu_share_measured": cpu_s / wall_s,
            "torch_loaded": float(daemon.has_torch()),
        }
    a_scan_s = max(0.0, cpu_s - quiet_s * wall_s) / 2
    ours["cpu_s_a_scan"] = a_scan_s
    ours["cpu_share"] = quiet_s + a_scan_s / _RECONCILE_S if reconcile_s < _RECONCILE_S else cpu_s / wall_s
    peer = {"rss_mib": _libraries_mib()}
    print(table(("", "ours", "libraries alone"), [(name, f"{value:.4f}", f"{peer[name]:.1f}" if name in peer else "")
                                                  for name, value in ours.items()]))  # fmt: skip
    return Result(
        "idle",
        machine(root),
        ours,
        peer,
        ratio={"rss": ours["rss_mib"] / peer["rss_mib"]},
        goal={"rss_mib": _GOAL_MIB, "cpu_share": _GOAL_SHARE, "torch_loaded": 0},
    )


def _cpu_between_scans(daemon: Daemon, seconds: float) -> float:
    """CPU seconds a second in a time without a scan."""
    before_s = daemon.cpu_s()
    time.sleep(seconds)
    return (daemon.cpu_s() - before_s) / seconds


def _make_tree(folder: Path, folders: int) -> None:
    number = 0
    for place in range(folders):
        at = folder / f"{2000 + place // 365}" / f"{place % 365:03}"
        at.mkdir(parents=True)
        for _ in range(_FILES_A_FOLDER):
            number += 1
            (at / f"m{number}.json").write_text(memory(number), encoding="utf-8")


def _libraries_mib() -> float:
    program = (
        f"{_LIBRARIES}\nfrom pathlib import Path\n"
        "print(int(Path('/proc/self/status').read_text().partition('VmRSS:')[2].split()[0]) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
