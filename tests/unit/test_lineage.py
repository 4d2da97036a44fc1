"""What a run starts from: parent, anchor, warm start."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import Start, base_name, choose_start
from metahuman_core.registry import Registry, Version, Versioning, load_registry
from metahuman_core.settings import TrainingSettings

Entry = Callable[..., Version]
RECIPE = TrainingSettings(rank=16, alpha=32)


def put_model(root: Path, model: str) -> str:
    """A folder that looks like a model."""
    (root / model).mkdir(parents=True)
    (root / model / "config.json").write_text("{}", encoding="utf-8")
    return model


def put_adapter(root: Path, version: Version, rank: int = 16, alpha: int = 32) -> Version:
    """A version's adapter, of that shape."""
    (root / version.adapter_path).mkdir(parents=True)
    config = {"r": rank, "lora_alpha": alpha, "peft_type": "LORA"}
    (root / version.adapter_path / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return version


def registry_of(*versions: Version, current: str | None = None) -> Registry:
    return Registry(
        original_base_model="Some/Base-1B",
        current_base_model=versions[-1].output_model_path if current is None else current,
        training_history=versions,
    )


def test_the_flag_goes_before_the_registry_and_that_before_qwen3_14b() -> None:
    registry = Registry(current_base_model="Registry/Base")
    assert base_name("Flag/Base", registry) == "Flag/Base"
    assert base_name(None, registry) == "Registry/Base"
    assert base_name(None, Registry(current_base_model="")) == "Qwen/Qwen3-14B"
    assert base_name(None, None) == "Qwen/Qwen3-14B"


def test_a_first_run_starts_from_the_hub_without_a_parent(tmp_path: Path) -> None:
    start = choose_start(None, None, tmp_path, RECIPE)
    assert start == Start("Qwen/Qwen3-14B", "Qwen/Qwen3-14B", "", warm_start=None, parent=None)


def test_a_second_run_trains_on_in_the_adapter_of_the_first(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    start = choose_start(None, registry_of(first), tmp_path, RECIPE)
    assert start == Start(first.output_model_path, "Some/Base-1B", "c0ffee", first.adapter_path, first)


def test_with_reanchoring_the_merged_model_is_the_anchor(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    put_model(tmp_path, first.output_model_path)
    start = choose_start(None, registry_of(first), tmp_path, TrainingSettings(reanchor_every=1))
    assert start == Start(first.output_model_path, first.output_model_path, "", None, first)


def test_every_so_many_versions_the_adapter_is_merged(tmp_path: Path, entry: Entry) -> None:
    """Versions 1 and 2 stand on the base, 3 and 4 on 2, and 5 on 4."""
    line: list[Version] = []
    anchor = "Some/Base-1B"
    for number in range(1, 5):
        made = entry(number, anchor_model=anchor, parent_version=number - 1 or None)
        line.append(put_adapter(tmp_path, made))
        put_model(tmp_path, made.output_model_path)
        start = choose_start(None, registry_of(*line), tmp_path, TrainingSettings(reanchor_every=2))
        assert start.parent == line[-1]
        assert start.warm_start == (None if number % 2 == 0 else made.adapter_path)
        assert start.anchor == (made.output_model_path if number % 2 == 0 else anchor)
        anchor = start.anchor


def test_from_a_consolidation_on_it_is_counted_anew(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    second = put_adapter(tmp_path, entry(2, parent_version=1, consolidated=True))
    start = choose_start(None, registry_of(first, second), tmp_path, TrainingSettings(reanchor_every=2))
    assert (start.anchor, start.warm_start) == (second.anchor_model, second.adapter_path)


@pytest.mark.parametrize("changed", [TrainingSettings(rank=8, alpha=32), TrainingSettings(rank=16, alpha=64)])
def test_another_rank_or_alpha_takes_the_merged_model_and_says_so(
    tmp_path: Path, entry: Entry, changed: TrainingSettings
) -> None:
    first = put_adapter(tmp_path, entry(1))
    put_model(tmp_path, first.output_model_path)
    start = choose_start(None, registry_of(first), tmp_path, changed)
    assert (start.anchor, start.warm_start, start.parent) == (first.output_model_path, None, first)
    assert "version 1" in start.note
    assert "rank" in start.note


def test_another_rank_needs_the_merged_model_to_be_there(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    with pytest.raises(MetahumanError, match="is not there"):
        choose_start(None, registry_of(first), tmp_path, TrainingSettings(rank=8))


def test_the_base_of_a_registered_version_makes_a_branch(tmp_path: Path, entry: Entry) -> None:
    first, second = put_adapter(tmp_path, entry(1)), put_adapter(tmp_path, entry(2))
    registry = registry_of(first, second)
    for flag in (first.output_model_path, str(tmp_path / first.output_model_path), f"{first.output_model_path}/"):
        start = choose_start(flag, registry, tmp_path, RECIPE)
        assert (start.parent, start.warm_start) == (first, first.adapter_path)


def test_any_other_base_is_a_new_anchor_without_a_parent(tmp_path: Path, entry: Entry) -> None:
    registry = registry_of(put_adapter(tmp_path, entry(1)))
    assert choose_start("Other/Base", registry, tmp_path, RECIPE) == Start("Other/Base", "Other/Base", "", None, None)
    put_model(tmp_path, "models/mine")
    start = choose_start("models/mine", registry, tmp_path, RECIPE)
    assert start == Start("models/mine", "models/mine", "", None, None)
    assert choose_start(str(tmp_path / "models" / "mine"), registry, tmp_path, RECIPE) == start


def test_a_phantom_is_never_trained_on_and_the_error_names_the_way_out(tmp_path: Path, original_path: Path) -> None:
    with pytest.raises(MetahumanError, match="2025-12-03-174854-6a800c/model is not there") as refused:
        choose_start(None, load_registry(original_path), tmp_path, RECIPE)
    assert "`metahuman reset` goes back to Qwen/Qwen3-14B" in refused.value.hint


def test_of_the_versions_that_are_there_the_newest_is_offered(tmp_path: Path, entry: Entry) -> None:
    first, second, third = entry(1, adapter_path=""), entry(2, adapter_path=""), entry(3, adapter_path="")
    put_model(tmp_path, first.output_model_path)
    put_model(tmp_path, second.output_model_path)
    with pytest.raises(MetahumanError) as refused:
        choose_start(None, registry_of(first, second, third), tmp_path, RECIPE)
    assert f"--base-model {second.output_model_path}" in refused.value.hint


@pytest.mark.parametrize("flag", ["./nowhere", "/nowhere/at/all", "profiles/anna/out/x/model", "a/b/c"])
def test_a_folder_that_is_not_there_is_no_hub_name(tmp_path: Path, flag: str) -> None:
    with pytest.raises(MetahumanError, match="is not there"):
        choose_start(flag, None, tmp_path, RECIPE)


def test_without_versioning_every_run_starts_from_the_original(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    registry = registry_of(first).changed(versioning=Versioning(enabled=False))
    assert base_name(None, registry) == "Some/Base-1B"
    assert choose_start(None, registry, tmp_path, RECIPE) == Start("Some/Base-1B", "Some/Base-1B", "", None, None)
    assert choose_start(first.output_model_path, registry, tmp_path, RECIPE).parent == first


def test_an_adapter_that_is_none_is_a_clear_error(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    (tmp_path / first.adapter_path / "adapter_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(MetahumanError, match="holds no LoRA adapter"):
        choose_start(None, registry_of(first), tmp_path, RECIPE)


def test_a_local_base_that_has_gone_is_no_hub_name(tmp_path: Path) -> None:
    registry = Registry(original_base_model="model", current_base_model="model", model_type="local")
    with pytest.raises(MetahumanError, match="the base model is not there"):
        choose_start(None, registry, tmp_path, RECIPE)


def test_a_base_that_was_mistyped_needs_no_reset(tmp_path: Path, entry: Entry) -> None:
    with pytest.raises(MetahumanError) as refused:
        choose_start("./nope", registry_of(entry(1)), tmp_path, RECIPE)
    assert "leave --base-model out" in refused.value.hint
    assert "reset" not in refused.value.hint


def test_a_fresh_start_beside_a_live_version_is_said(tmp_path: Path, entry: Entry) -> None:
    registry = registry_of(entry(1, outcome="live"))
    assert "fresh start" in choose_start("Other/Base", registry, tmp_path, RECIPE).note


def test_a_model_that_can_be_rebuilt_is_as_good_as_one_that_is_there(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    chain = TrainingSettings(reanchor_every=1)
    start = choose_start(None, registry_of(first), tmp_path, chain, why_lost=lambda _: "")
    assert start == Start(first.output_model_path, first.output_model_path, "", None, first)
    with pytest.raises(MetahumanError, match=r"is not there \(and it cannot be rebuilt: no adapter\)"):
        choose_start(None, registry_of(first), tmp_path, chain, why_lost=lambda _: "no adapter")


def test_an_adapter_in_the_archive_is_as_good_as_one_that_is_here(tmp_path: Path, entry: Entry) -> None:
    first = entry(1)
    put_adapter(tmp_path, first.model_copy(update={"adapter_path": "archive/adapter"}))
    start = choose_start(
        None, registry_of(first), tmp_path, RECIPE, archived=lambda _: tmp_path / "archive" / "adapter"
    )
    assert (start.warm_start, start.anchor) == (first.adapter_path, first.anchor_model)


def test_a_parent_that_stands_on_a_model_that_is_gone_for_ever_is_told(tmp_path: Path, entry: Entry) -> None:
    first = put_adapter(tmp_path, entry(1))
    second = put_adapter(tmp_path, entry(2, anchor_model=first.output_model_path))
    registry = registry_of(first, second)
    start = choose_start(None, registry, tmp_path, RECIPE, why_lost=lambda _: "")
    assert (start.anchor, start.warm_start) == (first.output_model_path, second.adapter_path)
    with pytest.raises(MetahumanError, match=r"version 2 stands on version 1's model/, .* rebuilt: no adapter"):
        choose_start(None, registry, tmp_path, RECIPE, why_lost=lambda v: "no adapter" if v == first else "")
