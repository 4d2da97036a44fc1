"""Writes a run's report. A step of the cycle, done once: what it shows of other versions is how they were then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from metahuman_core.durable import sha256_file, write_text
from metahuman_core.journal import RunFile
from metahuman_core.registering import Made
from metahuman_core.registry import Registry
from metahuman_core.report import REPORT
from metahuman_core.report.facts import gather
from metahuman_core.report.page import page


@dataclass(frozen=True, slots=True)
class Reported:
    """SHA-256 of `report.html`."""

    sha256: str


def write_report(run_dir: Path, file: RunFile, made: Made, registry: Registry | None) -> Reported:
    """Write `report.html` (mode 0600) of a run that was evaluated and checked; `registry` does not know it yet."""
    write_text(run_dir / REPORT, page(gather(run_dir, file, made, registry or Registry())))
    return Reported(sha256_file(run_dir / REPORT))
