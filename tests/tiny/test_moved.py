"""A root that was moved works as it is: nothing that was written names the place where it lay."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from huggingface_hub import ModelCard

from metahuman_core.errors import MetahumanError
from metahuman_core.hub import local_folder
from metahuman_core.plan import read_plan
from metahuman_core.registering import register_failure
from metahuman_core.versions.verifying.checking import check_versions
from metahuman_daemon.clock import now

sys.path.insert(0, str(Path(__file__).parents[1] / "ollama"))  # the tests are no package

from double import OllamaDouble

if TYPE_CHECKING:
    from conftest import Root

OURS = ("profiles/ines/out", "profiles/ines/state", "etc", "state", "cache")


def naming(root: Path, path: Path) -> list[str]:
    """The files of ours below `root` that hold `path`."""
    word = str(path).encode()
    files = (file for folder in OURS for file in (root / folder).rglob("*") if file.is_file())
    return [file.relative_to(root).as_posix() for file in files if word in file.read_bytes()]


def plan_of(root: Root) -> Path:
    return root.run_dir(root.registry().training_history[0]) / "run.json"


@pytest.fixture
def moved(trained: Callable[[str], Root], tmp_path: Path) -> Root:
    """A copy of the trained root that was used where it lay, and then moved."""
    first = type(trained("llama"))(tmp_path / "first")
    shutil.copytree(trained("llama").folder, first.folder)
    first.metahuman("status")
    second = type(first)(tmp_path / "second" / "place")
    second.folder.parent.mkdir()
    shutil.move(first.folder, second.folder)
    return second


def test_no_file_of_a_trained_root_names_its_place(trained: Callable[[str], Root]) -> None:
    root = trained("llama")
    assert naming(root.folder, root.folder) == []


def test_the_cards_are_there_and_say_what_the_registry_says(trained: Callable[[str], Root]) -> None:
    root = trained("llama")
    (version,) = root.registry().training_history
    for folder, relation in ((version.adapter_path, "adapter"), (version.output_model_path, "finetune")):
        card = ModelCard.load(root.folder / folder / "README.md")
        assert (card.data.base_model, card.data["base_model_relation"]) == ("base", relation)
        assert version.gguf_sha256 in card.text
        assert "Ines" not in card.content
    assert check_versions(root.settings(), "ines", lambda _: None, now).clean


def test_a_failure_is_entered_without_the_roots_path(grown: Root) -> None:
    plan = read_plan(json.loads(plan_of(grown).read_text(encoding="utf-8"))["inputs"])
    reason = f"{grown.folder}/base/config.json ends too early"
    register_failure(plan, "2031-05-04-030201-abcdef", "train", reason, grown.folder, now())
    assert grown.registry().failed_runs[0].reason == "base/config.json ends too early"
    assert naming(grown.folder, grown.folder) == []


def test_a_moved_root_is_clean_talks_and_is_published(moved: Root, tmp_path: Path) -> None:
    assert check_versions(moved.settings(), "ines", lambda _: None, now).findings == ()
    assert naming(moved.folder, tmp_path) == []
    assert "version 1" in moved.metahuman("status").out
    talked = moved.metahuman("chat", "--ask", "Where were you born?", "--max-tokens", "4", "--temperature", "0")
    assert talked.code == 0, talked.err
    with OllamaDouble("0.33.0-rc2", tmp_path / "models") as ollama:
        moved.set("ollama", f'host = "{ollama.url}"')
        moved.set("ollama", "enabled = true")
        published = moved.metahuman("publish")
    assert published.code == 0, published.err


@pytest.mark.slow
def test_a_moved_root_rebuilds_its_version_and_makes_the_next(moved: Root, tmp_path: Path) -> None:
    (version,) = moved.registry().training_history
    shutil.rmtree(moved.folder / version.output_model_path)
    (moved.folder / version.gguf_path).unlink()
    rebuilt = moved.metahuman("rebuild", "1", "--to", "full")
    assert rebuilt.code == 0, rebuilt.err
    checked = check_versions(moved.settings(), "ines", lambda _: None, now)
    assert checked.findings == ()
    moved.remember(
        ("I have a new dog, a grey terrier whose name is Pico.", "My aunt Zulmira sells figs."), "2031-03-04"
    )
    two = moved.make_version()
    assert (two.version, two.parent_version, two.outcome) == (2, 1, "live")
    assert naming(moved.folder, tmp_path) == []


def test_a_base_outside_of_the_root_is_missed_by_name_with_the_way_out(grown: Root, tmp_path: Path) -> None:
    """As on another machine: the lineage stands on a folder that is not there, and no Hub is asked for it."""
    outside = tmp_path / "models" / "x"
    plan = read_plan(json.loads(plan_of(grown).read_text(encoding="utf-8"))["inputs"])
    text = grown.registry().model_dump_json(exclude_unset=True)
    text = text.replace('"anchor_model":"base"', f'"anchor_model":"{outside}"')
    (grown.folder / "etc" / "model-registry.json").write_text(text, encoding="utf-8")
    done = grown.fine_tune()
    assert done.code == 1
    assert f"the base {outside} is not on this machine" in done.err
    assert "a link to it" in done.err
    assert len(grown.registry().training_history) == 1
    with pytest.raises(MetahumanError, match="is not on this machine"):
        local_folder(str(outside), plan.anchor_revision, grown.folder)
    outside.parent.mkdir()
    outside.symlink_to(grown.folder / "base")
    assert grown.fine_tune("--dry-run").code == 0


@pytest.mark.slow
def test_an_imported_version_talks_and_is_continued(
    new_root: Callable[[str], Root], trained: Callable[[str], Root]
) -> None:
    made = trained("llama")
    (version,) = made.registry().training_history
    entry = {
        "version": 1,
        "run_id": "6a800c5bdad71a33",
        "run_label": version.run_label,
        "timestamp": "2025-12-03T18:12:46.777Z",
        "base_model_used": "Some/Base-1B",
        "output_model_path": version.output_model_path,
        "gguf_path": version.gguf_path,
        "samples_trained": 320,
        "mode_filter": "dual",
        "training_success": True,
    }
    root = new_root("llama")
    for path in (version.output_model_path, version.gguf_path):
        (root.folder / path).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (made.folder / path).is_dir() else shutil.copyfile
        copy(made.folder / path, root.folder / path)
    content = {
        "original_base_model": "Some/Base-1B",
        "current_base_model": version.output_model_path,
        "model_type": "local",
        "training_history": [entry],
        "versioning": {"enabled": True, "auto_update_base": True, "keep_all_versions": True},
    }
    registry = root.folder / "etc" / "model-registry.json"
    registry.parent.mkdir()
    registry.write_text(json.dumps(content), encoding="utf-8")
    imported = root.metahuman("import", str(registry))
    assert imported.code == 0, imported.err
    talked = root.metahuman("chat", "--ask", "Where were you born?", "--max-tokens", "4", "--temperature", "0")
    assert talked.code == 0, talked.err
    two = root.make_version()
    assert (two.version, two.parent_version, two.outcome) == (2, 1, "live")
    assert two.anchor_model == two.base_model_used == version.output_model_path
    assert two.memories_trained == 8
    one = root.registry().training_history[0]
    assert (one.outcome, one.storage) == ("superseded", "full")
    assert root.metahuman("verify").code == 0
