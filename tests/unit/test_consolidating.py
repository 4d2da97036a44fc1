"""When the next run is a consolidation, which versions know what was erased, and what a consolidation starts from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.consolidating import begin_afresh, why_consolidate, why_due_without_news, why_in_vain
from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import Start
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.knowing import still_there, versions_that_know, versions_untold

Entry = Callable[..., Version]
REJECTED: dict[str, Any] = {"outcome": "rejected", "training_success": False}


def registry_of(*versions: Version, live: int | None = None, **fields: Any) -> Registry:
    """A registry whose live version (else the last that is not rejected) is the next run's base."""
    number = live or next(v.version for v in reversed(versions) if not v.is_rejected)
    history = tuple(
        v if v.is_rejected else v.model_copy(update={"outcome": "live" if v.version == number else "superseded"})
        for v in versions
    )
    base = next(v.output_model_path for v in versions if v.version == number)
    return Registry(training_history=history, **{"current_base_model": base, **fields})


def why(registry: Registry, *, knowing: tuple[int, ...] = (), every: int = 0) -> str:
    return why_consolidate(registry, registry.live(), knowing, every)


# --- by count -------------------------------------------------------------------------------------------------------


def test_every_so_many_versions_the_next_one_is_a_consolidation(entry: Entry) -> None:
    line = [entry(number) for number in range(1, 5)]
    told = [why(registry_of(*line[:length]), every=3) for length in range(1, 5)]
    assert told == [
        "",
        "",
        "it is the 3rd version after version 1, and consolidate_every is 3",
        "it is the 4th version after version 1, and consolidate_every is 3",
    ]


def test_it_counts_from_the_last_consolidation(entry: Entry) -> None:
    line = [entry(1), entry(2), entry(3, consolidated=True), entry(4)]
    assert why(registry_of(*line), every=3) == ""
    assert why(registry_of(*line, entry(5)), every=3) != ""


def test_with_one_every_run_that_has_a_parent_is_one(entry: Entry) -> None:
    assert why(registry_of(entry(1)), every=1) != ""
    assert why_consolidate(registry_of(entry(1)), None, (), 1) == ""


def test_by_default_it_never_is_by_count(entry: Entry) -> None:
    assert why(registry_of(*(entry(number) for number in range(1, 30)))) == ""


# --- after runs that were rejected ----------------------------------------------------------------------------------


def test_a_run_that_failed_with_a_gentler_recipe_too_calls_for_one(entry: Entry) -> None:
    failed_twice = entry(2, parent_version=1, **REJECTED, first_reasons=("old memories are forgotten",))
    assert why(registry_of(entry(1), failed_twice)) == "what was trained on version 1 did not pass"


def test_two_rejected_runs_in_a_row_call_for_one(entry: Entry) -> None:
    first = entry(2, parent_version=1, **REJECTED)
    assert why(registry_of(entry(1), first)) == ""
    both = registry_of(entry(1), first, entry(3, parent_version=1, **REJECTED))
    assert why(both) == "what was trained on version 1 did not pass"


def test_rejected_runs_on_another_parent_do_not_count(entry: Entry) -> None:
    line = (entry(1), entry(2, parent_version=1, **REJECTED), entry(3, parent_version=1, **REJECTED))
    assert why(registry_of(*line, entry(4, parent_version=1))) == ""


def test_what_passed_in_between_breaks_the_row(entry: Entry) -> None:
    left = entry(3, parent_version=1, outcome="rolled_back")
    line = (entry(1), entry(2, parent_version=1, **REJECTED), left, entry(4, parent_version=1, **REJECTED))
    assert why(registry_of(*line, live=1)) == ""


def test_a_rejected_consolidation_does_not_call_for_another_one_at_once(entry: Entry) -> None:
    line = [entry(1), *(entry(number, parent_version=1, **REJECTED) for number in (2, 3))]
    line.append(entry(4, parent_version=1, consolidated=True, **REJECTED))
    assert why(registry_of(*line), every=1) == ""
    line.append(entry(5, parent_version=1, **REJECTED))
    assert why(registry_of(*line)) == ""
    line.append(entry(6, parent_version=1, **REJECTED))
    assert why(registry_of(*line)) != ""


# --- since something was erased -------------------------------------------------------------------------------------


def test_who_stands_on_a_version_that_trained_it_knows_it_too(entry: Entry) -> None:
    registry = registry_of(entry(1), entry(2), entry(3), entry(4, parent_version=1))
    assert versions_that_know(registry, {entry(2).run_label}) == {2, 3}
    assert versions_that_know(registry, ()) == versions_that_know(None, {"x"}) == frozenset()


def test_a_consolidation_begins_anew_and_what_stands_on_it_is_free_of_it(entry: Entry) -> None:
    registry = registry_of(entry(1), entry(2), entry(3, consolidated=True), entry(4))
    assert versions_that_know(registry, {entry(1).run_label}) == {1, 2}
    assert versions_that_know(registry, {entry(1).run_label, entry(3).run_label}) == {1, 2, 3, 4}


def test_who_is_trained_on_a_models_weights_knows_what_that_knew(entry: Entry) -> None:
    one = entry(1)
    branch = entry(2, parent_version=None, anchor_model=one.output_model_path)
    again = entry(3, parent_version=2, consolidated=True, anchor_model=one.output_model_path)
    assert versions_that_know(registry_of(one, branch, again), {one.run_label}) == {1, 2, 3}


def test_of_what_was_erased_nothing_knows_it_any_more(entry: Entry) -> None:
    registry = registry_of(entry(1, erased=True), entry(2))
    assert [v.version for v in still_there(registry, {1, 2})] == [2]


def test_a_live_version_that_knows_what_was_erased_makes_a_run_due(entry: Entry) -> None:
    registry = registry_of(entry(1), entry(2))
    assert why(registry, knowing=(1, 2)) == why_due_without_news(registry, (1, 2)) == "version 2 knows what was erased"
    assert why(registry) == why_due_without_news(registry, ()) == why_due_without_news(None, ()) == ""


def test_its_rejection_does_not_make_it_less_due(entry: Entry) -> None:
    registry = registry_of(entry(1), entry(2, parent_version=1, consolidated=True, **REJECTED))
    assert why(registry, knowing=(1,)) == "version 1 knows what was erased"


def test_what_was_rejected_is_not_made_again_of_the_same_memories(entry: Entry) -> None:
    tried = entry(2, parent_version=1, consolidated=True, **REJECTED)
    registry = registry_of(entry(1), tried)
    assert why_in_vain(registry, (1,)) == "version 2, made without it, did not pass, and the same would come again"
    # Another memory was erased since, which that one knew; another run was made since; or nothing is known, or erased.
    assert why_in_vain(registry, (1, 2)) == why_in_vain(registry_of(entry(1)), (1,)) == ""
    assert why_in_vain(registry_of(entry(1), tried, entry(3, parent_version=1, **REJECTED)), (1,)) == ""
    assert why_in_vain(registry, ()) == why_in_vain(None, (1,)) == ""


def test_where_the_base_stays_behind_and_is_free_of_it_the_next_run_needs_memories(entry: Entry) -> None:
    one, two = entry(1), entry(2)
    registry = registry_of(one, two, current_base_model=one.output_model_path)
    assert why_due_without_news(registry, (2,)) == ""
    at_the_base = registry_of(one, two, current_base_model="Some/Base-1B")
    assert why_due_without_news(at_the_base, (2,)) == "version 2 knows what was erased"


def test_what_stands_on_a_version_that_nobody_knows_of_is_not_known_either(entry: Entry) -> None:
    imported, two = entry(1, run_label="", storage="removed"), entry(2, anchor_model=entry(1).output_model_path)
    three = entry(3, consolidated=True)
    registry, noted = registry_of(imported, two, three), {two.run_label, three.run_label}
    assert versions_untold(registry, noted) == (2,)
    assert versions_untold(registry, {""} | noted) == versions_untold(None, noted) == ()


# --- what it starts from --------------------------------------------------------------------------------------------


def there(_: Version) -> bool:
    return True


def nowhere(_: Version) -> bool:
    return False


def start_on(parent: Version, **fields: Any) -> Start:
    own: dict[str, Any] = {
        "base_model": parent.output_model_path,
        "anchor": parent.anchor_model,
        "anchor_revision": parent.anchor_revision,
        "warm_start": parent.adapter_path,
        "parent": parent,
    }
    return Start(**{**own, **fields})


def test_it_starts_from_the_anchor_without_an_adapter_and_keeps_its_parent(entry: Entry, tmp_path: Path) -> None:
    line = (entry(1), entry(2))
    afresh = begin_afresh(start_on(line[1]), registry_of(*line), tmp_path, there, there)
    assert (afresh.start.anchor, afresh.start.anchor_revision) == ("Some/Base-1B", "c0ffee")
    assert (afresh.start.warm_start, afresh.start.parent) == (None, line[1])
    assert afresh.start.base_model == line[1].output_model_path
    assert afresh.compared_with == line[1].adapter_path


def test_where_the_adapter_is_nowhere_it_is_compared_with_the_model_and_else_with_the_base(
    entry: Entry, tmp_path: Path
) -> None:
    line = (entry(1), entry(2))
    start, registry = start_on(line[1]), registry_of(*line)
    assert begin_afresh(start, registry, tmp_path, nowhere, there).compared_with == line[1].output_model_path
    assert begin_afresh(start, registry, tmp_path, nowhere, nowhere).compared_with is None


def test_in_a_chain_it_starts_from_the_first_anchor_of_the_line(entry: Entry, tmp_path: Path) -> None:
    one = entry(1)
    two = entry(2, anchor_model=one.output_model_path, anchor_revision="sha256:2")
    chained = start_on(two, anchor=two.output_model_path, anchor_revision="", warm_start=None, note="a note")
    afresh = begin_afresh(chained, registry_of(one, two), tmp_path, there, there)
    assert (afresh.start.anchor, afresh.start.anchor_revision) == ("Some/Base-1B", "c0ffee")
    assert (afresh.compared_with, afresh.start.note) == (two.output_model_path, "")


def test_a_first_anchor_that_is_not_there_is_said(entry: Entry, tmp_path: Path) -> None:
    line = (entry(1, anchor_model="./base"), entry(2, anchor_model="./base"))
    with pytest.raises(MetahumanError, match=r"begins on \./base, as version 1 did, and that is not there"):
        begin_afresh(start_on(line[1]), registry_of(*line), tmp_path, there, there)
