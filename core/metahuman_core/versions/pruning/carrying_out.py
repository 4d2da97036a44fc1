"""Carries out what retention decided: tombstone, Ollama's tag, registry, files, version by version.

Invariants: everything is checked again in the one change of the registry, and only then is a file touched; a cache goes
only while what it can be rebuilt from is here and has its hash; a name that exists is whole. Killed anywhere, the next
start finishes (`finish_prunings`). What goes wrong with one version is that version's alone. A version that is erased,
since it knows what a person had erased, keeps its entry alone, and is never the live one. Needs the cycle's lock.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metahuman_core.errors import MetahumanError
from metahuman_core.lineage import base_name
from metahuman_core.registry import Registry, Version, update_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.parts import parts_of
from metahuman_core.versions.protected import anchor_version, protections
from metahuman_core.versions.pruning import tombstone
from metahuman_core.versions.pruning.clearing import NotMoved, Site, archive_of, clear, put_away_there, site_of
from metahuman_core.versions.pruning.tombstone import Tombstone
from metahuman_core.versions.pruning.withdrawing import WITHDRAWN, Withdraw, withdraw_owed, withdrawer
from metahuman_core.versions.rebuildable import why_not_as_it_is
from metahuman_core.versions.retention.planning import Verdict
from metahuman_core.versions.sane import require_sane

Say = Callable[[str], None]
_AGAIN = "see `metahuman prune --dry-run`"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Done:
    """What was carried out: the bytes that each version freed, and what went wrong, a line for each version."""

    freed_bytes: dict[int, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def carry_out(
    verdicts: Iterable[Verdict],
    site: Site,
    withdraw: Withdraw,
    say: Say,
    reached: Callable[[str], None] = lambda _: None,
) -> Done:
    """Do what the verdicts say, the newest version first, and make up for what Ollama is owed.

    `reached` is told each step. Raises MetahumanError, and nothing has changed, where the registry makes no sense.
    """
    site.registry()
    freed: dict[int, int] = {}
    errors: list[str] = []
    rebuildable: dict[int, str] = {}
    # A version that stands on another one's model/ is newer than that, and goes first.
    for verdict in sorted(verdicts, key=lambda verdict: -verdict.version):
        if verdict.before == verdict.after and not (verdict.parts or verdict.erases):
            continue
        try:
            freed[verdict.version] = _carry_out_one(verdict, site, withdraw, rebuildable, reached)
        except (MetahumanError, OSError) as error:
            errors.append(_said(verdict.version, error))
            say(errors[-1])
    withdraw_owed(site.registry_path, withdraw)
    return Done(freed, tuple(errors))


def finish_prunings(settings: Settings, profile: str, say: Say, withdraw: Withdraw | None = None) -> list[str]:
    """Finish what was broken off, if anything was. Gives what went wrong, a line for each version.

    What the registry has not been told of is taken back: it is planned anew. Raises MetahumanError where the registry
    makes no sense.
    """
    site = site_of(settings, profile)
    broken_off = tombstone.folders(site.paths)
    errors: list[str] = []
    if not broken_off:
        return errors
    registry = site.registry()
    for run_dir in broken_off:
        number: int | str = run_dir.name
        try:
            version = _registered(run_dir, registry)
            number = version.version
            found = tombstone.read(run_dir)
            if version.storage == found.after and (version.erased or not found.erases):
                _clear_or_take_back(version, found, site)
                say(f"version {number}: the clearing away that was broken off is finished")
            _end(run_dir, erased=version.erased)
        except (MetahumanError, OSError) as error:
            errors.append(_said(number, error))
            say(errors[-1])
    withdraw_owed(site.registry_path, withdraw or withdrawer(settings, say))
    return errors


def _registered(run_dir: Path, registry: Registry) -> Version:
    version = next((v for v in registry.training_history if v.run_label == run_dir.name), None)
    if version is None:
        raise MetahumanError("it is not in the registry, and nothing is cleared away there", f"see {run_dir}")
    return version


def _carry_out_one(
    verdict: Verdict, site: Site, withdraw: Withdraw, rebuildable: dict[int, str], reached: Callable[[str], None]
) -> int:
    version = _still_so(verdict, site.registry(), site, rebuildable)
    parts = parts_of(version, site.paths)
    fields: dict[str, Any] = {"storage": verdict.after, **({"erased": True} if verdict.erases else {})}
    if verdict.after == "archived" and "adapter" in verdict.parts:
        fields["in_archive"] = True
        put_away_there(version, site)
        reached("put away")
    if verdict.after == "removed" and version.in_archive:
        archive_of(site, used=True)
    tombstone.put(parts.run_dir, Tombstone(**{name: getattr(verdict, name) for name in Tombstone.model_fields}))
    reached("tombstone")
    try:
        if verdict.after in ("archived", "removed") and version.publication != "off":
            # One that is due was there before, if it is due again since it was made live while no server answered.
            may_be_there = version.publication == "done" or version.ollama_server
            fields |= {"publication": "done"} if may_be_there and not withdraw(version) else WITHDRAWN
            reached("withdrawn")
        after = update_registry(
            site.registry_path,
            lambda now: _still_sane(now).with_fields(_still_so(verdict, now, site, rebuildable).version, **fields),
        )
    except MetahumanError:
        if version.publication == "done" and fields.get("publication") == "off":  # pinned while Ollama was asked
            update_registry(site.registry_path, lambda now: now.with_fields(version.version, **WITHDRAWN))
        tombstone.take_away(parts.run_dir)
        raise
    reached("registry")
    entered = after.find(version.version)
    assert entered is not None  # noqa: S101 - _still_so found it there
    freed = _clear_or_take_back(entered, verdict, site, reached)
    _end(parts.run_dir, erased=entered.erased)
    reached("done")
    return freed


def _clear_or_take_back(
    version: Version, asked: Verdict | Tombstone, site: Site, reached: Callable[[str], None] = lambda _: None
) -> int:
    """Clear the parts away; where they cannot be, the registry says again that they are here."""
    try:
        freed = clear(version, asked.parts, site, reached)
    except NotMoved as error:
        before: dict[str, Any] = {"storage": asked.before, **({"erased": False} if asked.erases else {})}
        update_registry(site.registry_path, lambda now: now.with_fields(version.version, **before))
        tombstone.take_away(parts_of(version, site.paths).run_dir)
        raise error.why from error
    if asked.erases:
        tombstone.clear_all_else(parts_of(version, site.paths).run_dir)
        reached("texts removed")
    return freed


def _end(run_dir: Path, *, erased: bool) -> None:
    if erased:
        tombstone.take_away_with_its_folder(run_dir)
    else:
        tombstone.take_away(run_dir)


def _still_sane(registry: Registry) -> Registry:
    require_sane(registry)
    return registry


def _still_so(verdict: Verdict, registry: Registry, site: Site, rebuildable: dict[int, str]) -> Version:
    """The version as it stands, if the verdict may still be carried out. Raises MetahumanError where it may not."""
    version = registry.find(verdict.version)
    if version is None or (version.storage or parts_of(version, site.paths).storage()) != verdict.before:
        raise MetahumanError("it has changed meanwhile, and is left as it is", _AGAIN)
    if verdict.erases:
        if version == registry.live() or version == registry.by_model_path(base_name(None, registry)):
            raise MetahumanError("it is live, or the base of the next run, and is left as it is", _AGAIN)
    elif reasons := protections(registry).get(version.version):
        raise MetahumanError(f"it is {', '.join(reasons)}, and is left as it is", _AGAIN)
    if verdict.after == "removed":
        if registry.versioning.keep_all_versions and not verdict.erases:
            raise MetahumanError("keep_all_versions is true, and it is left as it is", _AGAIN)
        needed_by = [
            other.version
            for other in registry.training_history
            if other.storage != "removed" and (anchor := anchor_version(other, registry)) and anchor == version
        ]
        if needed_by:
            raise MetahumanError(f"version {needed_by[0]} stands on its model/, and it is left as it is", _AGAIN)
    elif verdict.before != verdict.after and (
        why := why_not_as_it_is(version, registry, site.paths, site.archive, rebuildable)
    ):
        raise MetahumanError(f"it could not be rebuilt, and is left as it is: {why}", _AGAIN)
    return version


def _said(version: int | str, error: Exception) -> str:
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        way_out = (
            "make room there, and prune again" if error.errno in _FULL else "check its owner, mode and file system"
        )
        return f"version {version}: {error.strerror or error}{where} ({way_out})"
    text = str(error)
    return text if text.startswith(f"version {version}") else f"version {version}: {text}"
