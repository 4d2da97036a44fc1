"""What is there of all versions: on the disk, in the cold storage, in Ollama. Gathers, and judges nothing.

Invariant: nothing is changed, and no lock is taken. A file that was hashed is not read again in the same inventory
while its size, time and inode stay what they are: so a second look costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from metahuman_core.adapter_config import read_adapter_config
from metahuman_core.durable import PARTIAL, sha256_file, sha256_tree, tree_files
from metahuman_core.errors import MetahumanError
from metahuman_core.journal import NAME, Journal, digest_of
from metahuman_core.layout import ProfilePaths, cycle_lock_path, relative_to_root
from metahuman_core.locks import is_held
from metahuman_core.plan import MEMORIES
from metahuman_core.progress import Progress, Report
from metahuman_core.registry import Registry, Version, load_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.archive import archive_folder, archived_adapter
from metahuman_core.versions.parts import Parts, names_a_folder, parts_of
from metahuman_core.versions.pruning import tombstone
from metahuman_core.versions.rebuildable import why_not_rebuildable
from metahuman_core.versions.verifying.in_ollama import InOllama, look_into_ollama


@dataclass(frozen=True, slots=True)
class Found:
    """A part as it lies there: its bytes without a model card, its SHA-256 ("": not read), or why it cannot be read."""

    where: str
    there: bool
    size_bytes: int = 0
    sha256: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RunFound:
    """A run's folder: how its journal says it ended ("": it did not; None: there is none), or why it cannot be read.

    `dying`: a tombstone says that something of it is being cleared away. `apart`: what a rebuild made otherwise.
    """

    where: str
    ended: str | None
    problem: str = ""
    half_made: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    dying: bool = False
    memories_sha256: str = ""


@dataclass(frozen=True, slots=True)
class VersionFound:
    """The parts of one version. `archived` is None where no cold storage is named."""

    adapter: Found
    model: Found
    gguf: Found
    dataset: Found
    memories: Found
    archived: Found | None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of it. `lost_for_now`: why versions that would have to be rebuilt cannot be, by their numbers.

    `strangers`: what lies among the runs' folders and has no run's name.
    """

    registry: Registry
    versions: Mapping[int, VersionFound]
    lost_for_now: Mapping[int, str]
    runs: Mapping[str, RunFound]
    strangers: tuple[str, ...]
    ollama: InOllama
    at_work: bool


@dataclass
class Reading:
    """Hashes what it is given, tells how far it is, and remembers."""

    report: Report
    quick: bool
    read_bytes: int = 0
    total_bytes: int = 0
    _known: dict[tuple[object, ...], str] = field(default_factory=dict)

    def sha256(self, path: Path) -> str:
        """A file's SHA-256, read once."""
        status = path.stat()
        key = (str(path), status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._known:
            self._known[key] = sha256_file(path, self._tell)
        return self._known[key]

    def file(self, path: Path, root: Path, weights: Path | None = None) -> Found:
        """A file; or a folder that counts by its `weights` alone, and by the bytes of all that is in it."""
        return self._found(path, root, [weights or path], lambda: self.sha256(weights or path))

    def tree(self, path: Path, root: Path) -> Found:
        """A folder in which everything counts."""
        return self._found(path, root, tree_files(path), lambda: sha256_tree(path, self._tell))

    def _found(self, path: Path, root: Path, counting: list[Path], hashed: Callable[[], str]) -> Found:
        where = relative_to_root(path, root)
        try:
            key = (path, *((str(p), s.st_ino, s.st_size, s.st_mtime_ns) for p in counting for s in (p.stat(),)))
            size = sum(p.stat().st_size for p in tree_files(path)) if path.is_dir() else path.stat().st_size
            if not self.quick and key not in self._known:
                self._known[key] = hashed()
        except (FileNotFoundError, NotADirectoryError):
            return Found(where, there=False)
        except OSError as error:
            return Found(where, there=True, problem=error.strerror or str(error))
        return Found(where, there=True, size_bytes=size, sha256=self._known.get(key, ""))

    def _tell(self, count: int) -> None:
        self.read_bytes += count
        total = max(self.total_bytes, self.read_bytes)
        self.report(Progress("verify", self.read_bytes, total, "bytes"))


def take_inventory(settings: Settings, profile: str, reading: Reading, now: Callable[[], datetime]) -> Inventory:
    """Look at everything. Raises MetahumanError where the registry cannot be read."""
    paths = ProfilePaths(settings.root, profile)
    registry = load_registry(settings.registry_path(profile)) or Registry()
    archive = archive_folder(settings)
    usual = [version for version in registry.training_history if names_a_folder(version)]
    if not reading.total_bytes:
        places = [(version, parts_of(version, paths)) for version in usual]
        reading.total_bytes = sum(_bytes_to_read(version, parts) for version, parts in places)
    return Inventory(
        registry=registry,
        versions={version.version: _version_found(version, paths, archive, reading) for version in usual},
        lost_for_now={} if reading.quick else _lost_for_now(usual, registry, paths, archive, reading),
        runs={run_dir.name: _run_found(run_dir, settings.root, now) for run_dir in paths.run_dirs()},
        strangers=tuple(relative_to_root(path, settings.root) for path in paths.no_runs()),
        ollama=look_into_ollama(settings, profile, registry),
        at_work=is_held(cycle_lock_path(settings.root)),
    )


def _lost_for_now(
    versions: list[Version], registry: Registry, paths: ProfilePaths, archive: Path | None, reading: Reading
) -> dict[int, str]:
    known: dict[int, str] = {}
    rest = (version for version in versions if version.adapter_sha256 and version.storage in {"serving", "archived"})
    told = {v.version: why_not_rebuildable(v, registry, paths, archive, known, reading.sha256) for v in rest}
    return {number: why for number, why in told.items() if why}


def _bytes_to_read(version: Version, parts: Parts) -> int:
    model = version.model_bytes if parts.has_model() else 0
    gguf = version.gguf_bytes if parts.has_gguf() else 0
    return model + gguf + (version.adapter_bytes if parts.has_adapter() else 0)


def _version_found(version: Version, paths: ProfilePaths, archive: Path | None, reading: Reading) -> VersionFound:
    parts, root = parts_of(version, paths), paths.root
    put_away = archived_adapter(version, paths, archive) if archive else None
    return VersionFound(
        adapter=_adapter(parts.adapter, root, reading),
        model=reading.tree(parts.model, root)
        if parts.has_model()
        else Found(relative_to_root(parts.model, root), there=False),
        gguf=reading.file(parts.gguf, root),
        dataset=reading.file(parts.run_dir / "dataset.jsonl", root),
        memories=_memories(parts.run_dir / MEMORIES, root),
        archived=_adapter(put_away, root, reading) if put_away else None,
    )


def _adapter(folder: Path, root: Path, reading: Reading) -> Found:
    found = reading.file(folder, root, folder / "adapter_model.safetensors")
    if not found.there or found.problem:
        return found
    try:
        read_adapter_config(folder)
    except MetahumanError as error:
        return Found(found.where, there=True, problem=error.message)
    return found


def _memories(path: Path, root: Path) -> Found:
    """By the digest that the run's plan names: it is made of the text, and not of the file."""
    where = relative_to_root(path, root)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Found(where, there=False)
    except (OSError, UnicodeDecodeError) as error:
        return Found(where, there=True, problem=str(error))
    return Found(where, there=True, size_bytes=len(text.encode()), sha256=digest_of(text))


def _run_found(run_dir: Path, root: Path, now: Callable[[], datetime]) -> RunFound:
    half_made = sorted(path.name for path in run_dir.glob(f"*{PARTIAL}"))
    found = RunFound(
        relative_to_root(run_dir, root),
        ended=None,
        half_made=tuple(half_made),
        apart=tuple(sorted(path.name for path in run_dir.glob("model.differs*"))),
        dying=(run_dir / tombstone.NAME).is_file(),
    )
    if not (run_dir / NAME).is_file():
        return found
    try:
        file = Journal.open(run_dir, now).file
    except MetahumanError as error:
        return replace(found, problem=error.message)
    return replace(found, ended=file.ended, memories_sha256=str(file.inputs.get("memories_sha256", "")))
