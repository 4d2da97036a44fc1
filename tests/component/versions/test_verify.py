"""verify: what is missing, foreign, half or damaged is found, on all three sides, and a clean root is called clean."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from double import OllamaDouble
from made_up_root import MadeUpRoot

from metahuman_core.durable import sha256_tree
from metahuman_core.journal import NAME, Journal
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.ollama.publish import move_alias
from metahuman_core.progress import Progress
from metahuman_core.versions.archive import archive_folder, put_away
from metahuman_core.versions.pruning import tombstone
from metahuman_core.versions.pruning.tombstone import Tombstone
from metahuman_core.versions.verifying.checking import CheckedVersions, check_versions
from metahuman_core.versions.verifying.inventory import Reading
from metahuman_daemon.publishing import publish_one

NOW = datetime(2031, 5, 4, tzinfo=UTC)
BIG = "model.safetensors"


@pytest.fixture
def root(made_up: Callable[..., MadeUpRoot]) -> MadeUpRoot:
    """Three whole versions."""
    made = made_up(3)
    made.set("ollama", "enabled = false")
    return made


def check(
    root: MadeUpRoot, *, quick: bool = False, report: Callable[[Progress], None] = lambda _: None
) -> CheckedVersions:
    return check_versions(root.settings, "ines", report, lambda: NOW, quick=quick)


def faults(root: MadeUpRoot, *, quick: bool = False) -> list[tuple[str, str]]:
    return [(f.kind, f.which) for f in check(root, quick=quick).findings if f.fault]


def notes(root: MadeUpRoot) -> list[tuple[str, str]]:
    checked = check(root)
    assert checked.clean
    return [(f.kind, f.which) for f in checked.findings]


# --- the disk -------------------------------------------------------------------------------------------------------


def test_a_whole_root_is_clean_and_every_byte_of_it_was_read(root: MadeUpRoot) -> None:
    told: list[Progress] = []
    checked = check(root, report=told.append)
    assert (checked.findings, checked.versions) == ((), 3)
    parts = sum(v.adapter_bytes + v.model_bytes + v.gguf_bytes for v in root.registry.training_history)
    assert checked.read_bytes > 0.9 * parts
    assert told[-1].done == checked.read_bytes


def test_nothing_is_changed_by_it(root: MadeUpRoot) -> None:
    (root.parts(1).model / BIG).write_bytes(b"other")
    before = root.files()
    check(root)
    assert root.files() == before


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    ("storage", "gone"),
    [
        ("full", "model"),
        ("full", "model.gguf"),
        ("serving", "model.gguf"),
        ("full", "adapter"),
        ("archived", "adapter"),
        ("archived", "memories.jsonl"),
        ("removed", "dataset.jsonl"),
        ("full", "run.json"),
    ],
)
def test_what_should_be_there_and_is_not_is_missing(root: MadeUpRoot, storage: str, gone: str, quick: bool) -> None:
    keep_as(root, 1, storage)
    assert faults(root, quick=quick) == []
    path = root.parts(1).run_dir / gone
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert faults(root, quick=quick) == [("missing", "version 1")]


@pytest.mark.parametrize(
    "file",
    ["model/model.safetensors", "model/config.json", "model.gguf", "adapter/adapter_model.safetensors"],
)
def test_a_byte_that_has_flipped_is_damage_and_quick_does_not_see_it(root: MadeUpRoot, file: str) -> None:
    path = root.parts(2).run_dir / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert faults(root) == [("damaged", "version 2")]
    assert faults(root, quick=True) == []


@pytest.mark.parametrize("file", ["model/model.safetensors", "model.gguf", "adapter/adapter_model.safetensors"])
def test_a_file_that_is_cut_off_is_seen_by_its_size(root: MadeUpRoot, file: str) -> None:
    path = root.parts(2).run_dir / file
    path.write_bytes(path.read_bytes()[:-1])
    assert faults(root, quick=True) == faults(root) == [("damaged", "version 2")]


@pytest.mark.parametrize("file", ["dataset.jsonl", "memories.jsonl", "run.json", "adapter/adapter_config.json"])
def test_a_text_that_was_changed_is_damage(root: MadeUpRoot, file: str) -> None:
    (root.parts(2).run_dir / file).write_text("{", encoding="utf-8")
    assert faults(root) == [("damaged", "version 2")]


def test_a_model_card_is_no_damage(root: MadeUpRoot) -> None:
    for folder in (root.parts(1).model, root.parts(1).adapter):
        (folder / "README.md").write_text("# Version 1\n", encoding="utf-8")
    assert faults(root) == faults(root, quick=True) == []


def test_a_model_that_an_archived_version_still_has_is_foreign(root: MadeUpRoot) -> None:
    root.edit(1, storage="archived")
    assert faults(root) == [("foreign", "version 1")] * 2
    root.edit(1, storage="serving")
    assert faults(root) == [("foreign", "version 1")]


def test_while_somebody_is_at_work_it_may_be_their_doing(root: MadeUpRoot) -> None:
    root.edit(1, storage="serving")
    with cycle_lock(cycle_lock_path(root.folder), "rebuild of profile ines"):
        assert notes(root) == [("foreign", "version 1")]
    assert faults(root) == [("foreign", "version 1")]


def test_what_is_being_cleared_away_is_no_fault(published: tuple[MadeUpRoot, OllamaDouble]) -> None:
    root, _ = published
    run_dir = root.parts(2).run_dir
    tombstone.put(run_dir, Tombstone(version=2, before="full", after="archived", parts=("model", "gguf")))
    root.edit(2, storage="archived")
    (root.parts(2).model).rename(run_dir / "model.partial")
    assert notes(root) == [
        ("half", "version 2"),
        ("half", f"run {run_dir.name}"),
        ("half", "version 2"),
    ]
    tombstone.take_away(run_dir)
    assert faults(root) == [("foreign", "version 2")]


def test_the_adapter_of_a_removed_version_is_foreign(root: MadeUpRoot) -> None:
    keep_as(root, 1, "archived")
    root.edit(1, storage="removed")
    assert faults(root) == [("foreign", "version 1")]


def test_what_came_out_otherwise_and_is_kept_apart_is_said(root: MadeUpRoot) -> None:
    (root.parts(1).run_dir / "model.differs.gguf").write_bytes(b"other")
    assert notes(root) == [("half", f"run {root.version(1).run_label}")]


def test_a_base_that_is_not_here_is_said_of_the_versions_that_need_it(root: MadeUpRoot) -> None:
    keep_as(root, 1, "archived")
    keep_as(root, 2, "serving")
    (root.folder / "base").rename(root.folder / "away")
    checked = check(root)
    assert checked.clean
    assert [(f.which, f.what) for f in checked.findings] == [
        (f"version {number}", "it cannot be rebuilt here: its base base is not on this machine") for number in (1, 2)
    ]
    assert check(root, quick=True).findings == ()


def test_an_adapter_in_the_cold_storage_is_hashed_there(root: MadeUpRoot, tmp_path: Path) -> None:
    root.set("retention", f'archive_dir = "{tmp_path / "cold"}"')
    archive = archive_folder(root.settings)
    assert archive is not None
    archive.mkdir()
    copy = put_away(root.version(1), root.paths, archive)
    root.edit(1, in_archive=True)
    assert faults(root) == []
    keep_as(root, 1, "archived")
    shutil.rmtree(root.parts(1).adapter)
    assert faults(root) == []
    (copy / "adapter_model.safetensors").write_bytes(b"rotten")
    assert faults(root) == [("damaged", "version 1")]
    shutil.rmtree(copy)
    assert faults(root) == [("missing", "version 1")]
    root.set("retention", 'archive_dir = ""')
    assert faults(root) == [("missing", "version 1")]


def test_a_run_that_ended_and_is_in_no_registry_is_foreign(root: MadeUpRoot) -> None:
    label = root.version(3).run_label
    run_dir = root.parts(3).run_dir
    stranger = run_dir.with_name(f"{label[:-6]}ffffff")
    shutil.copytree(run_dir, stranger)
    assert faults(root) == [("foreign", f"run {stranger.name}")]


def test_what_lies_among_the_runs_and_is_none_is_said_and_is_no_fault(root: MadeUpRoot) -> None:
    run_dir = root.parts(2).run_dir
    shutil.copytree(run_dir, run_dir.with_name(f"{run_dir.name}-copy"))
    (root.paths.runs / "hello").mkdir()
    named = [(kind, Path(which).name) for kind, which in notes(root)]
    assert named == [("foreign", f"{run_dir.name}-copy"), ("foreign", "hello")]


def test_what_is_half_made_or_unfinished_is_said_and_is_no_fault(root: MadeUpRoot) -> None:
    run_dir = root.parts(3).run_dir
    (run_dir / "model.partial").mkdir()
    unfinished = run_dir.with_name("2031-02-05-040506-ffffff")
    unfinished.mkdir()
    journal = Journal.open(run_dir, lambda: NOW)
    text = journal.file.model_copy(update={"ended": ""}).model_dump_json()
    (unfinished / NAME).write_text(text, encoding="utf-8")
    (run_dir.with_name("2031-02-05-040506-eeeeee")).mkdir()
    root.edit(3, publication="due")
    assert notes(root) == [
        ("half", f"run {root.version(3).run_label}"),
        ("foreign", "run 2031-02-05-040506-eeeeee"),
        ("half", "run 2031-02-05-040506-ffffff"),
        ("half", "version 3"),
    ]


def test_a_phantom_of_the_originals_is_missing_and_import_is_named(root: MadeUpRoot) -> None:
    phantom = {"version": 1, "run_label": "2025-12-03-174854-6a800c", "training_success": True}
    root.registry_path.write_text(json.dumps({"training_history": [phantom]}), encoding="utf-8")
    shutil.rmtree(root.paths.runs)
    findings = [finding for finding in check(root).findings if finding.fault]
    assert {(f.kind, f.which) for f in findings} == {("missing", "version 1")}
    assert all("metahuman import" in finding.way_out for finding in findings)


def test_a_failure_of_the_originals_claims_nothing(root: MadeUpRoot) -> None:
    failed = {"version": 1, "run_label": root.version(1).run_label, "training_success": False}
    root.registry_path.write_text(json.dumps({"training_history": [failed]}), encoding="utf-8")
    for number in (2, 3):
        shutil.rmtree(root.paths.runs / f"2031-02-0{number + 2}")
    assert faults(root) == []
    shutil.rmtree(root.paths.runs)
    assert faults(root) == []


def test_a_registry_that_contradicts_itself_is_a_fault(root: MadeUpRoot) -> None:
    root.edit(2, parent_version=7)
    assert ("registry", "the registry") in faults(root)


def test_only_what_two_looks_find_is_a_fault(root: MadeUpRoot) -> None:
    """A prune goes on while the first look hashes: the entry is changed, then the files go."""
    shutil.rmtree(root.parts(1).model)

    def meanwhile(_: Progress) -> None:
        root.edit(1, storage="serving")

    checked = check(root, report=meanwhile)
    assert checked.clean


def test_what_was_hashed_is_not_read_twice(root: MadeUpRoot) -> None:
    shutil.rmtree(root.parts(1).model)
    read = check(root).read_bytes
    reading = Reading(lambda _: None, quick=False)
    for _ in range(2):
        reading.tree(root.parts(2).model, root.folder)
    assert reading.read_bytes == root.version(2).model_bytes
    assert read < sum(v.model_bytes + v.gguf_bytes + v.adapter_bytes for v in root.registry.training_history)
    (root.parts(2).model / BIG).write_bytes(b"other")
    assert reading.tree(root.parts(2).model, root.folder).sha256 == sha256_tree(root.parts(2).model)


# --- Ollama ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def published(root: MadeUpRoot, tmp_path: Path) -> Any:
    """The root with versions 2 and 3 in Ollama, and the double that has them."""
    with OllamaDouble("0.33.0-rc2", tmp_path / "models") as ollama:
        root.set("ollama", "enabled = true")
        root.set("ollama", f'host = "{ollama.url}"')
        for number in (2, 3):
            publish_one(root.settings, "ines", root.version(number), lambda _: None, lambda _: None)
        yield root, ollama


def test_what_was_published_is_there(published: tuple[MadeUpRoot, OllamaDouble]) -> None:
    root, _ = published
    checked = check(root)
    assert (checked.findings, checked.ollama) == ((), "asked")


def test_a_tag_that_somebody_deleted_is_missing_and_one_that_nobody_knows_foreign(
    published: tuple[MadeUpRoot, OllamaDouble],
) -> None:
    root, ollama = published
    with OllamaClient(ollama.url) as client:
        client.copy("ines:v2", "ines:v9")
        client.copy("ines:v2", "somebody:v9")
        client.delete("ines:v2")
    assert faults(root) == [("missing", "version 2"), ("foreign", "ines:v9")]


def test_an_alias_that_points_elsewhere_is_a_fault(published: tuple[MadeUpRoot, OllamaDouble]) -> None:
    root, ollama = published
    with OllamaClient(ollama.url) as client:
        move_alias(client, "ines", 2)
    assert faults(root) == [("missing", "version 3")]
    with OllamaClient(ollama.url) as client:
        client.delete("ines:latest")
    assert faults(root) == [("missing", "version 3")]


@pytest.mark.parametrize("version", ["0.33.0-rc2", "0.24.0"])
def test_what_the_server_wrote_anew_is_no_other_model(root: MadeUpRoot, tmp_path: Path, version: str) -> None:
    root.unsort_gguf(3)
    with OllamaDouble(version, tmp_path / "models") as ollama:
        root.set("ollama", "enabled = true")
        root.set("ollama", f'host = "{ollama.url}"')
        publish_one(root.settings, "ines", root.version(3), lambda _: None, lambda _: None)
        assert check(root).findings == ()


def test_another_model_under_a_versions_tag_is_damage_and_publishing_mends_it(
    published: tuple[MadeUpRoot, OllamaDouble],
) -> None:
    root, ollama = published
    with OllamaClient(ollama.url) as client:
        client.copy("ines:v3", "ines:v2")
    assert faults(root) == [("damaged", "version 2")]
    publish_one(root.settings, "ines", root.version(2), lambda _: None, lambda _: None)
    assert check(root).findings == ()


def test_what_is_in_ollama_and_was_not_published_is_said(published: tuple[MadeUpRoot, OllamaDouble]) -> None:
    root, _ = published
    root.edit(2, publication="off")
    assert notes(root) == [("foreign", "version 2")]


def test_a_server_that_is_down_is_said_and_is_no_fault(published: tuple[MadeUpRoot, OllamaDouble]) -> None:
    root, ollama = published
    ollama.stop()
    checked = check(root)
    assert checked.clean
    assert checked.ollama.startswith("not asked: ")


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_says_it_in_a_line_and_by_its_exit_status(root: MadeUpRoot) -> None:
    clean = root.metahuman("verify", "--quick")
    assert (clean.code, clean.out) == (0, "")
    assert "clean: 3 versions, sizes compared in " in clean.err
    (root.parts(2).model / BIG).write_bytes(b"other")
    found = root.metahuman("verify", "--json")
    assert found.code == 1
    (finding,) = found.json["findings"]
    assert (found.json["clean"], finding["kind"], finding["which"]) == (False, "damaged", "version 2")
    assert "metahuman rebuild 2 --to full" in finding["way_out"]


def keep_as(root: MadeUpRoot, number: int, storage: str) -> None:
    """Bring a version into a storage, files and entry."""
    parts = root.parts(number)
    if storage != "full":
        shutil.rmtree(parts.model)
    if storage in {"archived", "removed"}:
        parts.gguf.unlink()
    if storage == "removed":
        shutil.rmtree(parts.adapter)
    root.edit(number, storage=storage)
