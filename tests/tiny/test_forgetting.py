"""Forgotten for good: the next run is a consolidation from the anchor, and of the text no byte is left in the root."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metahuman_core.durable import sha256_file
from metahuman_core.plan import read_memories

if TYPE_CHECKING:
    from conftest import Root

MARKER = "Marram"
"""A word of the first memories: the boat's name."""


@pytest.fixture(scope="module")
def forgotten(grow: Callable[[Path], Root], tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Two versions, a memory of the first one forgotten, and the version after that. Shared: change nothing."""
    root = grow(tmp_path_factory.mktemp("forgotten") / "root")
    root.config.write_text(root.config.read_text(encoding="utf-8") + "\n[forget]\nerase_versions = true\n", "utf-8")
    root.make_version()
    assert where_it_stands(root) > memory_files(root)
    said = root.metahuman("forget", "--yes", MARKER)
    assert said.code == 0, said.err
    assert "versions 1, 2 still know what is erased" in said.err
    ahead = root.fine_tune("--dry-run")
    assert "would be a consolidation, on all that counts: version 2 knows what was erased" in ahead.out
    root.make_version()
    return root


def where_it_stands(root: Root) -> set[str]:
    """The files of the root that hold the word."""
    files = (path for path in root.folder.rglob("*") if path.is_file() and MARKER.encode() in path.read_bytes())
    return {path.relative_to(root.folder).as_posix() for path in files}


def memory_files(root: Root) -> set[str]:
    """Those of them that are the user's own."""
    return {name for name in where_it_stands(root) if name.startswith("profiles/ines/memory/")}


def test_the_next_version_was_trained_from_the_anchor_on_all_else(forgotten: Root) -> None:
    *_, two, three = forgotten.registry().training_history
    assert (three.version, three.outcome, three.parent_version, three.consolidated) == (3, "live", 2, True)
    assert (three.anchor_model, three.base_model_used) == ("base", two.output_model_path)
    assert (three.memories_trained, three.memories_replayed) == (0, 11)
    run_dir = forgotten.run_dir(three)
    plan = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))["inputs"]
    assert (plan["warm_start"], plan["compared_with"]) == (None, two.adapter_path)
    new, replay = read_memories(run_dir)
    assert (new, any(MARKER in memory.whole_text for memory in replay)) == ((), False)


def test_it_was_measured_against_the_version_before_and_on_all_old_memories(forgotten: Root) -> None:
    three = forgotten.registry().training_history[-1]
    measured = json.loads((forgotten.run_dir(three) / "evaluation.json").read_text(encoding="utf-8"))
    old = [answer for answer in measured["answers"] if answer["set"] == "old"]
    assert {answer["memory"] for answer in old} <= {
        memory.digest for memory in read_memories(forgotten.run_dir(three))[1]
    }
    assert old
    assert not any(answer["before"]["answer"] for answer in measured["answers"])
    assert any(answer["after"]["answer"] for answer in old)


def test_no_byte_of_it_is_left_and_all_is_as_the_registry_says(forgotten: Root) -> None:
    assert where_it_stands(forgotten) == memory_files(forgotten) != set()
    one, two, three = forgotten.registry().training_history
    assert (one.storage, one.erased, two.storage, two.erased) == ("removed", True, "removed", True)
    assert [path.name for path in forgotten.run_dir(three).parents[1].glob("*/*")] == [three.run_label]
    assert sha256_file(forgotten.run_dir(three) / "model.gguf") == three.gguf_sha256
    verified = forgotten.metahuman("verify")
    assert verified.code == 0, verified.out


def test_nothing_is_due_then_though_the_file_is_still_there(forgotten: Root) -> None:
    finished = forgotten.fine_tune()
    assert finished.code == 0
    assert "nothing new to train" in finished.err


def test_the_version_after_goes_on_in_its_adapter(forgotten: Root, tmp_path: Path) -> None:
    three = forgotten.registry().training_history[-1]
    later = replace(forgotten, folder=tmp_path / "root")
    shutil.copytree(forgotten.folder, later.folder)
    later.remember(("My cousin Inga grows saffron in a glasshouse near Loule.",), "2031-04-05")
    ahead = later.fine_tune("--dry-run")
    assert "would train 1 new and " in ahead.out
    assert "a consolidation" not in ahead.out
    assert f"base: {three.output_model_path}, on anchor base" in ahead.out
