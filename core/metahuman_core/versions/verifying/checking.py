"""`verify`: takes inventory, compares, and looks again before it says that something is wrong.

Invariant: nothing is repaired and no lock is taken; so a cycle may be at work meanwhile, and only what two looks in a
row find, in the same registry, is called a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from metahuman_core.progress import Report
from metahuman_core.settings import Settings
from metahuman_core.versions.sane import faults
from metahuman_core.versions.verifying.findings import Finding, compare
from metahuman_core.versions.verifying.inventory import Reading, take_inventory

_LOOKS = 5


@dataclass(frozen=True, slots=True)
class CheckedVersions:
    """What was found, and how much was looked at. `ollama` says whether the server was asked."""

    versions: int
    read_bytes: int
    ollama: str
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether there is no fault."""
        return not any(finding.fault for finding in self.findings)


def check_versions(
    settings: Settings, profile: str, report: Report, now: Callable[[], datetime], *, quick: bool = False
) -> CheckedVersions:
    """Check a profile's versions; `quick`: presence and sizes only. Raises MetahumanError for a broken registry."""
    reading = Reading(report, quick)
    found = take_inventory(settings, profile, reading, now)
    findings = compare(found, faults(found.registry))
    for _ in range(_LOOKS):
        if not any(finding.fault for finding in findings):
            break
        before, findings_before = found.registry, findings
        found = take_inventory(settings, profile, reading, now)
        findings = compare(found, faults(found.registry))
        if found.registry == before and findings == findings_before:
            break
    return CheckedVersions(len(found.registry.training_history), reading.read_bytes, found.ollama.told, findings)
