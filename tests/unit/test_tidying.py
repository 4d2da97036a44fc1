"""Only what nobody makes any more is cleared away."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.plan import Plan
from metahuman_core.settings import Settings
from metahuman_core.tidying import tidy

Clock = Callable[[], datetime]
LABEL = "2025-03-01-120000-000001"
RUN = f"profiles/anna/out/fine-tuned-models/2025-03-01/{LABEL}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


@pytest.fixture
def run_dir(settings: Settings, plan: Callable[..., Plan], now: Clock) -> Path:
    """A run that was begun."""
    folder = ProfilePaths(settings.root, "anna").run_dir(LABEL)
    folder.mkdir(parents=True)
    Journal.begin(folder, plan(), now)
    return folder


def half_made(path: Path, now: Clock, hours_old: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half", encoding="utf-8")
    os.utime(path, (now().timestamp() - hours_old * 3600,) * 2)
    return path


def test_where_nothing_is_there_is_nothing_to_tidy(settings: Settings, now: Clock) -> None:
    assert tidy(settings, "anna", now) == []
    assert list(settings.root.iterdir()) == []


def test_what_is_half_made_in_a_run_that_has_ended_goes(settings: Settings, run_dir: Path, now: Clock) -> None:
    Journal.open(run_dir, now).end("registered")
    half_made(run_dir / "model.gguf.partial", now, 0)
    half_made(run_dir / "model.partial" / "config.json", now, 0)
    (run_dir / "model.gguf").write_text("whole", encoding="utf-8")
    assert tidy(settings, "anna", now) == [f"{RUN}/model.gguf.partial", f"{RUN}/model.partial"]
    assert sorted(path.name for path in run_dir.iterdir()) == ["model.gguf", "run.json"]
    assert tidy(settings, "anna", now) == []


def test_a_run_that_is_unfinished_is_not_touched(settings: Settings, run_dir: Path, now: Clock) -> None:
    half = half_made(run_dir / "model.partial" / "config.json", now, 500)
    assert tidy(settings, "anna", now) == []
    assert half.exists()


def test_a_run_whose_journal_is_broken_is_for_a_person_to_look_at(
    settings: Settings, run_dir: Path, now: Clock
) -> None:
    (run_dir / "run.json").write_text("{", encoding="utf-8")
    half = half_made(run_dir / "model.gguf.partial", now, 500)
    assert tidy(settings, "anna", now) == []
    assert half.exists()


def test_the_originals_runs_have_no_journal_and_stay_as_they_are(settings: Settings, now: Clock) -> None:
    theirs = ProfilePaths(settings.root, "anna").run_dir("2025-12-03-174854-6a800c")
    half = half_made(theirs / "model.partial" / "config.json", now, 500)
    assert tidy(settings, "anna", now) == []
    assert half.exists()


def test_runs_that_were_never_begun_go_with_the_days_that_hold_nothing_else(settings: Settings, now: Clock) -> None:
    paths = ProfilePaths(settings.root, "anna")
    paths.run_dir(LABEL).mkdir(parents=True)
    (paths.run_dir(LABEL) / "memories.jsonl").write_text("", encoding="utf-8")
    (paths.runs / "2025-02-28").mkdir()
    (paths.runs / "note.txt").write_text("mine", encoding="utf-8")
    assert tidy(settings, "anna", now) == [RUN]
    assert [path.name for path in paths.runs.iterdir()] == ["note.txt"]


@pytest.mark.parametrize(
    "place",
    [
        "etc/model-registry.json.partial",
        "profiles/anna/state/agenda.json.partial",
        "profiles/anna/state/study/abc.json.partial",
    ],
)
def test_elsewhere_only_what_is_old_is_surely_nobodys(settings: Settings, now: Clock, place: str) -> None:
    """The daemon writes its status, and another command the registry, without the cycle's lock."""
    half = half_made(settings.root / place, now, 0.5)
    assert tidy(settings, "anna", now) == []
    assert half.exists()
    half_made(half, now, 1.5)
    assert tidy(settings, "anna", now) == [place]
    assert not half.exists()


def test_nothing_else_is_touched(settings: Settings, run_dir: Path, now: Clock) -> None:
    Journal.open(run_dir, now).end("rejected")
    kept = [
        half_made(settings.root / place, now, 500)
        for place in (
            "profiles/anna/memory/a.partial",
            "profiles/anna/state/ledger.sqlite3",
            "profiles/ben/state/agenda.json.partial",
            f"{RUN}/partial",
            f"{RUN}/adapter/adapter_model.safetensors.partial",
        )
    ]
    assert tidy(settings, "anna", now) == []
    assert all(path.exists() for path in kept)
