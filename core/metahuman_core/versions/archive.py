"""Cold storage: adapters of archived versions, on another disk (`retention.archive_dir`).

Invariants: a copy that has its name there is whole, was read back from the disk and is never changed; what is here is
not deleted by this module. The folder itself is never made: one that is missing, or has lost its marker (the empty
mount point of a drive that is not there), is an error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metahuman_core.durable import PARTIAL, copy_file, making, partial_of, remove, sha256_file, sha256_tree, write_text
from metahuman_core.errors import MetahumanError, PassingError
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Version
from metahuman_core.settings import Settings
from metahuman_core.versions.parts import parts_of

MARKER = "metahuman-archive.txt"
_MARKED = "Adapters of archived versions of MetaHuman: they lie nowhere else. Keep them, and this file with them.\n"
_WHOSE = "root.txt"
_MOVE_AWAY = "move the one in the archive away, and prune again"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def archive_folder(settings: Settings) -> Path | None:
    """The cold storage, relative to the root if the setting is; None where there is none."""
    named = settings.retention.archive_dir
    return settings.root / Path(named).expanduser() if named else None


def archived_adapter(version: Version, paths: ProfilePaths, archive: Path) -> Path:
    """Where a version's adapter lies there, or would. Raises MetahumanError where it has no run label."""
    return archive / paths.name / parts_of(version, paths).run_dir.name / "adapter"


def find_archived(version: Version, paths: ProfilePaths, archive: Path | None) -> Path | None:
    """A version's adapter in the cold storage, if it was moved there and is there now."""
    if archive is None or not version.in_archive:
        return None
    adapter = archived_adapter(version, paths, archive)
    return adapter if adapter.is_dir() else None


def check_archive(archive: Path, *, used: bool) -> None:
    """Raise MetahumanError where the cold storage is not there; `used`: versions are known to lie in it."""
    if not archive.is_dir():
        raise MetahumanError(
            f"the archive {archive} is not there", "mount it, or make the folder that retention.archive_dir names"
        )
    if used and not (archive / MARKER).is_file():
        raise MetahumanError(
            f"the archive {archive} has no {MARKER}, and versions were put there",
            "is its drive mounted? If it is, and this is the place, make that file",
        )


def put_away(version: Version, paths: ProfilePaths, archive: Path, *, used: bool = False) -> Path:
    """Copy a version's adapter to the cold storage, read it back, and give its place; what is here stays.

    A copy that is there already is checked and not made again. `used`: other versions lie there already.

    Raises:
        PassingError: the archive's disk is full; nothing of the copy is left.
        MetahumanError: the archive is not there, or one of the two is not what the registry says; nothing has changed.
    """
    check_archive(archive, used=used or version.in_archive)
    copy, here = archived_adapter(version, paths, archive), parts_of(version, paths).adapter
    with _on(archive, version):
        if copy.is_dir():
            _require(copy, version, "in the archive", _MOVE_AWAY)
            if here.is_dir() and sha256_tree(copy) != sha256_tree(here):
                raise MetahumanError(f"version {version.version}'s adapter is not the one in the archive", _MOVE_AWAY)
            return copy
        _require(here, version, "here", "it is left where it is; see `metahuman verify`")
        if not (archive / MARKER).is_file():
            write_text(archive / MARKER, _MARKED)
        # Seen from the archive: both may be moved together.
        write_text(copy.with_name(_WHOSE), f"{os.path.relpath(paths.root.resolve(), archive.resolve())}\n")
        with making(copy) as partial:
            _copied(here, partial)
    return copy


def bring_back(version: Version, paths: ProfilePaths, archive: Path) -> Path:
    """Copy a version's adapter back from the cold storage, checked, and give its place; the copy there stays.

    Raises MetahumanError where it is not there, or not what the registry says.
    """
    check_archive(archive, used=True)
    copy, here = archived_adapter(version, paths, archive), parts_of(version, paths).adapter
    with _on(here.parent, version):
        if is_the_registered(here, version):
            return here
        _require(copy, version, "in the archive", "is there another copy of it?")
        with making(here) as partial:
            _copied(copy, partial)
    return here


def drop(version: Version, paths: ProfilePaths, archive: Path) -> None:
    """Delete a version's copy in the cold storage, if there is one: the version is removed for good.

    It stays where another root put it there and is there still: ours is a copy of that one.
    """
    copy = archived_adapter(version, paths, archive)
    with _on(archive, version):
        if _is_another_roots(copy, archive, version, paths):
            return
        if copy.is_dir():
            remove(partial_of(copy))
            copy.rename(partial_of(copy))
        remove(partial_of(copy))
        remove(copy.with_name(_WHOSE))
        if copy.parent.is_dir() and not any(copy.parent.iterdir()):
            copy.parent.rmdir()


def _is_another_roots(copy: Path, archive: Path, version: Version, paths: ProfilePaths) -> bool:
    try:
        root = archive.resolve() / copy.with_name(_WHOSE).read_text(encoding="utf-8").rstrip("\n")
        theirs = parts_of(version, ProfilePaths(root, paths.name)).run_dir
        return theirs.is_dir() and not theirs.samefile(parts_of(version, paths).run_dir)
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return False  # nobody knows, or that root has gone: it was moved here


def is_the_registered(adapter: Path, version: Version) -> bool:
    """Whether a folder holds the adapter that was registered: its weights are read and hashed."""
    weights = adapter / "adapter_model.safetensors"
    return bool(version.adapter_sha256) and weights.is_file() and sha256_file(weights) == version.adapter_sha256


def _require(adapter: Path, version: Version, where: str, hint: str) -> None:
    if not adapter.is_dir():
        raise MetahumanError(f"version {version.version} has no adapter {where} ({adapter})", hint)
    if not is_the_registered(adapter, version):
        raise MetahumanError(f"version {version.version}'s adapter {where} is not the one that was registered", hint)


def _copied(source: Path, target: Path) -> None:
    """Copy a folder of regular files, and read every byte of the copy back."""
    for folder, folders, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(mode=0o700)
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise MetahumanError(f"{path} is neither a file nor a folder", "take it out of the adapter")
        for name in names:
            if not name.endswith(PARTIAL):
                copy_file(Path(folder, name), into / name)


@contextmanager
def _on(place: Path, version: Version) -> Iterator[None]:
    """Say a disk's refusal in one line that names the version."""
    try:
        yield
    except OSError as error:
        said = f"version {version.version}: {place}: {error.strerror or error}"
        if error.errno in _FULL:
            raise PassingError(said, "make room there; nothing of it was deleted here") from error
        service = ", and if the service does it, name it in ReadWritePaths=" if error.errno == errno.EROFS else ""
        raise MetahumanError(said, f"nothing was deleted; mend that{service}, and prune again") from error
