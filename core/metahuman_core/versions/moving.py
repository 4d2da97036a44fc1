"""Moves between versions, as changes of the registry: back, to any version, pinned, unpinned. Pure.

Invariant: after every move one version is live, it and its ancestry are nobody's leftovers, and the next run's base is
none that was left. Each function checks all that it relies on: it is called on the registry as it is under its lock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.protected import rollback_target


def version_to_go_back_to(registry: Registry, number: int | None) -> Version:
    """The version that a rollback to `number` (None: to the one before) goes back to: the live one, or one behind it.

    Raises MetahumanError where there is none, or it stands in another line.
    """
    live = registry.live()
    if live is None:
        raise MetahumanError("no version is live, so there is nothing to go back from", "`metahuman promote V`")
    usual = rollback_target(registry)
    if number is None:
        if usual is None:
            raise MetahumanError(
                f"there is nothing to go back to from version {live.version}",
                "`metahuman promote V` makes any version live, `metahuman reset` starts again from the original base",
            )
        return usual
    version = _usable(registry, number)
    if version != usual and version not in registry.ancestry(live):
        raise MetahumanError(
            f"version {number} is not behind the live version {live.version}, it stands on another branch",
            f"`metahuman promote {number}{' --force' if version.is_rejected else ''}` makes it live",
        )
    if version.is_rejected:
        raise _not_passed(version, f"`metahuman promote {number} --force` makes it live all the same")
    return version


def waits_for_its_alias(registry: Registry) -> Version | None:
    """The live version, where people went back to it and Ollama's alias has not followed yet; None else.

    One that was trained meanwhile and waits for its first publication is newer than all that was rolled back.
    """
    live = registry.live()
    if live is None or live.publication != "due":
        return None
    left = (v for v in registry.training_history if v.outcome == "rolled_back" and v.version > live.version)
    return live if any(left) else None


def rolled_back_to(registry: Registry, number: int, *, publishes: bool = True) -> Registry:
    """The version `number` is live again; those made on what came after it are rolled back, and what they trained held.

    `publishes`: whether versions are handed to Ollama; then the alias is due to follow. The same registry where the
    version is live already. Raises as `version_to_go_back_to` does.
    """
    version = version_to_go_back_to(registry, number)
    if version.outcome == "live":
        return registry
    for left in _left_behind(registry, version):
        # What waits for Ollama need not go there any more; it may wait for the alias alone, and be there.
        waited: dict[str, Any] = {"publication": "done" if left.ollama_server else "off"}
        told = waited if left.publication == "due" else {}
        registry = registry.with_fields(left.version, outcome="rolled_back", held=True, **told)
    return _moved_to(registry, version, publishes=publishes)


def version_to_promote(registry: Registry, number: int, *, force: bool) -> Version:
    """The version that is to be live. Raises MetahumanError where it cannot be; a rejected one takes `force`."""
    version = _usable(registry, number)
    if version.is_rejected and not force:
        raise _not_passed(version, "--force makes it live all the same")
    return version


def promoted(registry: Registry, number: int, *, force: bool, now: datetime, publishes: bool = True) -> Registry:
    """The version `number` is live, on whatever branch it stands; the one that was is superseded.

    A rejected one (`force`) keeps the reasons, and says when it was made live. The same registry where the version is
    live already. Raises as `version_to_promote` does.
    """
    version = version_to_promote(registry, number, force=force)
    if version.outcome == "live":
        return registry
    if version.is_rejected:
        at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        registry = registry.with_fields(number, training_success=True, promoted_at=at)
    return _moved_to(registry, version, publishes=publishes)


def made_live(registry: Registry, number: int) -> Registry:
    """The version `number` is live, the one that was is superseded; all that it stands on is a branch left no more.

    The next run starts from it, unless `versioning` says otherwise.
    """
    version = registry.find(number)
    if version is None:
        return registry
    for other in registry.training_history:
        if other.outcome == "live" and other.version != number:
            registry = registry.with_fields(other.version, outcome="superseded")
    for older in registry.ancestry(version)[1:]:
        if older.outcome == "rolled_back":
            registry = registry.with_fields(older.version, outcome="superseded", held=False)
    held: dict[str, Any] = {"held": False} if version.held else {}
    registry = registry.with_fields(number, outcome="live", **held)
    if registry.versioning.enabled and registry.versioning.auto_update_base:
        return registry.changed(current_base_model=version.output_model_path, model_type="local")
    return registry


def pinned(registry: Registry, number: int) -> Registry:
    """Retention leaves the version alone. Raises MetahumanError where there is none, or nothing of it is left."""
    return registry.with_fields(_usable(registry, number).version, pinned=True)


def unpinned(registry: Registry, number: int) -> Registry:
    """Retention may decide on the version again. Raises MetahumanError where there is none."""
    return registry.with_fields(registry.get(number).version, pinned=False)


def released(registry: Registry) -> Registry:
    """No memory is held any more: what versions that were rolled back have trained is due again."""
    for version in registry.training_history:
        if version.held:
            registry = registry.with_fields(version.version, held=False)
    return registry


def _moved_to(registry: Registry, version: Version, *, publishes: bool) -> Registry:
    """The version is live, its alias is due to follow, and no next run starts from what was rolled back."""
    registry = made_live(registry, version.version)
    if publishes and version.ollama_name:
        registry = registry.with_fields(version.version, publication="due")
    base = registry.by_model_path(registry.current_base_model)
    if base is not None and base.outcome == "rolled_back":
        return registry.changed(current_base_model=version.output_model_path, model_type="local")
    return registry


def _left_behind(registry: Registry, version: Version) -> tuple[Version, ...]:
    """What a rollback to `version` leaves: the live one's line down to it, and all that was made on that line.

    A rejected version was never part of any line: its memories are due as they were.
    """
    kept = {one.version for one in registry.ancestry(version)}
    left = {one.version for one in registry.ancestry(registry.live())} - kept
    for one in sorted(registry.training_history, key=lambda one: one.version):  # parents are older than their children
        if one.parent_version in left and one.version not in kept:
            left.add(one.version)
    return tuple(one for one in registry.training_history if one.version in left and one.outcome != "rejected")


def _not_passed(version: Version, hint: str) -> MetahumanError:
    why = "; ".join(version.reasons) or "it did not pass its tests"
    return MetahumanError(f"version {version.version} was rejected: {why}", hint)


def _usable(registry: Registry, number: int) -> Version:
    version = registry.get(number)
    if version.storage == "removed":
        raise MetahumanError(f"version {number} was removed: nothing of it is left to go on with")
    return version
