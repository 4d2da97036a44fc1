"""The tombstone: a small file in a run's folder that says what is being cleared away there, and why.

Invariant: it is written before anything of a version is touched and goes when all is done. One that lies there means
that a pruning was broken off.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from metahuman_core.durable import fsync_path, remove, write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Storage
from metahuman_core.versions.parts import Part

NAME = "pruning.json"


class Tombstone(BaseModel):
    """What becomes of a version: its storage before and after, the parts that go from here, and the reasons.

    `erases`: all that is in the run's folder goes, and the folder.
    """

    model_config = ConfigDict(frozen=True)

    version: int
    before: Storage
    after: Storage
    parts: tuple[Part, ...]
    reasons: tuple[str, ...] = ()
    erases: bool = False


def put(run_dir: Path, tombstone: Tombstone) -> None:
    """Write it."""
    write_text(run_dir / NAME, tombstone.model_dump_json(indent=2) + "\n")


def read(run_dir: Path) -> Tombstone:
    """Read it. Raises MetahumanError for one that cannot be understood."""
    try:
        return Tombstone.model_validate_json((run_dir / NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise MetahumanError(
            f"{run_dir / NAME} cannot be understood, and nothing is cleared away there", "delete it, and prune again"
        ) from error


def take_away(run_dir: Path) -> None:
    """Delete it: all is done, or nothing is to be done."""
    (run_dir / NAME).unlink(missing_ok=True)
    fsync_path(run_dir)


def clear_all_else(run_dir: Path) -> None:
    """Delete all that lies in a run's folder but the tombstone."""
    for path in sorted(run_dir.iterdir()):
        if path.name != NAME:
            remove(path)
    fsync_path(run_dir)


def take_away_with_its_folder(run_dir: Path) -> None:
    """Delete it and the folder, in which nothing else is left; an empty one that a kill leaves is swept away."""
    take_away(run_dir)
    run_dir.rmdir()
    with suppress(OSError):
        run_dir.parent.rmdir()  # the day's, where this was its only run


def folders(paths: ProfilePaths) -> list[Path]:
    """The folders of runs that have one."""
    return [run_dir for run_dir in paths.run_dirs() if (run_dir / NAME).is_file()]
