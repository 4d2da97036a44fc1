"""Version 2 builds on version 1: what it trains, on what, and where its base is said to be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from safetensors.torch import load_file

from metahuman_core.durable import sha256_file
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.registry import Version
from metahuman_core.wish import Wish
from metahuman_daemon.fine_tune import look_ahead

if TYPE_CHECKING:
    from conftest import Root


@pytest.fixture(scope="module")
def second(
    trained: Callable[[str], Root], grow: Callable[[Path], Root], tmp_path_factory: pytest.TempPathFactory
) -> Root:
    """A root with versions 1 and 2, one adapter on the same anchor. Shared: look, and change nothing."""
    root = grow(tmp_path_factory.mktemp("second") / "root")
    root.make_version()
    return root


def of_role(root: Root, version: Version, file: str, role: str) -> set[str]:
    """The digests of the memories of that role in a version's file of lines."""
    lines = (root.run_dir(version) / file).read_text(encoding="utf-8").splitlines()
    return {row["memory"] for row in map(json.loads, lines) if row["role"] == role}


def test_version_2_continues_version_1_with_its_adapter_on_the_same_anchor(second: Root) -> None:
    one, two = second.registry().training_history
    assert (two.version, two.parent_version, two.outcome, one.outcome) == (2, 1, "live", "superseded")
    assert two.base_model_used == one.output_model_path
    assert second.registry().current_base_model == two.output_model_path
    assert (two.anchor_model, two.anchor_revision) == ("base", one.anchor_revision)
    assert two.adapter_sha256 != one.adapter_sha256
    assert json.loads((second.run_dir(two) / "run.json").read_text(encoding="utf-8"))["inputs"]["warm_start"] == (
        one.adapter_path
    )


def test_version_2_trains_no_memory_of_version_1_as_new_and_replays_some(second: Root) -> None:
    one, two = second.registry().training_history
    assert (two.memories_trained, two.memories_replayed) == (4, 2)
    for file in ("memories.jsonl", "dataset.jsonl"):
        first = of_role(second, one, file, "new")
        assert first
        assert not of_role(second, two, file, "new") & first
        assert of_role(second, two, file, "replay") < first


def test_it_was_measured_on_what_version_1_learned(second: Root) -> None:
    _, two = second.registry().training_history
    measured = json.loads((second.run_dir(two) / "evaluation.json").read_text(encoding="utf-8"))
    assert measured["old"]["prompts"] > 0
    assert measured["verdict"]["passed"] is True
    assert two.metrics["new_bits_per_byte_after"] < two.metrics["new_bits_per_byte_before"]


def test_nothing_is_due_then_and_the_command_says_so(second: Root) -> None:
    finished = second.fine_tune()
    assert finished.code == 0
    assert "nothing new to train" in finished.err
    assert len(second.registry().training_history) == 2


def test_naming_an_older_versions_model_branches_from_it(second: Root) -> None:
    one, two = second.registry().training_history
    ahead = look_ahead(second.settings(), Wish("ines", base_model=one.output_model_path)).choice
    assert ahead.start.parent is not None
    assert ahead.start.parent.version == 1
    assert (ahead.start.base_model, ahead.start.warm_start) == (one.output_model_path, one.adapter_path)
    assert ahead.ancestry == (one.run_label,)
    assert {memory.digest for memory in ahead.new} == of_role(second, two, "memories.jsonl", "new")


def test_naming_the_base_itself_starts_a_new_lineage_with_every_memory_due(second: Root) -> None:
    ahead = look_ahead(second.settings(), Wish("ines", base_model="base")).choice
    assert (ahead.start.parent, ahead.start.warm_start, ahead.ancestry) == (None, None, ())
    assert (len(ahead.new), len(ahead.replay)) == (12, 0)


def test_a_changed_rank_makes_the_parents_model_the_new_anchor_and_says_so(grown: Root) -> None:
    (one,) = grown.registry().training_history
    grown.set("training", "rank = 4")
    finished = grown.fine_tune("--dry-run")
    assert finished.code == 0
    assert "rank or alpha changed: version 1's merged model becomes the new anchor" in finished.out
    start = look_ahead(grown.settings(), Wish("ines")).choice.start
    assert (start.base_model, start.anchor, start.warm_start) == (one.output_model_path, one.output_model_path, None)
    assert start.parent == one


def test_a_chain_that_reanchors_every_time_trains_on_the_parents_merged_model(chained: Root) -> None:
    one, two = chained.registry().training_history
    assert two.parent_version == 1
    assert two.base_model_used == two.anchor_model == one.output_model_path
    config = json.loads((chained.folder / two.adapter_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == one.output_model_path
    before = load_file(chained.folder / one.output_model_path / "model.safetensors")
    after = load_file(chained.folder / two.output_model_path / "model.safetensors")
    same = {name for name in before if before[name].equal(after[name])}
    assert same == {name for name in before if not name.endswith("_proj.weight")}


@pytest.mark.slow
def test_a_rollback_rebuilds_what_is_archived_and_the_next_run_starts_from_there(second: Root, tmp_path: Path) -> None:
    root = type(second)(tmp_path / "back")
    shutil.copytree(second.folder, root.folder)
    one, two = root.registry().training_history
    shutil.rmtree(root.run_dir(one) / "model")
    (root.run_dir(one) / "model.gguf").unlink()
    said = root.metahuman("rollback")
    assert said.code == 0
    assert "the GGUF is made again" in said.err
    assert "4 memories are held until `metahuman resume`" in said.err
    assert [version.outcome for version in root.registry().training_history] == ["live", "rolled_back"]
    assert sha256_file(root.run_dir(one) / "model.gguf") == one.gguf_sha256
    assert root.registry().current_base_model == one.output_model_path

    idle = root.fine_tune()
    assert (idle.code, "nothing new to train" in idle.err, "4 held" in idle.err) == (0, True, True)
    assert "4 memories are due again" in root.metahuman("resume").err
    ahead = look_ahead(root.settings(), Wish("ines")).choice
    assert ahead.start.parent is not None
    assert (ahead.start.parent.version, ahead.start.warm_start) == (1, one.adapter_path)
    assert {memory.digest for memory in ahead.new} == of_role(second, two, "memories.jsonl", "new")


@pytest.mark.slow
def test_a_branch_is_trained_on_the_version_that_it_names(second: Root, tmp_path: Path) -> None:
    branching = type(second)(tmp_path / "branch")
    shutil.copytree(second.folder, branching.folder)
    one, two = branching.registry().training_history
    three = branching.make_version("--base-model", one.output_model_path)
    assert (three.version, three.parent_version, three.base_model_used) == (3, 1, one.output_model_path)
    assert of_role(branching, three, "memories.jsonl", "new") == of_role(branching, two, "memories.jsonl", "new")


@pytest.mark.slow
def test_a_version_of_another_rank_is_trained_on_the_parents_model(grown: Root) -> None:
    (one,) = grown.registry().training_history
    grown.set("training", "rank = 4")
    two = grown.make_version()
    assert (two.parent_version, two.anchor_model) == (1, one.output_model_path)


def test_a_second_fine_tune_while_one_runs_is_told_so_with_exit_status_75(root: Root) -> None:
    with cycle_lock(cycle_lock_path(root.folder), "another run"):
        finished = root.fine_tune("--base-model", "base")
    assert finished.code == 75
    assert "a cycle is running (another run, pid " in finished.err
    assert not (root.folder / "profiles" / "ines" / "out").exists()


def test_every_second_version_is_merged_and_the_next_one_goes_on_in_an_adapter_on_that(
    chained: Root, tmp_path: Path
) -> None:
    root = replace(chained, folder=tmp_path / "root")
    shutil.copytree(chained.folder, root.folder)
    root.remember(("My cousin Inga grows saffron in a glasshouse near Loule.",), "2031-04-05")
    config = root.config.read_text(encoding="utf-8")
    root.config.write_text(config.replace("reanchor_every = 1", "reanchor_every = 2"), encoding="utf-8")
    one, two = root.registry().training_history
    start = look_ahead(root.settings(), Wish("ines")).choice.start
    assert (start.anchor, start.warm_start, start.parent) == (one.output_model_path, two.adapter_path, two)


def test_a_consolidation_of_a_chain_is_measured_against_the_model_of_the_version_before(
    chained: Root, tmp_path: Path
) -> None:
    """Its anchor is the first one's base, on which the parent's adapter means nothing."""
    root = replace(chained, folder=tmp_path / "root")
    shutil.copytree(chained.folder, root.folder)
    shutil.rmtree(root.run_dir(root.registry().training_history[-1]) / "model")
    root.set("training", "consolidate_every = 2")
    root.remember(("My cousin Inga grows saffron in a glasshouse near Loule.",), "2031-04-05")
    ahead = root.fine_tune("--dry-run")
    assert "version 2: model/ is made again" in ahead.out, ahead.out
    root.make_version()
    *_, two, three = root.registry().training_history
    assert (three.consolidated, three.anchor_model, two.anchor_model) == (True, "base", chained_on(two, root))
    said = said_before(root, three)
    told = {(answer["memory"], answer["ask"]): answer["after"] for answer in answers(root, two)}
    assert said.keys() & told.keys()
    for key in said.keys() & told.keys():
        assert said[key]["bits_per_byte"] == pytest.approx(told[key]["bits_per_byte"], rel=0.05)


def chained_on(version: Version, root: Root) -> str:
    parent = root.registry().find(version.parent_version or 0)
    assert parent is not None
    return parent.output_model_path


def answers(root: Root, version: Version) -> list[Any]:
    measured = json.loads((root.run_dir(version) / "evaluation.json").read_text(encoding="utf-8"))
    return [answer for answer in measured["answers"] if answer["set"] in ("new", "old")]


def said_before(root: Root, version: Version) -> dict[tuple[str, str], Any]:
    return {(answer["memory"], answer["ask"]): answer["before"] for answer in answers(root, version)}
