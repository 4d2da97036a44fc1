"""Makes another version live: back to an older one, or to any. Ollama's alias and the next run's base move together.

Invariant: first all is made ready (the files, Ollama's tag), and a failure there changes nothing; then the registry
moves, in one write that also says that the alias is due; then the alias. Killed in between, the next start goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.forgetting.stale import stale_versions
from metahuman_core.layout import ProfilePaths
from metahuman_core.ollama.client import OllamaDown
from metahuman_core.plan import Plan
from metahuman_core.progress import Report
from metahuman_core.publishing import move_alias_to_live, require_server, verify_published
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.unfinished import discard_unfinished
from metahuman_core.versions.moving import (
    promoted,
    rolled_back_to,
    version_to_go_back_to,
    version_to_promote,
    waits_for_its_alias,
)
from metahuman_core.versions.protected import rollback_target
from metahuman_core.versions.pruning.carrying_out import finish_prunings
from metahuman_daemon.clock import now
from metahuman_daemon.having import have
from metahuman_daemon.holding import count_held, count_only_trained_by, memories_are
from metahuman_daemon.in_words import versions_named
from metahuman_daemon.locking import take_lock
from metahuman_daemon.publishing import hand_over

Say = Callable[[str], None]
Change = Callable[[Registry], Registry]


def roll_back(settings: Settings, profile: str, number: int | None, report: Report, say: Say) -> None:
    """Make an older version of the live one's line live (None: the one before). Raises BusyError, MetahumanErrors."""
    path = settings.registry_path(profile)
    seen = _registry(path)
    if number is None and settings.ollama.enabled and (waiting := waits_for_its_alias(seen)):
        # The last rollback was killed, or Ollama was down: typed again, it is not to go back one further.
        usual = rollback_target(seen)
        further = f"; `metahuman rollback {usual.version}` goes further back" if usual else ""
        alias = f"{waiting.ollama_name}:latest"
        say(f"{alias} is to follow version {waiting.version} still: that comes first{further}")
        number = waiting.version
    # As the person sees it: while the daemon makes way, another version may go live.
    target = version_to_go_back_to(seen, number).version

    def change(registry: Registry) -> Registry:
        return rolled_back_to(registry, target, publishes=settings.ollama.enabled)

    before, after = _move(settings, profile, target, f"the rollback to version {target}", change, report, say)
    left = [new.version for old, new in _pairs(before, after) if new.outcome == "rolled_back" and new != old]
    if left:
        held = memories_are(count_held(settings, profile, after))
        say(f"rolled back: {versions_named(left)}; {held} held until `metahuman resume`")


def promote(settings: Settings, profile: str, number: int, report: Report, say: Say, *, force: bool) -> None:
    """Make any version live, on whatever branch it stands. Raises BusyError, MetahumanErrors."""
    path = settings.registry_path(profile)
    version = version_to_promote(_registry(path), number, force=force)
    if version.is_rejected:
        say(f"version {number} was rejected, and is made live by hand: {'; '.join(version.reasons)}")

    def change(registry: Registry) -> Registry:
        return promoted(registry, number, force=force, now=now(), publishes=settings.ollama.enabled)

    before, after = _move(settings, profile, number, f"the promotion of version {number}", change, report, say)
    line = _labels(after.ancestry(after.find(number)))
    left = [label for label in _labels(before.ancestry(before.live())) if label not in line]
    if left and (count := count_only_trained_by(settings, profile, after, left, line)):
        say(f"{memories_are(count)} due again: only the branch that was left has trained them")


def _move(
    settings: Settings, profile: str, number: int, what: str, change: Change, report: Report, say: Say
) -> tuple[Registry, Registry]:
    """Make a version live by a change of the registry. Gives the registry before and after."""
    path = settings.registry_path(profile)
    with take_lock(settings, f"{what} of profile {profile}", say) as lock_fd:
        finish_prunings(settings, profile, say)
        before = _registry(path)
        planned = change(before)  # raises where it cannot be, before anything is made
        if planned == before:
            say(f"version {number} is live already")
            _repair(settings, profile, number, lock_fd, report, say)
            return before, before
        if number in stale_versions(before, ProfilePaths(settings.root, profile)):
            say(f"version {number} still knows what was erased: once it is live, a consolidation is due again")
        version = have(settings, profile, number, "serving", report, say, lock_fd)
        publishes = settings.ollama.enabled and bool(version.ollama_name)
        is_ready = publishes and _make_ready(settings, profile, version, report, say)
        for label in discard_unfinished(settings, profile, now, keep=lambda plan: _goes_on(plan, before, planned)):
            say(f"run {label} is thrown away: it would have gone on from what is left")
        after = update_registry(path, change)
        say(f"version {number} is live; the next run starts from {after.current_base_model}")
        if is_ready and _alias_moves(settings, profile, number, say):
            say(f"{version.ollama_name}:latest is version {number}")
        elif publishes:
            say(f"{version.ollama_name}:latest follows when Ollama is there: by the daemon, or by `metahuman publish`")
        named = settings.ollama_name(profile)
        if publishes and version.ollama_name.lower() != named.lower():
            said = f"{named}:latest stays what it is: version {number} was made when the name was {version.ollama_name}"
            say(f"{said}; `ollama cp {version.ollama_name}:latest {named}:latest` moves it too")
    return before, after


def _make_ready(settings: Settings, profile: str, version: Version, report: Report, say: Say) -> bool:
    """Have the version in Ollama, checked; the alias stays. False where no server answers."""
    try:
        require_server(settings.ollama.host)
        say(f"version {version.version} is asked in Ollama whether it answers: that takes as long as loading it")
        hand_over(version, settings, profile, report)
    except OllamaDown as error:
        say(error.message)
        return False
    return True


def _alias_moves(settings: Settings, profile: str, number: int, say: Say) -> bool:
    try:
        move_alias_to_live(settings.registry_path(profile), settings.ollama.host, number)
    except OllamaDown as error:
        say(error.message)
        return False
    return True


def _repair(settings: Settings, profile: str, number: int, lock_fd: int, report: Report, say: Say) -> None:
    """Where the alias of the live version is due, or is another's, it is moved."""
    path = settings.registry_path(profile)
    if not settings.ollama.enabled:
        return
    try:
        verify_published(path, settings.ollama.host)
        version = _registry(path).find(number)
        if version and version.publication == "due":
            have(settings, profile, number, "serving", report, say, lock_fd)
            hand_over(version, settings, profile, report)
            say(f"{version.ollama_name}:latest is version {number}")
    except OllamaDown as error:
        say(error.message)


def _goes_on(plan: Plan, before: Registry, after: Registry) -> bool:
    """Whether an unfinished run goes on from nothing that is left: a branch that was named for it is none of that."""
    if plan.parent_version is None:
        return before.current_base_model == after.current_base_model
    line = {version.version for version in after.ancestry(after.live())}
    left = {version.version for version in before.ancestry(before.live())} - line
    left |= {new.version for old, new in _pairs(before, after) if new.outcome == "rolled_back" and new != old}
    return plan.parent_version not in left


def _registry(path: Path) -> Registry:
    registry = load_registry(path)
    if registry is None or not registry.training_history:
        raise MetahumanError("there is no version yet", "`metahuman fine-tune` makes the first")
    return registry


def _pairs(before: Registry, after: Registry) -> list[tuple[Version | None, Version]]:
    return [(before.find(version.version), version) for version in after.training_history]


def _labels(line: tuple[Version, ...]) -> tuple[str, ...]:
    return tuple(version.run_label for version in line if version.run_label)
