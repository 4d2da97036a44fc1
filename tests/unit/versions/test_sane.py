"""A registry that nobody's program could have written is not acted upon; one of the original's is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.shipped import shipped
from metahuman_core.versions.sane import faults, require_sane

Entry = Callable[..., Version]
RUNS = "profiles/anna/out/fine-tuned-models"


@pytest.fixture
def three(entry: Entry) -> Registry:
    """Three versions as runs enter them, the last one live."""
    own: dict[str, Any] = {"storage": "full", "outcome": "superseded", "timestamp": "2025-03-01T12:00:00.000Z"}
    history = tuple(entry(number, **own) for number in (1, 2, 3))
    history = (*history[:2], history[2].model_copy(update={"outcome": "live"}))
    return Registry(training_history=history, current_base_model=history[2].output_model_path)


def test_what_runs_enter_is_sane(three: Registry) -> None:
    assert faults(three) == ()
    require_sane(three)
    assert faults(Registry()) == ()


def test_the_originals_and_the_shipped_one_are_sane(original_path: Path) -> None:
    for path in (original_path, shipped("etc/model-registry.json")):
        registry = load_registry(path)
        assert registry is not None
        assert faults(registry) == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"run_label": ""}, "run_label '' is none"),
        ({"run_label": "../../../etc"}, "run_label '../../../etc' is none"),
        ({"run_label": "2025-13-41-120000-000002"}, "is none"),
        ({"run_label": "2025-03-03-120000-000003"}, "run label '2025-03-03-120000-000003' is there 2 times"),
        ({"parent_version": 2}, "it is its own parent"),
        ({"parent_version": 3}, "its parent, version 3, is newer than it"),
        ({"parent_version": 0}, "its parent, version 0, is not there"),
        ({"parent_version": -7}, "its parent, version -7, is not there"),
        ({"outcome": "live"}, "versions 2 and 3 are both live"),
        ({"outcome": None, "adapter_sha256": "a" * 64}, "its outcome is not said"),
        ({"outcome": "rejected"}, "it is rejected, and its training_success is true"),
        ({"storage": None}, "its storage is not said"),
        ({"output_model_path": "/etc"}, "output_model_path is not in the folder of its run: '/etc'"),
        ({"gguf_path": f"{RUNS}/../../../../etc/passwd"}, "gguf_path is not in the folder of its run"),
        ({"adapter_path": f"{RUNS}/2025-03-03/2025-03-03-120000-000003/adapter"}, "adapter_path is not in the folder"),
        ({"output_model_path": f"{RUNS}/2025-03-02/2025-03-02-120000-000002"}, "is not in the folder of its run"),
        ({"adapter_path": "profiles/ben/out/fine-tuned-models/2025-03-02/2025-03-02-120000-000002/adapter"}, "several"),
        ({"adapter_sha256": "abc"}, "adapter_sha256 is no SHA-256: 'abc'"),
        ({"gguf_sha256": "G" * 64}, "gguf_sha256 is no SHA-256"),
        ({"model_bytes": -1}, "model_bytes is below nothing: -1"),
        ({"timestamp": "yesterday"}, "timestamp 'yesterday' is no point in time"),
        ({"timestamp": "2025-03-01T12:00:00"}, "is no point in time"),
        ({"timestamp": ""}, "timestamp '' is no point in time"),
        ({"quantization": "Q9"}, "quantization 'Q9' is none that we know"),
        ({"publication": "done"}, "its publication is done, and it has no ollama_name"),
        ({"ollama_name": "anna:latest"}, "ollama_name 'anna:latest' is no name of a model"),
        ({"in_archive": True}, "its adapter is in the archive, and has no hash"),
        ({"anchor_model": "a\0b"}, "anchor_model holds what cannot be printed"),
    ],
)
def test_a_version_edited_into_nonsense_is_told(three: Registry, fields: dict[str, Any], said: str) -> None:
    edited = three.with_fields(2, **fields)
    assert any(said in fault for fault in faults(edited)), faults(edited)
    with pytest.raises(MetahumanError, match="the registry contradicts itself"):
        require_sane(edited)


@pytest.mark.parametrize("name", ["_anna", "Anna", "me/anna", "9.b-c"])
def test_any_name_that_ollama_takes_is_sane(three: Registry, name: str) -> None:
    assert faults(three.with_fields(2, ollama_name=name)) == ()


@pytest.mark.parametrize("base", ["/etc", "../other", "profiles/anna/out", "~/base", "a/../../b", "base\0"])
def test_a_base_that_leads_away_is_told(three: Registry, base: str) -> None:
    assert len(faults(three.changed(current_base_model=base))) == 1


@pytest.mark.parametrize("base", ["Qwen/Qwen3-14B", "base", "", f"{RUNS}/2025-03-01/2025-03-01-120000-000001/model/"])
def test_any_base_that_a_run_may_start_from_is_sane(three: Registry, base: str) -> None:
    assert faults(three.changed(current_base_model=base)) == ()


def test_an_original_base_outside_of_the_root_is_sane(three: Registry) -> None:
    assert faults(three.changed(original_base_model="/models/base", current_base_model="/models/base")) == ()


def test_a_number_given_twice_is_told(three: Registry) -> None:
    twice = three.training_history[1].model_copy(update={"version": 1, "parent_version": None})
    history = (three.training_history[0], twice, three.training_history[2])
    assert "version 1 is there 2 times" in faults(three.changed(training_history=history))


def test_a_live_version_that_is_removed_or_gone_is_told(three: Registry) -> None:
    assert faults(three.with_fields(3, storage="removed")) == ("version 3: it is live, and removed",)
    assert faults(three.with_fields(3, outcome="superseded")) == ("no version is live, though version 3 was",)


def test_several_faults_are_one_line(three: Registry) -> None:
    edited = three.with_fields(1, model_bytes=-1, gguf_bytes=-1)
    with pytest.raises(MetahumanError, match=r"version 1: model_bytes is below nothing: -1 \(and 1 more\)"):
        require_sane(edited)
