"""Which versions retention never touches, and where a rollback goes."""

from __future__ import annotations

from collections.abc import Callable

from metahuman_core.registry import Registry, Version
from metahuman_core.versions.protected import protections, rollback_target

Entry = Callable[..., Version]
LIVE = "the live version"
PARENT = "the parent of the live version"
BACK = "the version that a rollback goes back to"
ANCHOR = "its model/ is the base that the live version stands on"
NEXT = "the base of the next run"


def line(entry: Entry, count: int, **last: object) -> list[Version]:
    """So many versions, each the child of the one before; the last is live."""
    older = [entry(n, outcome="superseded", storage="serving") for n in range(1, count)]
    return [*older, entry(count, **{"outcome": "live", "storage": "full", **last})]


def of(*versions: Version, base: Version | None = None) -> Registry:
    current = (base or versions[-1]).output_model_path
    return Registry(training_history=versions, current_base_model=current, model_type="local")


def test_the_live_one_its_parent_and_what_is_pinned(entry: Entry) -> None:
    versions = line(entry, 4)
    versions[0] = versions[0].model_copy(update={"pinned": True})
    assert protections(of(*versions)) == {4: (LIVE, NEXT), 3: (PARENT, BACK), 1: ("pinned",)}


def test_a_rejected_parent_is_kept_and_a_rollback_goes_behind_it(entry: Entry) -> None:
    versions = line(entry, 3)
    versions[1] = versions[1].model_copy(update={"outcome": "rejected"})
    assert protections(of(*versions)) == {3: (LIVE, NEXT), 2: (PARENT,), 1: (BACK,)}


def test_the_base_that_the_live_one_stands_on(entry: Entry) -> None:
    versions = line(entry, 5)
    versions[4] = versions[4].model_copy(update={"anchor_model": versions[1].output_model_path + "/"})
    assert protections(of(*versions))[2] == (ANCHOR,)


def test_a_base_that_stayed_behind_is_what_the_next_run_needs(entry: Entry) -> None:
    versions = line(entry, 4)
    assert protections(of(*versions, base=versions[0]))[1] == (NEXT,)


def test_an_imported_registry_without_a_live_version_keeps_its_base(entry: Entry) -> None:
    assert protections(of(entry(1), entry(2))) == {2: (NEXT,)}
    assert protections(Registry()) == {}


def test_a_rollback_stays_in_the_ancestry(entry: Entry) -> None:
    """Version 4 is a branch from 2: 3 was left behind, and is no way back."""
    versions = line(entry, 4, parent_version=2)
    versions[2] = versions[2].model_copy(update={"outcome": "rolled_back"})
    target = rollback_target(of(*versions))
    assert target is not None
    assert target.version == 2


def test_a_removed_ancestor_is_no_way_back(entry: Entry) -> None:
    versions = line(entry, 3)
    versions[1] = versions[1].model_copy(update={"storage": "removed"})
    target = rollback_target(of(*versions))
    assert target is not None
    assert target.version == 1
    versions[0] = versions[0].model_copy(update={"storage": "removed"})
    assert rollback_target(of(*versions)) is None


def test_without_a_parent_it_goes_to_the_newest_older_one_that_was_live(entry: Entry) -> None:
    versions = line(entry, 4, parent_version=None)
    versions[2] = versions[2].model_copy(update={"outcome": "rejected"})
    target = rollback_target(of(*versions))
    assert target is not None
    assert target.version == 2


def test_nonsense_ends_too(entry: Entry) -> None:
    """Two versions that are each other's parent and anchor."""
    one = entry(1, outcome="live", parent_version=2)
    two = entry(2, outcome="superseded", parent_version=1, anchor_model=one.output_model_path)
    one = one.model_copy(update={"anchor_model": two.output_model_path})
    found = protections(of(one, two))
    assert found[1] == (LIVE,)
    assert set(found[2]) == {PARENT, BACK, ANCHOR, NEXT}
