"""Finishes an erasing: what still holds the text of an erased memory, and is nobody's version, goes.

Invariant: it can be done again at every point, and the next command that works there does: a kill leaves nothing for
ever. What registered versions hold is another matter: see `versions.retention`. Needs the cycle's lock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path

from metahuman_core.durable import remove
from metahuman_core.forgetting.anything import is_anything_erased
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.model_study.cache import forget_studied
from metahuman_core.plan import MEMORIES
from metahuman_core.registry import load_registry
from metahuman_core.settings import Settings

Say = Callable[[str], None]


def finish_erasing(settings: Settings, profile: str, say: Say) -> None:
    """Throw away runs that are no versions and hold what was erased, and what a model said of it; overwrite the ledger.

    What cannot be done now (a disk that is full) is said, and done another time.
    """
    paths = ProfilePaths(settings.root, profile)
    if not is_anything_erased(paths.ledger):
        return
    with Ledger(paths.ledger) as ledger:
        erased = ledger.forgetting.erased().keys()
        for label in discard_runs_with(settings, profile, erased):
            say(f"run {label} is thrown away: it was to train what is erased now; its other memories are due again")
        forget_studied(paths.studied, erased)
        try:
            ledger.forgetting.overwrite()
        except sqlite3.OperationalError as error:
            say(f"the ledger is not written anew yet ({error}): that is tried again with the next run")


def discard_runs_with(settings: Settings, profile: str, erased: Collection[str]) -> list[str]:
    """Throw runs away that are no registered versions and were to train one of these memories. Gives their labels."""
    registry = load_registry(settings.registry_path(profile))
    registered = {version.run_label for version in registry.training_history} if registry else set()
    found = [
        run_dir
        for run_dir in ProfilePaths(settings.root, profile).run_dirs()
        if run_dir.name not in registered and _digests(run_dir / MEMORIES) & set(erased)
    ]
    for run_dir in found:
        for path in sorted(run_dir.iterdir()):
            if path.name != MEMORIES:  # last of all: by it a run that was half removed is known
                remove(path)
        remove(run_dir)
    return [run_dir.name for run_dir in found]


def _digests(memories: Path) -> set[str]:
    try:
        with memories.open(encoding="utf-8") as lines:
            return {str(json.loads(line)["memory"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # another program's, or broken: a person decides
