"""diff: what one line learned and the other did not, which settings and measures differ, and never a memory's text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.journal import NAME, Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.memories.model import Memory
from metahuman_core.memories.read import Limits
from metahuman_core.plan import MEMORIES, Plan, memory_lines
from metahuman_core.registry import Registry, Version, update_registry
from metahuman_core.settings import Settings, TrainingSettings
from metahuman_core.versions.differing import Difference
from metahuman_daemon.differences import between, lines_of

SECRET = "nobody may read this"
NOW = datetime(2025, 3, 9, tzinfo=UTC)


class House:
    """Versions that were registered, with their runs' folders; 1 ← 2 ← 3, and 4 beside 2."""

    def __init__(self, root: Path, entry: Callable[..., Version], plan: Callable[..., Plan]) -> None:
        self.settings = Settings(root=root)
        self.paths = ProfilePaths(root, "anna")
        self._entry, self._plan = entry, plan
        (root / "profiles" / "anna" / "memory").mkdir(parents=True)

    def version(
        self, number: int, learned: tuple[Memory, ...], replayed: tuple[Memory, ...] = (), **fields: Any
    ) -> None:
        plan_fields = fields.pop("plan", {})
        version = self._entry(number, **fields)
        run_dir = self.paths.run_dir(version.run_label)
        run_dir.mkdir(parents=True)
        (run_dir / MEMORIES).write_text(memory_lines(learned, replayed), encoding="utf-8")
        Journal.begin(run_dir, self._plan(**plan_fields), lambda: NOW)
        update_registry(self.registry, lambda registry: registry.with_version(version), Registry())

    @property
    def registry(self) -> Path:
        return self.settings.registry_path("anna")

    def run_dir(self, number: int) -> Path:
        return self.paths.run_dir(self._entry(number).run_label)

    def diff(self, before: int, after: int) -> Difference:
        return between(self.settings, "anna", before, after)


@pytest.fixture
def memories(note: Callable[..., Memory]) -> list[Memory]:
    return [note(f"{SECRET} {day}", day=day, kind="journal" if day % 2 else "observation") for day in range(1, 7)]


@pytest.fixture
def house(tmp_path: Path, entry: Callable[..., Version], plan: Callable[..., Plan], memories: list[Memory]) -> House:
    made = House(tmp_path, entry, plan)
    one, two, three, four, five, _ = memories
    made.version(1, (one, two), metrics={"final_loss": 1.5, "gone": 1.0}, storage="archived", adapter_bytes=10)
    made.version(
        2,
        (three,),
        (one,),
        plan={"training": TrainingSettings(epochs=9), "system": "You are another.", "stale": (two.digest,)},
        metrics={"final_loss": 1.25},
        storage="full",
        adapter_bytes=10,
    )
    made.version(3, (four,), (three,), plan={"stale": (two.digest,)})
    made.version(4, (five,), parent_version=1)
    return made


def digests(told: Any) -> list[str]:
    return [one.digest for one in told]


def test_what_the_line_learned_counts_and_not_what_it_replayed(house: House, memories: list[Memory]) -> None:
    found = house.diff(1, 3)
    assert found.relation == "version 3 continues version 1, by way of 2"
    assert digests(found.added) == [memories[2].digest, memories[3].digest]
    assert [(one.kind, one.day) for one in found.added] == [("journal", "2025-03-03"), ("observation", "2025-03-04")]
    assert found.removed == ()
    assert digests(found.superseded) == [memories[1].digest]
    backwards = house.diff(3, 1)
    assert (backwards.added, backwards.removed) == ((), found.added)
    assert backwards.relation == found.relation


def test_branches_differ_in_both_directions(house: House, memories: list[Memory]) -> None:
    found = house.diff(2, 4)
    assert found.relation == "versions 2 and 4 are branches: they part at version 1"
    assert (digests(found.added), digests(found.removed)) == ([memories[4].digest], [memories[2].digest])


def test_settings_measures_and_state_stand_side_by_side(house: House) -> None:
    found = house.diff(1, 2)
    assert found.settings is not None
    changed = {change.name: (change.before, change.after) for change in found.settings}
    assert changed["training.epochs"] == (5, 9)
    assert set(changed) == {"training.epochs", "system"}
    measures = {change.name: (change.before, change.after) for change in found.measures}
    assert measures["final_loss"] == (1.5, 1.25)
    assert measures["gone"] == (1.0, None)
    state = {change.name: (change.before, change.after) for change in found.state}
    assert state["storage"] == ("archived", "full")
    assert "adapter_bytes" not in state
    assert house.diff(2, 2).settings == ()


def test_no_text_of_a_memory_or_of_the_system_prompt_is_told(house: House) -> None:
    for pair in ((1, 3), (2, 4), (1, 2)):
        found = house.diff(*pair)
        told = "\n".join(lines_of(found)) + repr(found)
        assert SECRET not in told
        assert "You are" not in told
    assert "system                    changed" in "\n".join(lines_of(house.diff(1, 2)))


def test_the_ledger_names_the_file_and_what_is_superseded_now(house: House, memories: list[Memory]) -> None:
    file = house.paths.memory / "walk.json"
    with Ledger(house.paths.ledger) as ledger:
        for memory in (memories[2], memories[3]):
            file.write_text(json.dumps({"content": memory.text, "type": memory.kind}), encoding="utf-8")
            ledger.scan([("memory", house.paths.memory)], Limits())
    found = house.diff(1, 3)
    assert [(one.source, one.superseded) for one in found.added] == [
        ("memory/walk.json", True),
        ("memory/walk.json", False),
    ]
    lines = list(lines_of(found))
    assert "  + 2025-03-03  journal  memory/walk.json, superseded" in lines
    assert f"  - 2025-03-03  journal  {memories[2].digest[:12]}, superseded" in list(
        lines_of(replace_sources(house.diff(2, 4)))
    )


def replace_sources(found: Difference) -> Difference:
    """As it is without a ledger."""
    return replace(found, removed=tuple(replace(one, source="") for one in found.removed))


def test_many_memories_are_counted_by_kind_and_some_are_named(house: House, note: Callable[..., Memory]) -> None:
    house.version(5, tuple(note(f"{SECRET} {n}", kind="dream") for n in range(100, 150)), parent_version=1)
    lines = list(lines_of(house.diff(1, 5)))
    assert "memories that only version 5 learned: 50 (50 dream)" in lines
    assert "  + and 30 more: --json has all" in lines
    assert len([line for line in lines if line.startswith("  + 2025")]) == 20


def test_a_version_without_a_journal_shows_what_is_known(house: House, entry: Callable[..., Version]) -> None:
    update_registry(house.registry, lambda registry: registry.with_version(entry(6, parent_version=None)))
    found = house.diff(1, 6)
    assert (found.settings, found.without_journal, found.unknown) == (None, (6,), (6,))
    assert len(found.removed) == 2
    lines = list(lines_of(found))
    assert "memories: what version 6 added is not known" in lines
    assert "settings: not known, for want of the journal of version 6" in lines
    assert "versions 1 and 6 have no version in common" in lines


def test_what_is_not_there_or_cannot_be_read_is_a_clear_error(house: House) -> None:
    with pytest.raises(MetahumanError, match="there is no version 9"):
        house.diff(1, 9)
    (house.run_dir(2) / MEMORIES).write_text("[]\n", encoding="utf-8")
    with pytest.raises(MetahumanError, match=r"memories\.jsonl cannot be understood"):
        house.diff(1, 2)
    (house.run_dir(1) / NAME).write_text("{", encoding="utf-8")
    assert house.diff(1, 1).settings is None
