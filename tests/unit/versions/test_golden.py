"""What becomes of each version, case by case: `golden/*.txt` are read by people, and the planner is held to them.

Above the line a case says what there is, below it what is decided. `python tests/unit/versions/test_golden.py` writes
what the planner says now below the lines: read the difference before it is committed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.footprint import File, Files
from metahuman_core.versions.protected import protections
from metahuman_core.versions.retention.candidates import candidate
from metahuman_core.versions.retention.planning import plan_retention
from metahuman_core.versions.retention.policy import Policy, Rules

CASES = sorted(Path(__file__).with_name("golden").glob("*.txt"))
LINE = "-" * 40
SIZES = {"model": 100, "gguf": 50, "adapter": 1}
HELD = {
    "full": ("model", "gguf", "adapter"),
    "serving": ("gguf", "adapter"),
    "archived": ("adapter",),
    "archive": (),
    "removed": (),
}


class Case:
    """One case's upper half."""

    def __init__(self, text: str) -> None:
        self.given: dict[str, str] = {}
        self.rows: list[list[str]] = []
        for line in text.splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            if line[0].isdigit():
                self.rows.append(line.split(maxsplit=5))
            else:
                name, value = line.split(maxsplit=1)
                self.given[name] = value

    def policy(self) -> Policy:
        """`full last=1 daily=2`, `serving …`, `archived …`, `limit 500`."""
        rules = {
            state: Rules(**{f"keep_{word.split('=')[0]}": int(word.split("=")[1]) for word in words.split()})
            for state, words in self.given.items()
            if state in {"full", "serving", "archived"}
        }
        return Policy(**rules, max_total_bytes=int(self.given.get("limit", 0)))

    def registry(self) -> Registry:
        """The versions; what is live is the next base, if nothing else is said."""
        versions = tuple(self._version(row) for row in self.rows)
        base = next((v.output_model_path for v in versions if v.outcome == "live"), "Some/Base")
        if "base" in self.given:
            base = f"m/{self.given['base']}"
        keeps = {"keep_all_versions": self.given.get("keep_all_versions", "true") == "true"}
        return Registry.model_validate({"training_history": versions, "current_base_model": base, "versioning": keeps})

    def _version(self, row: list[str]) -> Version:
        number, made, storage, outcome, parent, *more = row
        words = dict(word.partition("=")[::2] for word in (more[0].split() if more else ()))
        return Version(
            version=int(number),
            timestamp="" if made == "-" else made,
            output_model_path=f"m/{number}",
            anchor_model=f"m/{words['on']}" if "on" in words else "Some/Base",
            storage=storage,
            outcome=None if outcome == "-" else outcome,
            parent_version=None if parent == "-" else int(parent),
            training_success=outcome != "rejected",
            pinned="pinned" in words,
            held="held" in words,
        )

    def files(self, row: list[str]) -> Files:
        """100 for model/, 50 for the GGUF, 1 for the adapter; none for a phantom, `linked`: another name elsewhere."""
        number, storage, words = int(row[0]), row[2], (row[5].split() if len(row) > 5 else [])
        if "phantom" in words:
            return {}
        links = 2 if "linked" in words else 1
        held = HELD["archive" if "away" in words else storage]
        return {
            part: (File(1, number * 10 + place, links if part == "model" else 1, SIZES[part]),)
            for place, part in enumerate(held)
        }

    def decided(self) -> str:
        """The lower half, as the planner says it."""
        registry = self.registry()
        kept = protections(registry)
        zone = ZoneInfo(self.given.get("zone", "UTC"))
        now = datetime.fromisoformat(self.given["now"]).replace(tzinfo=zone)

        def facts(version: Version, row: list[str]) -> Any:
            lost = "its adapter is gone" if len(row) > 5 and "lost" in row[5].split() else ""
            archives = "archive_dir" in self.given
            found = candidate(version, registry, kept.get(version.version, ()), self.files(row), archives=archives)
            return replace(found, not_rebuildable=lost)

        found = [facts(version, row) for version, row in zip(registry.training_history, self.rows, strict=True)]
        try:
            plan = plan_retention(
                found, self.policy(), now, zone, keep_all_versions=registry.versioning.keep_all_versions
            )
        except MetahumanError as error:
            return f"{error}\n"
        lines = [
            f"{v.version:<4}{v.before if v.before == v.after else f'{v.before} → {v.after}':<20}"
            f"{f'frees {v.frees_bytes}' if v.parts else '':<11}{'; '.join(v.reasons)}"
            for v in plan.verdicts
        ]
        over = f", {plan.over_bytes} over" if plan.over_bytes else ""
        return "\n".join([*lines, f"{plan.before_bytes} → {plan.after_bytes}{over}"]) + "\n"


def halves(path: Path) -> tuple[str, str]:
    """What there is, and what is decided."""
    above, _, below = path.read_text(encoding="utf-8").partition(f"{LINE}\n")
    return above, below


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_is_decided_as_written(path: Path) -> None:
    above, below = halves(path)
    assert Case(above).decided() == below


def test_there_are_cases() -> None:
    assert len(CASES) >= 30


if __name__ == "__main__":
    for case in CASES:
        upper, _ = halves(case)
        case.write_text(f"{upper}{LINE}\n{Case(upper).decided()}", encoding="utf-8")
