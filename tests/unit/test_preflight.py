"""How much room the next version needs is reckoned from what is known, and 0 where nothing is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.layout import hub_cache
from metahuman_core.preflight import Moment, model_bytes, moments, next_version_bytes, peak
from metahuman_core.registry import Registry, Version
from metahuman_core.settings import OllamaSettings, Settings, WeightSettings

GB = 1_000_000_000
# The most is taken while Ollama is handed a copy of the GGUF, beside ours, model/ and the checkpoints.
AT_MOST = int(GB * (0.1 + 1 + 2 * 0.54) * 1.1)


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
    assert next_version_bytes(settings, history, None) == pytest.approx(AT_MOST)


def test_a_base_that_lies_here_says_it_for_the_first(settings: Settings) -> None:
    folder = settings.root / "Some" / "Base-1B"
    folder.mkdir(parents=True)
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "pytorch_model.bin"):
        (folder / name).touch()
        os.truncate(folder / name, GB // 2)
    assert next_version_bytes(settings, registry(), None) == pytest.approx(AT_MOST)


def test_a_k_quant_needs_more_while_it_is_made_and_less_behind_it(
    settings: Settings, entry: Callable[..., Version]
) -> None:
    """llama.cpp's quantiser reads a GGUF in 16 bit, which stands beside model/ meanwhile."""
    small = settings.model_copy(update={"weights": WeightSettings(quantization="Q4_K_M")})
    history = registry(entry(1, model_bytes=1000, adapter_bytes=2))
    _, making, publishing = moments(small, history)
    assert making == Moment("merging and quantising", int((20 + 1000 + 1010 + 310) * 1.1))
    assert publishing == Moment("publishing", int((20 + 1000 + 2 * 310) * 1.1))
    assert peak(moments(small, history)) == making


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


def test_each_moment_has_its_own_need(settings: Settings, entry: Callable[..., Version]) -> None:
    history = registry(entry(1, model_bytes=1000, adapter_bytes=2))
    ahead = moments(settings, history)
    needs = {"training": 20, "merging and quantising": 1560, "publishing": 2100}
    assert ahead == tuple(Moment(step, int(need * 1.1)) for step, need in needs.items())
    assert peak(ahead) == Moment("publishing", int(2100 * 1.1))
    alone = settings.model_copy(update={"ollama": OllamaSettings(enabled=False)})
    assert moments(alone, history)[-1] == Moment("publishing", int(1560 * 1.1))
    assert moments(settings, None) == ()
    assert peak(()) is None


def test_what_lies_behind_is_not_needed_again(
    settings: Settings, entry: Callable[..., Version], tmp_path: Path
) -> None:
    """With the GGUF in its folder nothing is left to do but publishing."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.gguf").write_bytes(b"x" * 540)
    history = registry(entry(1, model_bytes=1000, adapter_bytes=2))
    assert moments(settings, history, tmp_path / "run") == (Moment("publishing", int(2100 * 1.1) - 540),)


def test_a_base_that_was_fetched_is_known_too(settings: Settings, entry: Callable[..., Version]) -> None:
    snapshot = hub_cache(settings.root) / "models--Some--Base-1B" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"x" * 700)
    assert model_bytes(settings, registry()) == 700
    assert model_bytes(settings, registry(entry(1, model_bytes=9)), "Some/Base-1B") == 700


def test_of_a_base_that_was_named_only_its_own_size_counts(settings: Settings, entry: Callable[..., Version]) -> None:
    first, second = entry(1, model_bytes=5), entry(2, model_bytes=9)
    history = registry(first, second)
    assert model_bytes(settings, history, first.output_model_path) == 5
    assert model_bytes(settings, history, "Other/Base-70B") == 0
    assert moments(settings, history, base="Other/Base-70B") == ()
