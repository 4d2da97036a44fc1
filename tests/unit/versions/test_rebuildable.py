"""Whether a version can be had again, told by real files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.durable import remove
from metahuman_core.fingerprint import fingerprint
from metahuman_core.layout import ProfilePaths, hub_cache
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.parts import parts_of
from metahuman_core.versions.rebuildable import why_not_as_it_is, why_not_rebuildable

Entry = Callable[..., Version]
COMMIT = "c0ffee" + "0" * 34


class Shelf:
    """Versions of one profile with small files of their own."""

    def __init__(self, root: Path, entry: Entry) -> None:
        self.paths = ProfilePaths(root, "anna")
        self.archive = root / "archive"
        self._entry = entry
        self.versions: list[Version] = []

    def put(self, number: int, *, has_model: bool = True, **fields: Any) -> Version:
        """A version whose adapter is here, on a base of the Hub unless it says otherwise."""
        weights = f"adapter {number}".encode()
        own = {"adapter_sha256": hashlib.sha256(weights).hexdigest(), "model_sha256": "m", "gguf_sha256": "g"}
        version = self._entry(number, **{"anchor_revision": COMMIT, **own, **fields})
        parts = parts_of(version, self.paths)
        parts.adapter.mkdir(parents=True)
        (parts.adapter / "adapter_model.safetensors").write_bytes(weights)
        (parts.adapter / "adapter_config.json").write_text('{"r": 16, "lora_alpha": 32}', encoding="utf-8")
        if has_model:
            parts.model.mkdir()
            (parts.model / "config.json").write_text(f'{{"n": {number}}}', encoding="utf-8")
        self.versions.append(version)
        return version

    def fetch_base(self, *missing: str) -> Path:
        """A base of two shards in the Hub's cache."""
        folder = hub_cache(self.paths.root) / "models--Some--Base-1B" / "snapshots" / COMMIT
        folder.mkdir(parents=True)
        shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
        for name in {"config.json", *shards.values()} - set(missing):
            (folder / name).write_text("{}", encoding="utf-8")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}), encoding="utf-8")
        return folder

    def why(self, version: Version, archive: Path | None = None) -> str:
        registry = Registry(training_history=tuple(self.versions))
        return why_not_rebuildable(version, registry, self.paths, archive)


@pytest.fixture
def shelf(tmp_path: Path, entry: Entry) -> Shelf:
    return Shelf(tmp_path, entry)


def test_a_base_of_the_hub_that_is_here_whole(shelf: Shelf) -> None:
    shelf.fetch_base()
    assert shelf.why(shelf.put(1)) == ""


@pytest.mark.parametrize("missing", ["config.json", "model-2.safetensors"])
def test_a_base_of_the_hub_that_is_not_whole(shelf: Shelf, missing: str) -> None:
    shelf.fetch_base(missing)
    assert shelf.why(shelf.put(1)) == "its base Some/Base-1B is not on this machine"


def test_a_damaged_list_of_shards_is_no_base(shelf: Shelf) -> None:
    (shelf.fetch_base() / "model.safetensors.index.json").write_text("[]", encoding="utf-8")
    assert "is not on this machine" in shelf.why(shelf.put(1))


def test_a_base_without_a_list_of_shards(shelf: Shelf) -> None:
    (shelf.fetch_base() / "model.safetensors.index.json").unlink()
    assert shelf.why(shelf.put(1)) == ""


def test_a_name_that_is_neither_folder_nor_hub_id(shelf: Shelf) -> None:
    assert "../away is not on this machine" in shelf.why(shelf.put(1, anchor_model="../away"))
    assert shelf.why(shelf.put(2, anchor_model="")) == "its entry does not say on which base it stands"


def test_a_folder_with_the_recorded_fingerprint(shelf: Shelf) -> None:
    base = shelf.paths.root / "base"
    base.mkdir()
    (base / "config.json").write_text("{}", encoding="utf-8")
    version = shelf.put(1, anchor_model="base", anchor_revision=fingerprint(base))
    assert shelf.why(version) == ""
    (base / "config.json").write_text('{"another": 1}', encoding="utf-8")
    assert shelf.why(version) == "its base base is not the one that it was trained on"


def test_an_adapter_that_is_another_or_is_gone(shelf: Shelf) -> None:
    shelf.fetch_base()
    version = shelf.put(1)
    adapter = parts_of(version, shelf.paths).adapter
    (adapter / "adapter_model.safetensors").write_bytes(b"damaged")
    assert shelf.why(version) == f"its adapter is not the one that was trained ({adapter})"
    remove(adapter)
    assert shelf.why(version) == f"its adapter is not in {adapter}"


def test_an_adapter_in_the_archive(shelf: Shelf) -> None:
    shelf.fetch_base()
    version = shelf.put(1)
    away = shelf.archive / "anna" / version.run_label / "adapter"
    away.parent.mkdir(parents=True)
    parts_of(version, shelf.paths).adapter.rename(away)
    assert shelf.why(version, shelf.archive) == ""
    assert "its adapter is not in" in shelf.why(version)
    (away / "adapter_model.safetensors").write_bytes(b"damaged")
    assert "is not the one that was trained" in shelf.why(version, shelf.archive)


def test_without_a_recorded_hash_nothing_could_be_checked(shelf: Shelf) -> None:
    shelf.fetch_base()
    version = shelf.put(1, gguf_sha256="", model_sha256="")
    assert shelf.why(version) == "no hash is recorded of its model/, GGUF"


def test_a_chain_of_versions_down_to_a_base(shelf: Shelf) -> None:
    """However long it is, and none of their model/ is here."""
    base = shelf.fetch_base()
    below = shelf.put(1, has_model=False)
    for number in range(2, 30):
        below = shelf.put(number, has_model=False, anchor_model=below.output_model_path)
    assert shelf.why(below) == ""
    remove(base)
    assert shelf.why(below).endswith("its base Some/Base-1B is not on this machine")
    remove(parts_of(shelf.versions[20], shelf.paths).adapter)
    assert "version 21's model/, cannot be rebuilt: its adapter is not in" in shelf.why(below)


def test_a_version_whose_model_is_here_needs_no_base_below_it(shelf: Shelf) -> None:
    first = shelf.put(1)
    model = parts_of(first, shelf.paths).model
    second = shelf.put(2, anchor_model=first.output_model_path, anchor_revision=fingerprint(model))
    assert shelf.why(second) == ""
    assert "Some/Base-1B is not on this machine" in shelf.why(first)
    (model / "config.json").write_text("another", encoding="utf-8")
    assert "is not the one that it was trained on" in shelf.why(second)


def test_a_circle_ends(shelf: Shelf, entry: Entry) -> None:
    one = shelf.put(1, has_model=False, anchor_model=entry(2).output_model_path)
    two = shelf.put(2, has_model=False, anchor_model=one.output_model_path)
    itself = shelf.put(3, has_model=False, anchor_model=entry(3).output_model_path)
    assert "it stands on itself" in shelf.why(one)
    assert "it stands on itself" in shelf.why(two)
    assert "is not on this machine" in shelf.why(itself)


def test_an_entry_that_names_no_folder(shelf: Shelf, entry: Entry) -> None:
    odd = entry(1, run_label="../../etc", adapter_sha256="a", model_sha256="m", gguf_sha256="g")
    assert "has no run label that names a folder" in shelf.why(odd)


def test_an_adapter_is_read_once_for_all_that_share_what_is_known(shelf: Shelf) -> None:
    shelf.fetch_base()
    version = shelf.put(1)
    registry = Registry(training_history=(version,))
    known: dict[int, str] = {}
    assert why_not_rebuildable(version, registry, shelf.paths, None, known) == ""
    remove(parts_of(version, shelf.paths).adapter)
    assert why_not_rebuildable(version, registry, shelf.paths, None, known) == ""


def test_what_stands_on_a_model_that_was_accepted_as_another_would_come_out_otherwise(shelf: Shelf) -> None:
    shelf.fetch_base()
    shelf.put(1)
    two = shelf.put(2, anchor_model=shelf.versions[0].output_model_path, anchor_revision="", anchor_revision_first="f")
    three = shelf.put(3, anchor_model=two.output_model_path, anchor_revision="")
    registry = Registry(training_history=tuple(shelf.versions))
    assert shelf.why(two) == ""
    assert "version 2 would come out otherwise" in why_not_as_it_is(two, registry, shelf.paths, None)
    assert why_not_as_it_is(three, registry, shelf.paths, None) == ""  # what it stands on is here
    remove(parts_of(two, shelf.paths).model)
    assert "version 2 would come out otherwise" in why_not_as_it_is(three, registry, shelf.paths, None)
    accepted = registry.with_fields(2, anchor_revision_first="")
    assert why_not_as_it_is(three, accepted, shelf.paths, None) == ""
