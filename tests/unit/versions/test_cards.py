"""Model cards: what the Hub's own reader finds in them, and what is never in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from metahuman_core.durable import sha256_tree
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Version
from metahuman_core.versions.cards import card, public_name, write_cards
from metahuman_core.versions.parts import Parts, parts_of

FINGERPRINT = "ab" * 32


@pytest.fixture
def version(entry: Callable[..., Version]) -> Version:
    return entry(
        2,
        timestamp="2025-03-02T12:00:00.000Z",
        samples_trained=320,
        memories_trained=40,
        memories_replayed=20,
        ollama_name="anna",
        outcome="live",
        quantization="Q8_0",
        dataset_sha256="d" * 64,
        adapter_sha256="a" * 64,
        model_sha256="b" * 64,
        gguf_sha256="c" * 64,
        metrics={"new_bits_per_byte_after": 0.5, "gguf_top1": 0.99},
    )


@pytest.fixture
def parts(version: Version, tmp_path: Path) -> Parts:
    """The version's folders on disk, with a file each."""
    found = parts_of(version, ProfilePaths(tmp_path, "anna"))
    for folder in (found.adapter, found.model):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}", encoding="utf-8")
    return found


def read(folder: Path) -> Any:
    return ModelCard.load(folder / "README.md")


def test_the_hubs_reader_finds_base_relation_library_and_digest(version: Version, parts: Parts) -> None:
    write_cards(version, parts)
    for folder, relation, library in ((parts.adapter, "adapter", "peft"), (parts.model, "finetune", "transformers")):
        found = read(folder)
        assert found.data.base_model == "Some/Base-1B"
        assert found.data["base_model_relation"] == relation
        assert found.data.library_name == library
        assert found.data["version"] == "2"
        assert found.data["dataset_sha256"] == "d" * 64
        assert found.data.license is None
        for told in ("a" * 64, "b" * 64, "c" * 64, "| gguf_top1 | 0.99 |", "private", "on top of version 1"):
            assert told in found.text
        assert "anna" not in found.content.lower()


def test_no_hash_counts_a_card_and_nothing_half_made_is_left(version: Version, parts: Parts) -> None:
    before = sha256_tree(parts.model)
    write_cards(version, parts)
    write_cards(version, parts)
    assert sha256_tree(parts.model) == before
    assert not list(parts.run_dir.rglob("*.partial"))
    assert (parts.model / "README.md").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_not_made(version: Version, parts: Parts) -> None:
    (parts.model / "config.json").unlink()
    parts.model.rmdir()
    write_cards(version, parts)
    assert not parts.model.exists()
    assert (parts.adapter / "README.md").is_file()


@pytest.mark.parametrize(
    ("anchor", "revision", "name"),
    [
        ("Qwen/Qwen3-14B", "c" * 40, "Qwen/Qwen3-14B"),
        ("bases/Qwen3-14B", FINGERPRINT, "Qwen3-14B"),
        ("/home/anna/models/Qwen3-14B/", FINGERPRINT, "Qwen3-14B"),
        ("base", FINGERPRINT, "base"),
        (
            "profiles/anna/out/fine-tuned-models/2025-03-01/2025-03-01-120000-000001/model",
            FINGERPRINT,
            "2025-03-01-120000-000001",
        ),
    ],
)
def test_a_base_is_named_without_its_path(version: Version, anchor: str, revision: str, name: str) -> None:
    named = version.model_copy(update={"anchor_model": anchor, "anchor_revision": revision})
    assert public_name(named) == name
    assert "/home/" not in card(named, "adapter")


@pytest.mark.parametrize(
    ("front", "named"),
    [
        ("---\nlicense: apache-2.0\n---\n# Base\n", "apache-2.0"),
        ("---\nlicense: [mit]\n---\n", None),
        ("---\n: {\n---\n", None),
        ("# only words\n", None),
    ],
)
def test_the_licence_is_the_bases_where_it_names_one(
    version: Version, parts: Parts, tmp_path: Path, front: str, named: str | None
) -> None:
    base = tmp_path / "bases" / "small"
    base.mkdir(parents=True)
    (base / "README.md").write_text(front, encoding="utf-8")
    write_cards(version.model_copy(update={"anchor_model": "bases/small", "anchor_revision": FINGERPRINT}), parts)
    assert read(parts.model).data.license == named


def test_the_licence_of_a_base_from_the_hub_is_found_where_it_was_fetched_to(
    version: Version, parts: Parts, tmp_path: Path
) -> None:
    snapshot = tmp_path / "cache" / "hub" / "models--Some--Base-1B" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    write_cards(version, parts)
    assert read(parts.adapter).data.license == "mit"
