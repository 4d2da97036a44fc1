"""A run's folder holds all that its steps need: plan and memories come back as they were written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.journal import Journal
from metahuman_core.layout import new_run_label, relative_to_root, root_of_run
from metahuman_core.memories.model import Memory
from metahuman_core.plan import Plan, memory_lines, read_memories, read_plan, write_memories
from metahuman_core.settings import DatasetSettings, TrainingSettings

Note = Callable[..., Memory]


def test_a_plan_comes_back_from_the_journal(
    tmp_path: Path, plan: Callable[..., Plan], now: Callable[[], datetime]
) -> None:
    asked = plan(
        warm_start="profiles/anna/out/x/adapter",
        parent_version=3,
        ancestry=("run-3", "run-1"),
        stale=("abc",),
        system='Say "gr\u00fc\u00df dich".\n',
        dataset=DatasetSettings(weights={"dream": 0.5}, seed=7),
        training=TrainingSettings(learning_rate=1.1e-4),
    )
    Journal.begin(tmp_path, asked, now)
    assert read_plan(Journal.open(tmp_path, now).file.inputs) == asked


def test_a_plan_that_is_none_is_a_clear_error() -> None:
    with pytest.raises(MetahumanError, match="profile") as refused:
        read_plan({})
    assert "--discard" in refused.value.hint


def test_memories_come_back_as_they_were_said(tmp_path: Path, note: Note) -> None:
    talk = note("Where is the key?", "Under the pot.\nAs ever.\u2028", day=None, kind="conversation", mode="dual")
    page = note("# not a heading\ngr\u00fcn \U0001f33f", title="Garden")
    old = note("The tide was low.")
    write_memories(tmp_path, memory_lines([talk, page], [old]))
    new, replay = read_memories(tmp_path)
    assert len(replay) == 1
    for before, after in zip((talk, page, old), (*new, *replay), strict=True):
        assert after.digest == before.digest
        for name in ("kind", "mode", "happened_at", "turns", "text", "title"):
            assert getattr(after, name) == getattr(before, name)


def test_the_same_memories_give_the_same_text(note: Note) -> None:
    first, other = note("The tide was low."), note("The tide was low.", source="elsewhere.md")
    assert memory_lines([first], []) == memory_lines([other], [])
    assert memory_lines([first], []) != memory_lines([], [first])


def test_a_run_without_memories_is_empty(tmp_path: Path) -> None:
    write_memories(tmp_path, memory_lines([], []))
    assert read_memories(tmp_path) == ((), ())


def test_a_runs_folder_knows_its_root(tmp_path: Path, now: Callable[[], datetime]) -> None:
    label = new_run_label(now())
    assert label.startswith("2025-03-01-120000-")
    run_dir = tmp_path / "profiles" / "anna" / "out" / "fine-tuned-models" / label[:10] / label
    assert root_of_run(run_dir) == tmp_path
    assert relative_to_root(run_dir / "model", tmp_path).startswith("profiles/anna/out/")
    assert relative_to_root(Path("/models/mine"), tmp_path) == "/models/mine"
