"""How much room the next version needs is reckoned from what is known, and 0 where nothing is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.preflight import next_version_bytes
from metahuman_core.registry import Registry, Version
from metahuman_core.settings import OllamaSettings, Settings, WeightSettings

GB = 1_000_000_000
WITH_OLLAMA = int(GB * (1 + 1.01 + 0.05 + 2 * 0.54) * 1.1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def registry(*versions: Version) -> Registry:
    return Registry(training_history=versions, current_base_model="Some/Base-1B")


def test_of_a_base_that_is_still_to_be_fetched_nothing_is_known(settings: Settings) -> None:
    assert next_version_bytes(settings, None, None) == 0
    assert next_version_bytes(settings, registry(), None) == 0


def test_the_last_version_says_how_large_the_next_will_be(settings: Settings, entry: Callable[..., Version]) -> None:
    history = registry(entry(1, model_bytes=7), entry(2, model_bytes=GB), entry(3, model_bytes=0))
    assert next_version_bytes(settings, history, None) == pytest.approx(WITH_OLLAMA)


def test_a_base_that_lies_here_says_it_for_the_first(settings: Settings) -> None:
    folder = settings.root / "Some" / "Base-1B"
    folder.mkdir(parents=True)
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "pytorch_model.bin"):
        (folder / name).touch()
        os.truncate(folder / name, GB // 2)
    assert next_version_bytes(settings, registry(), None) == pytest.approx(WITH_OLLAMA)


def test_without_ollama_and_with_a_smaller_gguf_less_is_needed(
    settings: Settings, entry: Callable[..., Version]
) -> None:
    history = registry(entry(1, model_bytes=GB))
    alone = settings.model_copy(update={"ollama": OllamaSettings(enabled=False)})
    assert next_version_bytes(alone, history, None) == pytest.approx(GB * (2.06 + 0.54) * 1.1)
    small = settings.model_copy(update={"weights": WeightSettings(quantization="Q4_K_M")})
    assert next_version_bytes(small, history, None) < WITH_OLLAMA


def test_what_an_unfinished_run_has_written_need_not_be_found_again(
    settings: Settings, entry: Callable[..., Version], tmp_path: Path
) -> None:
    history = registry(entry(1, model_bytes=1000))
    run_dir = tmp_path / "run"
    (run_dir / "checkpoints").mkdir(parents=True)
    (run_dir / "checkpoints" / "state.pt").write_bytes(b"x" * 300)
    (run_dir / "train-log.jsonl").write_bytes(b"x" * 12)
    whole = next_version_bytes(settings, history, None)
    assert next_version_bytes(settings, history, run_dir) == whole - 312
    (run_dir / "model.safetensors").write_bytes(b"x" * 100_000)
    assert next_version_bytes(settings, history, run_dir) == 0
    assert next_version_bytes(settings, history, tmp_path / "gone") == whole


def test_what_cannot_be_looked_at_is_not_there_and_no_fault(
    settings: Settings, entry: Callable[..., Version], tmp_path: Path
) -> None:
    """A cycle may be at work in the folder: its files get other names between two looks."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.partial").symlink_to(tmp_path / "gone")
    history = registry(entry(1, model_bytes=1000))
    assert next_version_bytes(settings, history, tmp_path / "run") > 0
