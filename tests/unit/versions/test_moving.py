"""Back to an older version, and to any other: what is live then, what is left, what the next run starts from."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import held_memories, next_ancestry
from metahuman_core.registry import Registry, Version, Versioning
from metahuman_core.versions.moving import (
    made_live,
    pinned,
    promoted,
    released,
    rolled_back_to,
    unpinned,
    version_to_go_back_to,
    waits_for_its_alias,
)

Entry = Callable[..., Version]
NOW = datetime(2025, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
def registry(entry: Entry) -> Registry:
    """1 - 2 - 3 - 5 (live); 4 was rejected, trained on 3."""
    return Registry(
        original_base_model="Some/Base-1B",
        current_base_model=entry(5).output_model_path,
        model_type="local",
        training_history=(
            entry(1, outcome="superseded", publication="done", ollama_name="anna"),
            entry(2, outcome="superseded", publication="done", ollama_name="anna"),
            entry(3, outcome="superseded", publication="done", ollama_name="anna"),
            entry(4, outcome="rejected", training_success=False, reasons=("it forgot",), ollama_name="anna"),
            entry(5, outcome="live", parent_version=3, publication="due", ollama_name="anna"),
        ),
    )


def outcomes(registry: Registry) -> dict[int, str | None]:
    return {version.version: version.outcome for version in registry.training_history}


def held(registry: Registry) -> set[int]:
    return {version.version for version in registry.training_history if version.held}


def get(registry: Registry, number: int) -> Version:
    version = registry.find(number)
    assert version is not None
    return version


# --- back -----------------------------------------------------------------------------------------------------------


def test_a_rollback_goes_to_the_parent_and_the_next_run_starts_there(registry: Registry) -> None:
    assert version_to_go_back_to(registry, None).version == 3
    after = rolled_back_to(registry, 3)
    assert outcomes(after) == {1: "superseded", 2: "superseded", 3: "live", 4: "rejected", 5: "rolled_back"}
    assert held(after) == {5}
    assert (after.current_base_model, after.model_type) == (get(after, 3).output_model_path, "local")
    assert next_ancestry(after) == tuple(get(after, number).run_label for number in (3, 2, 1))


def test_all_between_is_left_and_what_was_made_of_it(registry: Registry, entry: Entry) -> None:
    branch = entry(6, outcome="superseded", parent_version=3)
    after = rolled_back_to(registry.with_version(branch), 2)
    assert outcomes(after) == {
        1: "superseded", 2: "live", 3: "rolled_back", 4: "rejected", 5: "rolled_back", 6: "rolled_back",
    }  # fmt: skip
    assert held(after) == {3, 5, 6}


def test_what_was_made_of_a_rejected_version_is_left_with_what_that_was_made_of(
    registry: Registry, entry: Entry
) -> None:
    after = rolled_back_to(registry.with_version(entry(6, outcome="superseded", parent_version=4)), 2)
    assert outcomes(after)[6] == "rolled_back"
    assert outcomes(after)[4] == "rejected"
    assert held(after) == {3, 5, 6}


def test_a_rejected_version_is_not_gone_back_to(registry: Registry, entry: Entry) -> None:
    """Somebody trained on it by its name, and that went live."""
    on_it = made_live(registry.with_version(entry(6, parent_version=4)), 6)
    assert version_to_go_back_to(on_it, None).version == 3
    with pytest.raises(MetahumanError, match="it forgot") as caught:
        rolled_back_to(on_it, 4)
    assert "promote 4 --force" in caught.value.hint


def test_a_thousand_versions_are_a_matter_of_moments(entry: Entry) -> None:
    history = [entry(1).model_copy(update={"version": n, "parent_version": n - 1 or None}) for n in range(1, 1001)]
    history[-1] = history[-1].model_copy(update={"outcome": "live"})
    began_s = time.process_time()
    after = rolled_back_to(Registry(training_history=tuple(history)), 990)
    assert len(held(after)) == 10
    assert time.process_time() - began_s < 5


def test_the_alias_is_due_and_what_waited_for_ollama_is_not(registry: Registry) -> None:
    after = rolled_back_to(registry, 3)
    assert (get(after, 3).publication, get(after, 5).publication) == ("due", "off")
    was_there = rolled_back_to(registry.with_fields(5, ollama_server="0.33.0"), 3)
    assert get(was_there, 5).publication == "done"
    assert get(rolled_back_to(registry, 3, publishes=False), 3).publication == "done"
    nameless = registry.with_fields(3, ollama_name="")
    assert get(rolled_back_to(nameless, 3), 3).publication == "done"


def test_a_version_of_another_branch_is_no_rollback(registry: Registry, entry: Entry) -> None:
    branch = registry.with_version(entry(6, outcome="superseded", parent_version=2))
    with pytest.raises(MetahumanError, match="another branch") as caught:
        rolled_back_to(branch, 6)
    assert "promote 6" in caught.value.hint
    with pytest.raises(MetahumanError, match="another branch"):
        rolled_back_to(branch, 4)


@pytest.mark.parametrize("number", [0, 9])
def test_a_version_that_is_not_there_is_named(registry: Registry, number: int) -> None:
    for move in (rolled_back_to, pinned, unpinned):
        with pytest.raises(MetahumanError, match=f"no version {number}"):
            move(registry, number)
    with pytest.raises(MetahumanError, match=f"no version {number}"):
        promoted(registry, number, force=True, now=NOW)


def test_what_was_removed_is_not_gone_back_to(registry: Registry) -> None:
    gone = registry.with_fields(3, storage="removed")
    assert version_to_go_back_to(gone, None).version == 2
    for change in (
        lambda: rolled_back_to(gone, 3),
        lambda: promoted(gone, 3, force=True, now=NOW),
        lambda: pinned(gone, 3),
    ):
        with pytest.raises(MetahumanError, match="was removed"):
            change()


def test_from_the_first_version_there_is_nothing_to_go_back_to(entry: Entry) -> None:
    first = Registry(training_history=(entry(1, outcome="live"),))
    with pytest.raises(MetahumanError, match="nothing to go back to"):
        version_to_go_back_to(first, None)
    with pytest.raises(MetahumanError, match="no version is live"):
        version_to_go_back_to(Registry(training_history=(entry(1),)), None)


def test_the_same_twice_is_the_same(registry: Registry) -> None:
    after = rolled_back_to(registry, 2)
    assert rolled_back_to(after, 2) == after
    further = rolled_back_to(after, 1)
    assert outcomes(further)[2] == "rolled_back"
    assert outcomes(further)[1] == "live"


@pytest.mark.parametrize("versioning", [Versioning(auto_update_base=False), Versioning(enabled=False)])
def test_where_the_base_stays_it_stays_unless_it_was_left(registry: Registry, versioning: Versioning) -> None:
    at_rest = registry.changed(versioning=versioning, current_base_model="Some/Base-1B", model_type="huggingface")
    after = rolled_back_to(at_rest, 3)
    assert (after.current_base_model, after.model_type) == ("Some/Base-1B", "huggingface")
    on_the_left = registry.changed(versioning=versioning)
    assert rolled_back_to(on_the_left, 3).current_base_model == get(registry, 3).output_model_path


def test_versions_without_parents_go_back_to_the_one_before(entry: Entry) -> None:
    """As where every run begins on the original base."""
    alone = [entry(n, parent_version=None, outcome="live" if n == 3 else "superseded") for n in (1, 2, 3)]
    registry = Registry(training_history=tuple(alone))
    after = rolled_back_to(registry, version_to_go_back_to(registry, None).version)
    assert outcomes(after) == {1: "superseded", 2: "live", 3: "rolled_back"}


# --- anywhere -------------------------------------------------------------------------------------------------------


def test_what_was_rolled_back_can_be_live_again_with_all_it_stands_on(registry: Registry) -> None:
    after = promoted(rolled_back_to(registry, 1), 3, force=False, now=NOW)
    assert outcomes(after) == {1: "superseded", 2: "superseded", 3: "live", 4: "rejected", 5: "rolled_back"}
    assert held(after) == {5}
    assert after.current_base_model == get(after, 3).output_model_path
    assert get(after, 3).publication == "due"
    assert get(after, 3).promoted_at == ""


def test_the_other_branch_is_superseded_and_nothing_of_it_held(registry: Registry, entry: Entry) -> None:
    branch = entry(6, outcome="superseded", parent_version=2)
    after = promoted(registry.with_version(branch), 6, force=False, now=NOW)
    assert outcomes(after)[5] == "superseded"
    assert outcomes(after)[6] == "live"
    assert held(after) == set()


def test_a_rejected_one_takes_force_and_says_so_for_ever(registry: Registry) -> None:
    with pytest.raises(MetahumanError, match="it forgot") as caught:
        promoted(registry, 4, force=False, now=NOW)
    assert "--force" in caught.value.hint
    version = get(promoted(registry, 4, force=True, now=NOW), 4)
    assert (version.outcome, version.training_success, version.reasons) == ("live", True, ("it forgot",))
    assert version.promoted_at == "2025-04-01T12:00:00Z"
    assert version.publication == "due"


def test_the_live_one_is_left_as_it_is(registry: Registry) -> None:
    assert promoted(registry, 5, force=True, now=NOW) == registry


def test_the_originals_versions_which_have_no_outcome_can_be_promoted(entry: Entry) -> None:
    old = Version(version=1, run_label="2025-03-01-120000-000001", output_model_path="a/model")
    after = promoted(Registry(training_history=(old,)), 1, force=False, now=NOW)
    assert (get(after, 1).outcome, get(after, 1).publication) == ("live", "off")


# --- the rest -------------------------------------------------------------------------------------------------------


def test_a_version_that_goes_live_leaves_no_branch_behind_in_its_own_line(registry: Registry, entry: Entry) -> None:
    left = rolled_back_to(registry, 2)
    child = entry(6, parent_version=3, outcome="rolled_back", held=True)
    after = made_live(left.with_version(child), 6)
    assert outcomes(after)[3] == "superseded"
    assert held(after) == {5}


def test_pinning_is_one_field(registry: Registry) -> None:
    after = pinned(registry, 2)
    assert get(after, 2).pinned
    assert unpinned(after, 2) == registry.with_fields(2, pinned=False)
    assert not get(unpinned(after.with_fields(2, storage="removed"), 2), 2).pinned


def test_held_are_the_runs_that_were_left_and_none_of_the_line_that_is_live(registry: Registry) -> None:
    after = rolled_back_to(registry, 3)
    assert held_memories(registry).runs == ()
    assert held_memories(after).runs == (get(after, 5).run_label,)
    assert held_memories(after).kept == tuple(get(after, number).run_label for number in (3, 2, 1))
    # A reset does not make what the live line knows the left one's.
    assert held_memories(after.changed(current_base_model="Some/Base-1B")).kept == held_memories(after).kept
    assert held_memories(released(after)).runs == ()
    assert held_memories(None).runs == ()


def test_a_rollback_that_was_broken_off_is_known_by_the_alias_that_is_due(registry: Registry, entry: Entry) -> None:
    assert waits_for_its_alias(registry) is None  # 5 waits for its first publication: nothing was rolled back
    after = rolled_back_to(registry, 3)
    waiting = waits_for_its_alias(after)
    assert waiting is not None
    assert waiting.version == 3
    assert waits_for_its_alias(after.with_fields(3, publication="done")) is None
    trained = made_live(after.with_version(entry(6, parent_version=3, publication="due", ollama_name="anna")), 6)
    assert waits_for_its_alias(trained) is None
    assert waits_for_its_alias(Registry()) is None
