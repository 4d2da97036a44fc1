"""The Python API keeps the original's names, and does what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from metahuman_core import get_current_base_model, get_training_history, reset_to_original_base


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("METAHUMAN_CONFIG", raising=False)
    monkeypatch.delenv("METAHUMAN_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_base_is_the_current_one_and_of_which_sort(original_path: Path) -> None:
    model, kind = get_current_base_model(original_path)
    assert model.endswith("2025-12-03-174854-6a800c/model")
    assert kind == "local"


def test_without_a_registry_it_is_qwen3_14b(tmp_path: Path) -> None:
    assert get_current_base_model(tmp_path / "none.json") == ("Qwen/Qwen3-14B", "huggingface")
    assert get_training_history(tmp_path / "none.json") == ()


def test_the_history_is_listed_oldest_first(original_path: Path) -> None:
    assert [(run.version, run.samples_trained) for run in get_training_history(str(original_path))] == [(1, 320)]


def test_reset_holds_for_the_next_who_asks(original_path: Path) -> None:
    assert reset_to_original_base(original_path) == ("Qwen/Qwen3-14B", "huggingface")
    assert get_current_base_model(original_path) == ("Qwen/Qwen3-14B", "huggingface")
    assert len(get_training_history(original_path)) == 1


def test_without_a_path_the_configured_registry_is_meant(original_path: Path, tmp_path: Path) -> None:
    assert get_current_base_model().type == "local"
    original_path.rename(original_path.with_name("model-registry.anna.json"))
    assert get_current_base_model().type == "huggingface"
    (tmp_path / "config.toml").write_text('registry = "etc/model-registry.{profile}.json"\n', encoding="utf-8")
    assert get_current_base_model(profile="anna").type == "local"
    with (tmp_path / "config.toml").open("a", encoding="utf-8") as config:
        config.write("[profiles.anna]\n")
    assert get_current_base_model().type == "local"
