"""At most one run of a profile is unfinished; nobody else's folder is ever swept away."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.errors import ConfigError, MetahumanError
from metahuman_core.journal import NAME, Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.looking import sources
from metahuman_core.plan import Plan
from metahuman_core.registry import Registry, Version, update_registry
from metahuman_core.settings import ProfileSettings, Settings, StudySettings, TrainingSettings
from metahuman_core.unfinished import (
    discard_left_behind,
    discard_unfinished,
    is_same_command,
    refuse_other,
    sweep,
    unfinished_run,
    why_replaced,
)
from metahuman_core.wish import Wish, command_sha256

Clock = Callable[[], datetime]
LABEL = "2025-03-01-120000-000001"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def run_folder(settings: Settings, label: str = LABEL) -> Path:
    folder = ProfilePaths(settings.root, "anna").run_dir(label)
    folder.mkdir(parents=True)
    return folder


def enter(settings: Settings, label: str) -> None:
    """Enter a version of that label in the registry."""
    version = Version(version=1, run_label=label)
    update_registry(settings.registry_path("anna"), lambda _: Registry(training_history=(version,)))


def test_a_run_is_unfinished_until_its_end(settings: Settings, plan: Callable[..., Plan], now: Clock) -> None:
    assert unfinished_run(settings, "anna", now) is None
    journal = Journal.begin(run_folder(settings), plan(), now)
    found = unfinished_run(settings, "anna", now)
    assert found is not None
    assert found.run_dir == journal.run_dir
    assert unfinished_run(settings, "ben", now) is None
    journal.end("registered")
    assert unfinished_run(settings, "anna", now) is None


def test_the_same_command_goes_on_and_another_is_refused(
    settings: Settings, plan: Callable[..., Plan], now: Clock
) -> None:
    wish = Wish("anna", mode="dual")
    journal = Journal.begin(run_folder(settings), replace(plan(), command_sha256=command_sha256(settings, wish)), now)
    refuse_other(settings, wish, journal)
    assert is_same_command(settings, wish, journal)
    others = [
        (settings, Wish("anna")),
        (settings, Wish("anna", mode="dual", max_memories=3)),
        (settings, Wish("anna", mode="dual", base_model="Other/Base")),
        (settings.model_copy(update={"training": TrainingSettings(rank=8)}), wish),
        (settings.model_copy(update={"study": StudySettings(ollama_model="qwen3:8b")}), wish),
    ]
    for other_settings, other_wish in others:
        with pytest.raises(MetahumanError, match="unfinished") as refused:
            refuse_other(other_settings, other_wish, journal)
        assert "--discard" in refused.value.hint


def test_one_that_failed_makes_way_for_other_settings_and_one_that_did_not_goes_on(
    settings: Settings, plan: Callable[..., Plan], now: Clock
) -> None:
    wish = Wish("anna")
    journal = Journal.begin(run_folder(settings), replace(plan(), command_sha256=command_sha256(settings, wish)), now)
    other = settings.model_copy(update={"training": TrainingSettings(rank=8)})
    assert why_replaced(settings, wish, journal, failed=True) == ""
    assert why_replaced(other, wish, journal, failed=False) == ""
    assert why_replaced(other, wish, journal, failed=True) == "failed with other settings"


def test_a_run_of_another_version_of_the_program_makes_way_and_a_person_is_asked(
    settings: Settings, plan: Callable[..., Plan], now: Clock
) -> None:
    journal = Journal.begin(run_folder(settings), plan(), now)
    raw = json.loads((journal.run_dir / NAME).read_text(encoding="utf-8"))
    raw["inputs"]["dataset"]["replay_samples"] = 2
    (journal.run_dir / NAME).write_text(json.dumps(raw), encoding="utf-8")
    other = Journal.open(journal.run_dir, now)
    assert "another version of this program" in why_replaced(settings, Wish("anna"), other, failed=False)
    with pytest.raises(MetahumanError, match="replay_samples") as refused:
        refuse_other(settings, Wish("anna"), other)
    assert "--discard" in refused.value.hint


def test_what_was_killed_before_its_journal_is_swept_away(settings: Settings) -> None:
    begun = run_folder(settings)
    for name in ("memories.jsonl", "questions.jsonl", "questions.jsonl.partial", "run.json.partial"):
        (begun / name).write_text("", encoding="utf-8")
    empty = run_folder(settings, "2025-03-02-120000-000002")
    sweep(settings, "anna")
    assert not begun.exists()
    assert not empty.exists()


def test_the_originals_runs_have_no_journal_and_stay(settings: Settings, now: Clock) -> None:
    theirs = run_folder(settings, "2025-12-03-174854-6a800c")
    (theirs / "model").mkdir()
    (theirs / "memories.jsonl").write_text("", encoding="utf-8")
    sweep(settings, "anna")
    assert unfinished_run(settings, "anna", now) is None
    assert discard_unfinished(settings, "anna", now) == []
    assert (theirs / "model").is_dir()


def test_looking_removes_nothing(settings: Settings, now: Clock) -> None:
    """Another process may just have made the folder, and not written its journal yet."""
    folder = run_folder(settings)
    assert unfinished_run(settings, "anna", now) is None
    assert folder.is_dir()


def test_an_unfinished_run_is_thrown_away_when_asked(settings: Settings, plan: Callable[..., Plan], now: Clock) -> None:
    folder = run_folder(settings)
    Journal.begin(folder, plan(), now)
    assert discard_unfinished(settings, "anna", now) == [LABEL]
    assert not folder.exists()


def test_a_broken_journal_is_said_and_can_be_thrown_away(settings: Settings, now: Clock) -> None:
    folder = run_folder(settings)
    (folder / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(MetahumanError, match="cannot be read") as refused:
        unfinished_run(settings, "anna", now)
    assert "--discard" in refused.value.hint
    assert discard_unfinished(settings, "anna", now) == [LABEL]
    assert unfinished_run(settings, "anna", now) is None


@pytest.mark.parametrize("journal", ["unfinished", "ended", "broken"])
def test_a_registered_versions_folder_is_never_thrown_away(
    settings: Settings, plan: Callable[..., Plan], now: Clock, journal: str
) -> None:
    folder = run_folder(settings)
    begun = Journal.begin(folder, plan(), now)
    if journal == "ended":
        begun.end("registered")
    if journal == "broken":
        (folder / "run.json").write_text("{", encoding="utf-8")
    enter(settings, LABEL)
    assert discard_unfinished(settings, "anna", now) == []
    assert folder.is_dir()
    assert unfinished_run(settings, "anna", now) is None


def test_a_profile_without_a_folder_of_memories_is_a_config_error(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="has no memories"):
        sources(settings, "anna")


def test_memories_come_from_all_folders_that_are_named(settings: Settings) -> None:
    for folder in ("profiles/anna/memory", "profiles/anna/persona/therapy", "vault"):
        (settings.root / folder).mkdir(parents=True)
    named = settings.model_copy(update={"profiles": {"anna": ProfileSettings(memories=("vault",))}})
    assert [label for label, _ in sources(settings, "anna")] == ["memory", "persona/therapy"]
    assert [label for label, _ in sources(named, "anna")] == ["memory", "persona/therapy", "vault"]
    absent = settings.model_copy(update={"profiles": {"anna": ProfileSettings(memories=("absent",))}})
    with pytest.raises(ConfigError, match="absent"):
        sources(absent, "anna")


def test_a_plan_in_a_journal_of_another_kind_is_a_clear_error(settings: Settings, now: Clock) -> None:
    folder = run_folder(settings)
    unknown: dict[str, Any] = {"run_label": LABEL, "inputs": {"profile": "anna"}}
    (folder / "run.json").write_text(json.dumps(unknown), encoding="utf-8")
    journal = unfinished_run(settings, "anna", now)
    assert journal is not None
    with pytest.raises(MetahumanError, match="cannot be understood"):
        refuse_other(settings, Wish("anna"), journal)


@pytest.mark.parametrize(
    ("parent", "asked_for", "stays"), [(2, False, False), (2, True, True), (1, False, True), (None, False, True)]
)
def test_a_run_whose_parent_was_rolled_back_does_not_go_on(
    settings: Settings, plan: Callable[..., Plan], now: Clock, parent: int | None, asked_for: bool, stays: bool
) -> None:
    versions = (
        Version(version=1, run_label="2025-02-01-120000-000001", outcome="live"),
        Version(version=2, run_label="2025-02-02-120000-000002", outcome="rolled_back", parent_version=1),
    )
    update_registry(settings.registry_path("anna"), lambda _: Registry(training_history=versions))
    run_dir = run_folder(settings)
    Journal.begin(run_dir, plan(parent_version=parent, from_rolled_back=asked_for), now)
    assert discard_left_behind(settings, "anna", now) == ([] if stays else [LABEL])
    assert run_dir.exists() == stays


def test_a_run_that_nobody_can_read_is_left_for_a_person(settings: Settings, now: Clock) -> None:
    (run_folder(settings) / "run.json").write_text("{", encoding="utf-8")
    assert discard_left_behind(settings, "anna", now) == []
    with pytest.raises(MetahumanError, match="cannot be read"):
        unfinished_run(settings, "anna", now)


def test_a_run_that_was_killed_behind_its_entry_is_left_to_the_same_command(
    settings: Settings, plan: Callable[..., Plan], now: Clock
) -> None:
    registered = Version(version=1, run_label=LABEL, outcome="live")
    update_registry(settings.registry_path("anna"), lambda _: Registry(training_history=(registered,)))
    Journal.begin(run_folder(settings), plan(), now)
    assert discard_left_behind(settings, "anna", now) == []
    unfinished = unfinished_run(settings, "anna", now)
    assert unfinished is not None
    assert unfinished.run_dir.name == LABEL
