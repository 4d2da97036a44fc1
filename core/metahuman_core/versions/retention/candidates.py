"""What the planner has to know of each version, told by the registry and the disk.

Nothing is decided here, and nothing is changed. Adapters are read whole, but only of versions that would lose something
that only they bring back: where all is as it should be, a plan costs a look at the names of files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from metahuman_core.forgetting.stale import knowing_versions
from metahuman_core.layout import ProfilePaths, label_time
from metahuman_core.lineage import base_name
from metahuman_core.plan import read_plan
from metahuman_core.registry import Registry, Version
from metahuman_core.settings import Settings
from metahuman_core.unfinished import unfinished_run
from metahuman_core.versions.footprint import Files, files_of
from metahuman_core.versions.knowing import still_there
from metahuman_core.versions.parts import names_a_folder, parts_of
from metahuman_core.versions.protected import anchor_version, protections
from metahuman_core.versions.rebuildable import why_not_as_it_is
from metahuman_core.versions.retention.fates import Candidate
from metahuman_core.versions.retention.planning import Plan, plan_retention
from metahuman_core.versions.retention.policy import policy_of

KNOWS_ERASED = "it knows what was erased"


def retention_plan(
    settings: Settings,
    profile: str,
    registry: Registry,
    archive: Path | None,
    now: Callable[[], datetime],
    zone: tzinfo,
) -> Plan:
    """What `[retention]` comes to for the versions of a profile as they are now. `archive`: see `archive_folder`.

    Raises ConfigError for a policy that names nothing, MetahumanError for one that would remove everything, or
    where the journal of a run cannot be read.
    """
    policy = policy_of(settings.retention)
    paths, keep_all = ProfilePaths(settings.root, profile), registry.versioning.keep_all_versions
    found = candidates(settings, profile, registry, archive, now)
    known: dict[int, str] = {}
    looked_at, at = set[int](), now()
    while True:
        plan = plan_retention(found, policy, at, zone, keep_all_versions=keep_all)
        losing = {v.version for v in plan.verdicts if v.after not in (v.before, "removed")}
        if losing <= looked_at:
            return plan
        looked_at |= losing
        whys = {
            version.version: why_not_as_it_is(version, registry, paths, archive, known)
            for version in registry.training_history
            if version.version in losing
        }
        found = tuple(replace(c, not_rebuildable=whys.get(c.version, c.not_rebuildable)) for c in found)


def candidates(
    settings: Settings, profile: str, registry: Registry, archive: Path | None, now: Callable[[], datetime]
) -> tuple[Candidate, ...]:
    """The facts of all versions but whether they can be rebuilt. Raises MetahumanError for a run's broken journal."""
    paths = ProfilePaths(settings.root, profile)
    kept = dict(protections(registry))
    erase = _to_erase(settings, registry, paths)
    journal = unfinished_run(settings, profile, now)
    if journal:
        begun = read_plan(journal.file.inputs)
        anchor = registry.by_model_path(begun.anchor)
        for needed in {number for number in (begun.parent_version, anchor and anchor.version) if number}:
            kept[needed] = (*kept.get(needed, ()), f"the unfinished run {journal.run_dir.name} goes on from it")
            erase -= {needed}

    def facts(version: Version) -> Candidate:
        protected = kept.get(version.version, ())
        if not names_a_folder(version):
            return candidate(version, registry, (*protected, "its entry names no folder of ours"), {}, archives=False)
        parts = parts_of(version, paths)
        found = version if version.storage else version.model_copy(update={"storage": parts.storage()})
        facts = candidate(found, registry, protected, files_of(version, parts), archives=archive is not None)
        return replace(facts, erase=(KNOWS_ERASED,) if version.version in erase else ())

    return tuple(facts(version) for version in registry.training_history)


def _to_erase(settings: Settings, registry: Registry, paths: ProfilePaths) -> frozenset[int]:
    """The versions that know what was erased, once the live one does not; the next run's base not before it moves."""
    knowing = knowing_versions(registry, paths) if settings.forget.erase_versions else frozenset()
    live, base = registry.live(), registry.by_model_path(base_name(None, registry))
    if live is None or live.version in knowing:
        return frozenset()
    return frozenset(v.version for v in still_there(registry, knowing) if v != base and not v.erased)


def candidate(
    version: Version,
    registry: Registry,
    protected: tuple[str, ...],
    files: Files,
    *,
    archives: bool,
) -> Candidate:
    """A version's facts: what its entry says, and what was found out beside it."""
    anchor = anchor_version(version, registry)
    return Candidate(
        version=version.version,
        made_at=made_at(version),
        storage=version.storage or "removed",
        rejected=version.is_rejected,
        protected=protected,
        anchor=anchor.version if anchor else None,
        archives=archives,
        files=files,
    )


def made_at(version: Version) -> datetime | None:
    """When a version was registered, by the clock of then; else when its run was begun; None where neither is told."""
    try:
        at = datetime.fromisoformat(version.timestamp)
    except ValueError:
        return label_time(version.run_label)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
