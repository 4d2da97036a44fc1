"""What every benchmark shares: the facts of the machine, peak memory, a cold page cache, and how a result is told.

Invariant: the last line of stdout is one JSON object, `{"bench", "machine", "ours", "peer", "floor", "ratio", "goal",
"met"}`; all numbers carry their unit in their name (`_s`, `_mib`), and `met` follows from them alone.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_MIB = 1 << 20
_DROP = Path("/proc/sys/vm/drop_caches")
_DROP_ALL = "3\n"  # pages, and the names and inodes that a walk asks for


@dataclass(frozen=True, slots=True)
class Machine:
    """Where something was measured. `file_system` is that of the folder that was worked in."""

    cpu: str
    cores: int
    ram_mib: int
    file_system: str
    python: str
    kernel: str


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark measured, numbers by name.

    `ours` is our program, `peer` the one it is held against, `floor` what cannot be undercut, `ratio` ours to one of
    them. `goal` gives the most that a number of `ratio` or `ours` may be, under the same name.
    """

    bench: str
    machine: Machine
    ours: Mapping[str, float]
    peer: Mapping[str, float] = field(default_factory=dict)
    floor: Mapping[str, float] = field(default_factory=dict)
    ratio: Mapping[str, float] = field(default_factory=dict)
    goal: Mapping[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether every goal was reached; a goal whose number is missing was not."""
        measured = {**self.ours, **self.ratio}
        return all(measured.get(name, float("inf")) <= most for name, most in self.goal.items())


def machine(folder: Path) -> Machine:
    """The facts of this machine, for work in `folder`."""
    return Machine(
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        ram_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MIB,
        file_system=_file_system(folder.resolve()),
        python=platform.python_version(),
        kernel=platform.release(),
    )


def peak_rss_mib() -> float:
    """The most memory that this process has held at a time."""
    # Not getrusage: its ru_maxrss outlives exec, so that a child starts with what its parent had when it forked.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def drop_page_cache() -> str:
    """Make all files cold. Gives the reason where that may not be done ("" where it was)."""
    os.sync()  # dirty pages are not dropped
    try:
        _DROP.write_text(_DROP_ALL, encoding="ascii")
    except OSError as error:
        return f"the page cache cannot be dropped here: {error.strerror}"
    return ""


def in_child(script: Path, *arguments: str) -> dict[str, float]:
    """Run a benchmark's script in a process of its own. Gives the JSON object that is its last line."""
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for people: the first column to the left, the others (numbers) to the right."""
    widths = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def tell(result: Result) -> None:
    """Print the machine, the goals for people, and the whole as the last line."""
    facts = result.machine
    print(
        f"\n{facts.cpu}, {facts.cores} cores, {facts.ram_mib} MiB, {facts.file_system}, "
        f"Python {facts.python}, Linux {facts.kernel}"
    )
    measured = {**result.ours, **result.ratio}
    for name, most in result.goal.items():
        value = f"{measured[name]:.3g}" if name in measured else "not measured"
        print(f"{name}: {value} (goal: at most {most:g})")
    print("met" if result.met else "NOT met")
    print(json.dumps(_as_json(result)), flush=True)


def _as_json(result: Result) -> dict[str, Any]:
    told: dict[str, Any] = {"bench": result.bench, "machine": asdict(result.machine)}
    for part in ("ours", "peer", "floor", "ratio", "goal"):
        told[part] = {name: round(value, 6) for name, value in getattr(result, part).items()}
    return {**told, "met": result.met}


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the innermost mount that holds `folder`."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, at, type_, *_ = line.split(" ")
        at = at.encode().decode("unicode_escape")  # a space is written as \040
        if folder.is_relative_to(at) and len(at) >= len(best):
            best, kind = at, type_
    return kind
