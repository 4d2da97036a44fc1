"""What the benchmarks of the daemon share: a root with memories, and a `metahuman run` of it, measured from outside.

Invariant: the daemon is the shipped one, in a process of its own, told by its config alone; it trains nothing, because
the threshold is out of reach.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.layout import ProfilePaths
from metahuman_daemon.service.status_file import ProfileStatus, read_status

PROFILE = "bench"
_CONFIG = """
root = "."
[profiles.bench]
[ollama]
enabled = false
[daemon]
threshold = 100_000_000
min_new = 100_000_000
quiet_s = {quiet_s}
reconcile_minutes = {reconcile_minutes}
"""
_TICKS_S = os.sysconf("SC_CLK_TCK")
_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that runs."""

    process: subprocess.Popen[bytes]
    root: Path

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def status(self) -> ProfileStatus | None:
        """What it has written."""
        return read_status(ProfilePaths(self.root, PROFILE))

    def cpu_s(self) -> float:
        """CPU seconds of it and of the jobs that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS_S

    def memory_mib(self, name: str) -> float:
        """A line of its status in /proc: VmRSS, VmHWM."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition(f"{name}:")[2].split()[0]) / 1024

    def has_torch(self) -> bool:
        """Whether it has loaded what a trainer needs."""
        maps = Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8", errors="replace")
        return "libtorch" in maps or "llama" in maps

    def until(self, so: Callable[[ProfileStatus], bool], every_s: float = 0.01) -> ProfileStatus:
        """Wait until its status is so."""
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s:
            if (status := self.status()) and so(status):
                return status
            if self.process.poll() is not None:
                raise RuntimeError((self.root / "daemon.log").read_text(encoding="utf-8"))
            time.sleep(every_s)
        raise TimeoutError("the daemon did not get there")


def lay_out(root: Path, *, quiet_s: float, reconcile_minutes: float) -> Path:
    """Write the config. Gives the folder for memories."""
    memory = ProfilePaths(root, PROFILE).memory
    memory.mkdir(parents=True)
    config = _CONFIG.format(quiet_s=quiet_s, reconcile_minutes=reconcile_minutes)
    (root / "config.toml").write_text(config, encoding="utf-8")
    return memory


def memory(number: int) -> str:
    """A memory like no other."""
    words = f"On day {number} I counted {number * 7919 % 100_003} gulls, and wrote {number * 104_729 % 1_000_003} down."
    return json.dumps({"id": f"m{number}", "timestamp": "2025-01-01T10:00:00Z", "content": words, "type": "journal"})


@contextmanager
def running(root: Path) -> Iterator[Daemon]:
    """Run the daemon, at rest after its first look."""
    command = [sys.executable, "-m", "metahuman_daemon.cli", "run", "--config", str(root / "config.toml")]
    with (root / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    daemon = Daemon(process, root)
    try:
        daemon.until(lambda status: status.daemon is not None and status.daemon.state == "waiting", 0.2)
        yield daemon
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
