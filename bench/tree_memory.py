"""Runs a command and measures it: seconds, and the most memory that it and all that it starts hold at a time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 0.02
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall-clock seconds; peaks over the whole process tree, in MiB.

    `rss_mib` counts pages of files that are mapped, which the kernel takes back when it needs them; `anonymous_mib`
    counts only what has to be held.
    """

    seconds: float
    rss_mib: float
    anonymous_mib: float


def measure(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Measured:
    """Run `command` in `folder`, in our environment or this one.

    Raises CalledProcessError where it fails, after showing what it said.
    """
    began_s = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    rss_kib = anonymous_kib = 0
    while True:
        try:
            process.wait(_EVERY_S)
            break
        except subprocess.TimeoutExpired:
            held = [_held_kib(pid) for pid in _tree(process.pid)]
            rss_kib = max(rss_kib, sum(rss for rss, _ in held))
            anonymous_kib = max(anonymous_kib, sum(anonymous for _, anonymous in held))
    seconds = time.perf_counter() - began_s
    said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        print(said)
        raise subprocess.CalledProcessError(process.returncode, command)
    return Measured(seconds, rss_kib / _KIB, anonymous_kib / _KIB)


def _tree(pid: int) -> Iterator[int]:
    """A process and all below it, as the kernel lists them for each thread.

    psutil's `children(recursive=True)` looks at every process of the machine, 9 ms each time: of two cores in use, that
    is a fifth.
    """
    yield pid
    try:
        lists = [listed.read_text(encoding="ascii") for listed in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has just ended
        return
    for child in " ".join(lists).split():
        yield from _tree(int(child))


def _held_kib(pid: int) -> tuple[int, int]:
    """VmRSS and RssAnon of a process; nothing of one that has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0, 0
    values = {name: value for name, _, value in (line.partition(":") for line in status.splitlines())}
    return int(values.get("VmRSS", "0 kB").split()[0]), int(values.get("RssAnon", "0 kB").split()[0])
