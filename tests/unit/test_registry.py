"""The registry is read as the original's, replaced whole, and loses nothing."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Registry, Version, load_registry, reset_to_original, update_registry
from metahuman_core.shipped import shipped

Entry = Callable[..., Version]


def raw(path: Path) -> dict[str, Any]:
    """The file as another tool would see it."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def history(*versions: Version, **fields: Any) -> Registry:
    return Registry(training_history=versions, **fields)


def test_the_shipped_one_is_an_empty_beginning() -> None:
    registry = load_registry(shipped("etc/model-registry.json"))
    assert registry is not None
    assert registry.current_base_model == registry.original_base_model == "Qwen/Qwen3-14B"
    assert registry.training_history == registry.failed_runs == ()
    assert set(registry.output_formats) == {"unquantized", "quantized"}
    assert registry.versioning.enabled
    assert registry.model_extra == {}


def test_there_may_be_none(tmp_path: Path) -> None:
    assert load_registry(tmp_path / "none.json") is None


def test_the_originals_is_read_as_it_is(original_path: Path) -> None:
    registry = load_registry(original_path)
    assert registry is not None
    (version,) = registry.training_history
    assert (version.run_id, version.samples_trained, version.mode_filter) == ("6a800c5bdad71a33", 320, "dual")
    assert version.outcome is None
    assert registry.by_model_path(registry.current_base_model) == version


def test_a_rewrite_keeps_unknown_fields_and_adds_none(original_path: Path, original_registry: dict[str, Any]) -> None:
    update_registry(original_path, lambda registry: registry.changed(current_base_model="Some/Base-1B"))
    assert raw(original_path) == {**original_registry, "current_base_model": "Some/Base-1B"}
    assert list(raw(original_path)) == list(original_registry)


def test_a_new_version_leaves_the_originals_entries_alone(
    original_path: Path, original_registry: dict[str, Any], entry: Entry
) -> None:
    update_registry(
        original_path, lambda registry: registry.with_version(entry(registry.next_number(), outcome="live"))
    )
    old, new = raw(original_path)["training_history"]
    assert old == original_registry["training_history"][0]
    assert (new["version"], new["outcome"]) == (2, "live")


def test_what_did_not_change_is_not_written(original_path: Path) -> None:
    before = original_path.stat()
    update_registry(original_path, lambda registry: registry)
    assert original_path.stat().st_mtime_ns == before.st_mtime_ns
    assert original_path.stat().st_ino == before.st_ino


def test_a_change_that_fails_leaves_the_file_and_frees_the_lock(original_path: Path) -> None:
    before = original_path.read_bytes()

    def fail(_: Registry) -> Registry:
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        update_registry(original_path, fail)
    assert original_path.read_bytes() == before
    assert {p.name for p in original_path.parent.iterdir()} == {"model-registry.json", ".model-registry.lock"}
    update_registry(original_path, lambda registry: registry.changed(comment="free"))
    assert raw(original_path)["comment"] == "free"


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path, entry: Entry) -> None:
    path = tmp_path / "registry.json"

    def enter_ten() -> None:
        for _ in range(10):
            update_registry(path, lambda registry: registry.with_version(entry(registry.next_number())))

    threads = [threading.Thread(target=enter_ten) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v["version"] for v in raw(path)["training_history"]] == list(range(1, 21))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "the file"),
        ('{"training_history": [', "the file"),
        ('{"training_history": [{"version": "first"}]}', "training_history.0.version"),
        ('{"training_history": [{"version": 0}]}', "training_history.0.version"),
        ('{"current_base_model": 5}', "current_base_model"),
    ],
)
def test_what_cannot_be_understood_is_a_clear_error_and_stays(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "registry.json"
    write_text(path, text)
    with pytest.raises(MetahumanError, match=named) as refused:
        update_registry(path, lambda registry: registry.changed(comment="new"))
    assert refused.value.hint
    assert path.read_text(encoding="utf-8") == text


def test_a_folder_in_its_place_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MetahumanError, match="cannot be read"):
        load_registry(tmp_path)


def test_an_ancestry_goes_from_parent_to_parent_newest_first(entry: Entry) -> None:
    registry = history(entry(1), entry(2), entry(3, parent_version=1), entry(4))
    assert [v.version for v in registry.ancestry(registry.find(4))] == [4, 3, 1]
    assert registry.ancestry(None) == ()


def test_an_ancestry_ends_in_a_circle_and_at_a_gap(entry: Entry) -> None:
    circle = history(entry(1, parent_version=2), entry(2))
    assert [v.version for v in circle.ancestry(circle.find(2))] == [2, 1]
    gap = history(entry(3))
    assert [v.version for v in gap.ancestry(gap.find(3))] == [3]


def test_no_number_is_given_twice(entry: Entry) -> None:
    assert history().next_number() == 1
    rejected = entry(3, outcome="rejected", training_success=False)
    assert history(entry(1, storage="removed"), rejected).next_number() == 4


def test_an_entry_is_replaced_under_its_number(entry: Entry) -> None:
    registry = history(entry(1), entry(2)).with_version(entry(1, storage="archived"))
    assert [(v.version, v.storage) for v in registry.training_history] == [(1, "archived"), (2, None)]


def test_the_live_one_is_the_newest_that_says_so(entry: Entry) -> None:
    rejected = entry(3, outcome="rejected")
    registry = history(entry(1, outcome="superseded"), entry(2, outcome="live"), rejected)
    live = registry.live()
    assert live is not None
    assert live.version == 2
    assert history(rejected).live() is None


def test_a_model_is_found_with_and_without_a_slash_at_its_end(entry: Entry) -> None:
    registry = history(entry(1))
    assert registry.by_model_path(f"{entry(1).output_model_path}/") == entry(1)
    assert registry.by_model_path("") is None


def test_reset_goes_back_to_the_original_base_and_deletes_nothing(
    original_path: Path, original_registry: dict[str, Any]
) -> None:
    assert reset_to_original(original_path, original_path.parent).current_base_model == "Qwen/Qwen3-14B"
    assert raw(original_path) == {
        **original_registry,
        "current_base_model": "Qwen/Qwen3-14B",
        "model_type": "huggingface",
    }


def test_reset_without_a_registry_makes_none(tmp_path: Path) -> None:
    assert reset_to_original(tmp_path / "registry.json", tmp_path).current_base_model == "Qwen/Qwen3-14B"
    assert not (tmp_path / "registry.json").exists()
