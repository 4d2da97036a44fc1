"""A registry that somebody edited into nonsense, each field in turn: one clear line, and nothing is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_root import PROFILE, MadeUpRoot, make_up_root

import metahuman_daemon.retention  # noqa: F401 - loaded once, and not in each fork
from metahuman_core.registry import Registry, Version

VERSION, LAST = 2, 6
ELSEWHERE = ("/etc/passwd", "../../../../etc", f"profiles/{PROFILE}", "a\0b", 17, "x" * 5000)
HASHES = ("abc", "G" * 64, ["a"])
COUNTS = (-1, "many", 1.5)
FLAGS = ("perhaps", 2)

NONSENSE: dict[str, tuple[Any, ...]] = {
    "version": (0, -3, "two", 1.5, 1, 3, [], {}),
    "run_label": ("", "..", "../..", "/etc", "2031-02-03", "2031-99-99-999999-00000f", 5, [], "\0"),
    "timestamp": ("", "yesterday", "2031-02-30T00:00:00Z", "2031-02-03", 5, {}),
    "output_model_path": ELSEWHERE,
    "gguf_path": ELSEWHERE,
    "adapter_path": ELSEWHERE,
    "base_model_used": (3, [], "a\0b"),
    "anchor_model": (3, {}, "a\0b"),
    "anchor_revision": (3, {}, "a\0b"),
    "run_id": (3, []),
    "samples_trained": COUNTS,
    "mode_filter": (3, []),
    "training_success": FLAGS,
    "parent_version": (2, 5, 99, -1, 0, "one", [], 0.5),
    "outcome": ("live", "dead", "rejected", None, 3, []),
    "reasons": ("because", 3, {"a": 1}, [[]]),
    "first_reasons": ("because", 3, {"a": 1}, [[]]),
    "storage": ("cold", None, 3, []),
    "publication": ("soon", 3, []),
    "pinned": FLAGS,
    "held": FLAGS,
    "consolidated": FLAGS,
    "erased": (*FLAGS, True),
    "in_archive": FLAGS,
    "ollama_name": ("ines:latest", "../ines", 3, [], "a b"),
    "ollama_blob": HASHES,
    "ollama_server": (3, [], "a\0b"),
    "dataset_sha256": HASHES,
    "adapter_sha256": HASHES,
    "model_sha256": HASHES,
    "gguf_sha256": HASHES,
    "adapter_bytes": COUNTS,
    "model_bytes": COUNTS,
    "gguf_bytes": COUNTS,
    "quantization": ("Q9", 3, []),
    "memories_trained": COUNTS,
    "memories_replayed": COUNTS,
    "model_sha256_first": HASHES,
    "gguf_sha256_first": HASHES,
    "anchor_revision_first": (3, {}, "a\0b"),
    "promoted_at": ("yesterday", 3, []),
    "metrics": (3, [], {"a": "b"}, {"a": None}),
    "recall": (3, [], {"a": "b"}, {"a": None}),
}
OF_ALL: dict[str, tuple[Any, ...]] = {
    "training_history": (3, {}, "none", [3], [{}], None),
    "original_base_model": (3, [], "a\0b"),
    "current_base_model": ("/etc", "../../etc", f"profiles/{PROFILE}/memory", 3, [], "a\0b"),
    "failed_runs": (3, [3], [{}]),
    "output_formats": (3, [], {"a": 1}),
    "versioning": (3, [], {"keep_all_versions": "perhaps"}, {"enabled": []}),
    "notes": (3, {}),
    "comment": (3, []),
    "model_type": (3, []),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> MadeUpRoot:
    """Six versions, three of which retention would take something from. Shared: each test mends what it edits."""
    return make_up_root(tmp_path_factory.mktemp("nonsense") / "root", LAST)


@pytest.fixture
def edited(root: MadeUpRoot) -> Iterator[Callable[[Callable[[dict[str, Any]], None]], None]]:
    """Edit the registry as a person would, with an editor."""
    good = root.registry_path.read_bytes()

    def edit(change: Callable[[dict[str, Any]], None]) -> None:
        content = json.loads(good)
        change(content)
        root.registry_path.write_text(json.dumps(content), encoding="utf-8")

    yield edit
    root.registry_path.write_bytes(good)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its inode and the time of its last change, but for locks."""
    found = ((path, path.lstat()) for path in folder.rglob("*") if path.suffix != ".lock" and path.is_file())
    return {str(path): (stat.st_ino, stat.st_mtime_ns) for path, stat in found}


def refused(root: MadeUpRoot) -> str:
    """`metahuman prune` refuses in one line and a hint, and touches nothing. Gives the line."""
    before = tree(root.folder)
    said = root.forked("prune")
    assert tree(root.folder) == before, said.err
    assert said.code == 1, said.err
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 2, said.err
    assert lines[0].startswith("metahuman: the registry "), said.err
    assert len(lines[0]) < 400
    return lines[0]


@pytest.mark.parametrize("field", NONSENSE)
def test_a_versions_field_that_is_nonsense_stops_everything(
    root: MadeUpRoot, edited: Callable[..., None], field: str
) -> None:
    for value in NONSENSE[field]:
        edited(lambda content, value=value: content["training_history"][VERSION - 1].update({field: value}))
        assert refused(root)


@pytest.mark.parametrize("field", OF_ALL)
def test_the_registrys_own_fields_too(root: MadeUpRoot, edited: Callable[..., None], field: str) -> None:
    for value in OF_ALL[field]:
        edited(lambda content, value=value: content.update({field: value}))
        assert refused(root)


def test_every_field_has_its_turn() -> None:
    assert set(Version.model_fields) == set(NONSENSE)
    assert set(Registry.model_fields) == set(OF_ALL)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", '"registry"', "\0", "[" * 100_000, '{"a": "\\ud800"}'])
def test_what_is_no_registry_at_all(root: MadeUpRoot, edited: Callable[..., None], text: str) -> None:
    edited(lambda _: None)
    root.registry_path.write_text(text, encoding="utf-8")
    if text == '{"a": "\\ud800"}':
        assert root.forked("prune").code in (0, 1)
    else:
        assert "cannot be" in refused(root)


def test_versions_in_a_circle_and_two_that_are_live(root: MadeUpRoot, edited: Callable[..., None]) -> None:
    def circle(content: dict[str, Any]) -> None:
        content["training_history"][0]["parent_version"] = 3

    edited(circle)
    assert "version 1: its parent, version 3, is newer than it" in refused(root)

    def both(content: dict[str, Any]) -> None:
        content["training_history"][3]["outcome"] = "live"

    edited(both)
    assert "versions 4 and 6 are both live" in refused(root)


def test_several_faults_are_counted(root: MadeUpRoot, edited: Callable[..., None]) -> None:
    def spoil(content: dict[str, Any]) -> None:
        for version in content["training_history"][:3]:
            version["model_bytes"] = -1

    edited(spoil)
    doctor = root.forked("doctor")
    assert doctor.code == 1
    assert "its registry contradicts itself: version 1: model_bytes is below nothing: -1 (and 2 more)" in doctor.out
    assert refused(root).endswith("version 1: model_bytes is below nothing: -1 (and 2 more)")


def test_an_entry_of_the_original_beside_ours_is_no_nonsense(root: MadeUpRoot, edited: Callable[..., None]) -> None:
    at = f"profiles/{PROFILE}/out/fine-tuned-models/2030-12-03/2030-12-03-174854-6a800c"

    def add(content: dict[str, Any]) -> None:
        for version in content["training_history"]:
            version["version"] += 1
            version["parent_version"] = version["parent_version"] and version["parent_version"] + 1
        theirs = {
            "version": 1, "run_id": "6a800c5bdad71a33", "run_label": "2030-12-03-174854-6a800c",
            "timestamp": "2030-12-03T18:12:46.777Z", "base_model_used": "base", "output_model_path": f"{at}/model",
            "gguf_path": f"{at}/model.gguf", "samples_trained": 320, "mode_filter": "dual", "training_success": True,
        }  # fmt: skip
        content["training_history"].insert(0, theirs)

    edited(add)
    said = root.forked("prune", "--dry-run")
    assert said.code == 0, said.err
    assert len(said.out.splitlines()) == LAST + 3
