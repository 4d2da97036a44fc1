"""Runs that were begun and not ended: which there is, whether it goes on, and how it is thrown away.

Invariant: at most one run of a profile is unfinished. The same command goes on with it; another is refused until that
one is finished or discarded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from metahuman_core.durable import partial_of, remove
from metahuman_core.errors import MetahumanError
from metahuman_core.journal import NAME, Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.plan import MEMORIES, QUESTIONS, Plan, read_plan
from metahuman_core.registry import load_registry
from metahuman_core.settings import Settings
from metahuman_core.wish import Wish, command_sha256


def unfinished_run(settings: Settings, profile: str, now: Callable[[], datetime]) -> Journal | None:
    """The run that was begun and not ended. Raises MetahumanError where a run's journal cannot be read."""
    found = None
    for run_dir in _begun(settings, profile):
        try:
            journal = Journal.open(run_dir, now)
        except MetahumanError:
            if run_dir.name in _registered(settings, profile):
                continue
            raise
        if not journal.file.ended:
            found = journal
    return found


def sweep(settings: Settings, profile: str) -> None:
    """Remove the folders of runs that were killed before their journal was written. Needs the cycle's lock.

    A folder that holds anything else stays: the original MetaHuman's runs are named like ours, and have no journal.
    """
    whole = (MEMORIES, QUESTIONS)
    ours = {*whole, *(partial_of(Path(name)).name for name in (*whole, NAME))}
    for run_dir in ProfilePaths(settings.root, profile).run_dirs():
        if run_dir.is_dir() and {path.name for path in run_dir.iterdir()} <= ours:
            remove(run_dir)


def discard_unfinished(
    settings: Settings,
    profile: str,
    now: Callable[[], datetime],
    keep: Callable[[Plan], bool] | None = None,
) -> list[str]:
    """Throw unfinished runs away, those with a broken journal too; their memories stay due. Gives their labels.

    With `keep`, runs whose plan it holds for good stay, and so do those whose plan nobody can read. A registered
    version keeps its folder, whatever its journal says (with `keep`, its journal stays, too). Needs the cycle's lock.
    """
    thrown_away = []
    registered = _registered(settings, profile)
    for run_dir in _begun(settings, profile):
        try:
            journal = Journal.open(run_dir, now)
        except MetahumanError:
            journal = None
        if run_dir.name in registered:
            # One that was killed between its entry and its end is ended by the same command, and not trained again.
            if journal and not journal.file.ended and keep is None:
                journal.end("registered")
        elif not ((journal and journal.file.ended) or (keep and _is_kept(journal, keep))):
            remove(run_dir)
            thrown_away.append(run_dir.name)
    return thrown_away


def discard_left_behind(settings: Settings, profile: str, now: Callable[[], datetime]) -> list[str]:
    """Throw the unfinished run away whose parent was rolled back since it was begun. Gives its label.

    Needs the cycle's lock.
    """
    registry = load_registry(settings.registry_path(profile))

    def is_wanted(plan: Plan) -> bool:
        parent = registry.find(plan.parent_version) if registry and plan.parent_version else None
        return plan.from_rolled_back or parent is None or parent.outcome != "rolled_back"

    return discard_unfinished(settings, profile, now, keep=is_wanted)


def _is_kept(journal: Journal | None, keep: Callable[[Plan], bool]) -> bool:
    try:
        return journal is None or keep(read_plan(journal.file.inputs))
    except MetahumanError:
        return True


def _begun(settings: Settings, profile: str) -> list[Path]:
    return [run_dir for run_dir in ProfilePaths(settings.root, profile).run_dirs() if (run_dir / NAME).is_file()]


def _registered(settings: Settings, profile: str) -> set[str]:
    registry = load_registry(settings.registry_path(profile))
    return {version.run_label for version in registry.training_history} if registry else set()


def is_same_command(settings: Settings, wish: Wish, journal: Journal) -> bool:
    """Whether this command, with these settings, is the one that began the run."""
    return read_plan(journal.file.inputs).command_sha256 == command_sha256(settings, wish)


def why_replaced(settings: Settings, wish: Wish, journal: Journal, *, failed: bool) -> str:
    """Why the unfinished run makes way for a new one where no person is there to ask; "" where it does not.

    `failed`: it has failed, so that other settings may help. A plan that cannot be read is another program's: an older
    or a newer one had other settings.
    """
    try:
        is_same = is_same_command(settings, wish, journal)
    except MetahumanError:
        return "was begun by another version of this program, which had other settings"
    return "failed with other settings" if failed and not is_same else ""


def refuse_other(settings: Settings, wish: Wish, journal: Journal) -> None:
    """Raise MetahumanError where another command began the unfinished run."""
    if not is_same_command(settings, wish, journal):
        raise MetahumanError(
            f"run {journal.run_dir.name} is unfinished, and was begun with other flags or settings",
            "go on with those, or throw it away with --discard",
        )
