"""Applies the policy of `[retention]`: what was broken off is finished, then it is planned anew and carried out.

Invariant: needs the cycle's lock; what goes wrong with one version is said, and does not hold up the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from metahuman_core.errors import BusyError, MetahumanError
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.registry import Registry, load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import check_archive
from metahuman_core.versions.pruning.carrying_out import carry_out, finish_prunings
from metahuman_core.versions.pruning.clearing import site_of
from metahuman_core.versions.pruning.reserve import keep_reserve, use_reserve
from metahuman_core.versions.pruning.withdrawing import owed, withdraw_owed, withdrawer
from metahuman_core.versions.rebuilding.there_again import with_what_is_there
from metahuman_core.versions.retention.candidates import retention_plan
from metahuman_core.versions.retention.planning import Plan, Verdict
from metahuman_daemon.clock import now, zone_of
from metahuman_daemon.in_words import size, versions_named

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What was planned, what was done (a line for each version) and the bytes that are free now, what went wrong."""

    plan: Plan
    done: tuple[str, ...]
    freed_bytes: int
    errors: tuple[str, ...]


def plan_ahead(settings: Settings, profile: str) -> Plan:
    """What would be done now. Raises MetahumanError where the policy, or the registry, makes no sense."""
    site = site_of(settings, profile)
    return _plan(settings, profile, with_what_is_there(site.registry(), site.paths))


def why_not_archived(settings: Settings, profile: str, plan: Plan) -> str:
    """Why the versions whose adapters would be put away stay as they are, in one line ("": they do not)."""
    site = site_of(settings, profile)
    waiting = [v.version for v in plan.verdicts if v.after == "archived" and "adapter" in v.parts]
    if not waiting or site.archive is None:
        return ""
    try:
        check_archive(site.archive, used=any(v.in_archive for v in site.registry().training_history))
    except MetahumanError as error:
        return f"{versions_named(waiting)} would stay: {error}"
    return ""


def apply_retention(settings: Settings, profile: str, say: Say) -> Applied:
    """Do it; what goes wrong is said. Raises as `plan_ahead`, and nothing is deleted then."""
    site, withdraw = site_of(settings, profile), withdrawer(settings, say)
    use_reserve(settings.root)
    unfinished = finish_prunings(settings, profile, say, withdraw)
    registry = site.registry()
    if with_what_is_there(registry, site.paths) != registry:
        registry = update_registry(site.registry_path, lambda now: with_what_is_there(now, site.paths))
    plan = _plan(settings, profile, registry)
    done = carry_out(plan.verdicts, site, withdraw, say)
    keep_reserve(settings.root)
    freed = done.freed_bytes
    lines = tuple(told(verdict, freed[verdict.version]) for verdict in plan.changes if verdict.version in freed)
    return Applied(plan, lines, sum(freed.values()), (*unfinished, *done.errors))


def apply_after_a_run(settings: Settings, profile: str, say: Say) -> None:
    """The same after a version was made by hand: that it was made stands, whatever becomes of this."""
    try:
        with cycle_lock(cycle_lock_path(settings.root), f"retention of profile {profile}"):
            applied = apply_retention(settings, profile, say)
        for line in applied.done:
            say(line)
        if applied.freed_bytes:
            say("what is archived can be had again: `metahuman rebuild V`; `metahuman pin V` keeps a version as it is")
    except BusyError:
        say("older versions are not cleared away now, for another cycle runs: `metahuman prune` does it")
    except (MetahumanError, OSError) as error:
        say(f"older versions are not cleared away: {error}")


def withdraw_what_is_owed(settings: Settings, profile: str, say: Say) -> None:
    """Take out of Ollama what should have left it while it was down; another time where a cycle runs."""
    path = settings.registry_path(profile)
    if not owed(load_registry(path)):
        return
    try:
        with cycle_lock(cycle_lock_path(settings.root), f"withdrawing from Ollama for profile {profile}"):
            for number in withdraw_owed(path, withdrawer(settings, say)):
                say(f"version {number} has left Ollama: it is archived or removed")
    except BusyError:
        return


def told(verdict: Verdict, freed_bytes: int) -> str:
    """A verdict that was carried out, in one line."""
    change = "" if verdict.before == verdict.after else f" {verdict.before} → {verdict.after}"
    freed = f", {size(freed_bytes)} freed" if freed_bytes else ""
    return f"version {verdict.version}:{change or ' ' + verdict.after} ({'; '.join(verdict.reasons)}){freed}"


def _plan(settings: Settings, profile: str, registry: Registry) -> Plan:
    archive = site_of(settings, profile).archive
    return retention_plan(settings, profile, registry, archive, now, zone_of(settings))
