"""Takes over a registry of the original MetaHuman: looks for its files, copies what lies elsewhere, enters what is.

Invariants: the registry is replaced once, at the end, and a backup of one that is changed in place lies beside it; no
file of the original's is changed or deleted; nothing outside of the two roots is looked at. Needs the cycle's lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from metahuman_core.durable import sha256_file, sha256_tree, tree_files, write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.ollama.gguf_header import read_facts
from metahuman_core.progress import Progress, Report
from metahuman_core.registry import Registry, Version, load_registry, update_registry
from metahuman_core.settings import Settings
from metahuman_core.versions.importing.copying import Copy, carry_out, require_room
from metahuman_core.versions.importing.deciding import Seen, imported, is_original, with_labels
from metahuman_core.versions.importing.reading import made_relative, read_theirs
from metahuman_core.versions.parts import Parts, is_whole_model, parts_of


@dataclass(frozen=True, slots=True)
class Places:
    """Where a version's parts should lie, and where they are found elsewhere (None: nowhere)."""

    version: Version
    parts: Parts
    model: Path | None
    gguf: Path | None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What was found out (or would be entered), line by line; `backup` is the old registry's copy, if there is one."""

    said: tuple[str, ...]
    versions: int
    backup: Path | None


def take_over(
    settings: Settings, profile: str, source: Path, report: Report, *, copy: bool = False, dry_run: bool = False
) -> TakenOver:
    """Import the registry `source`. Raises MetahumanError where that cannot be; then nothing was entered.

    What was imported without a single file can be imported again: with `copy`, or when its drive is there.
    """
    target = settings.registry_path(profile)
    in_place = target.exists() and source.resolve() == target.resolve()
    theirs, before = read_theirs(source, in_place=in_place), load_registry(target)
    if not in_place and before is not None and not _is_same_without_files(before, theirs):
        count = len(before.training_history)
        raise MetahumanError(
            f"{target} has {count} version{'s' * (count != 1)} already: two histories cannot be one",
            "import into a profile or a root of its own",
        )
    if not any(map(is_original, theirs.training_history)):
        backups = _backups(target) if _is_same_without_files(theirs, theirs) else []
        again = f"; what is absent is looked for again by importing {backups[-1]}" if backups else ""
        return TakenOver((f"nothing to import: every version is entered with what of it is there{again}",), 0, None)
    root, their_root = settings.root.absolute(), source.resolve().parent.parent
    registry = with_labels(made_relative(theirs, their_root))
    paths = ProfilePaths(root, profile)
    places = [_places(v, root, their_root, paths) for v in registry.training_history if is_original(v)]
    if copy:
        wanted = [one for place in places for one in _to_copy(place, root, their_root)]
        require_room(root, wanted)
        if not dry_run:
            _copy(wanted, report)
            places = [_places(place.version, root, their_root, paths) for place in places]
    seen = _seen(places, report, hashed=not dry_run)
    if copy and dry_run:
        seen = {place.version.version: _as_if_copied(place, seen[place.version.version]) for place in places}
    name = settings.ollama_name(profile)
    result = imported(registry, seen, profile, name, lambda base: (root / base).is_dir())
    if dry_run:
        return TakenOver(result.said, len(places), None)
    backup = _back_up(target) if before and before.training_history else None

    def change(now: Registry) -> Registry:
        if now != (before or Registry()):
            raise MetahumanError(f"{target} has changed meanwhile", "import again")
        if in_place or before is None or not before.failed_runs:
            return result.registry
        return result.registry.changed(failed_runs=(*result.registry.failed_runs, *before.failed_runs))

    update_registry(target, change, Registry())
    return TakenOver(result.said, len(places), backup)


def _is_same_without_files(before: Registry, theirs: Registry) -> bool:
    """Whether all that is entered here is of that history, and nothing of it came along."""
    runs = {(version.version, version.run_id) for version in theirs.training_history}
    return all(
        version.storage == "removed" and not version.adapter_sha256 and (version.version, version.run_id) in runs
        for version in before.training_history
    )


def _places(version: Version, root: Path, their_root: Path, paths: ProfilePaths) -> Places:
    """Look under our root first, then under the registry's own."""
    parts = parts_of(version, paths)
    models = [at for at in _candidates(version.output_model_path, root, their_root) if is_whole_model(at)]
    ggufs = [at for at in _candidates(version.gguf_path, root, their_root) if is_gguf(at)]
    return Places(
        version,
        parts,
        model=None if is_whole_model(parts.model) or not models else models[0],
        gguf=None if is_gguf(parts.gguf) or not ggufs else ggufs[0],
    )


def _candidates(path: str, root: Path, their_root: Path) -> Iterator[Path]:
    for base in (root, their_root):
        at = Path(os.path.normpath(base / path))
        if path and at != base and at.is_relative_to(base) and at.resolve().is_relative_to(base.resolve()):
            yield at


def is_gguf(path: Path) -> bool:
    """Whether a file is in the GGUF format."""
    try:
        read_facts(path)
    except (OSError, MetahumanError):
        return False
    return True


def _to_copy(place: Places, root: Path, their_root: Path) -> list[Copy]:
    pairs = ((place.model, place.parts.model), (place.gguf, place.parts.gguf))
    return [
        Copy(source, target, root if source.is_relative_to(root) else their_root)
        for source, target in pairs
        if source is not None
    ]


def _copy(wanted: list[Copy], report: Report) -> None:
    total = sum(one.size_bytes() for one in wanted)
    done = 0

    def copied(count: int) -> None:
        nonlocal done
        done += count
        report(Progress("copy", done, total, "bytes"))

    for one in wanted:
        carry_out(one, copied)


def _seen(places: list[Places], report: Report, *, hashed: bool) -> dict[int, Seen]:
    """Sizes and hashes of what is in the versions' own folders."""
    total = sum(_model_bytes(place.parts.model) + _gguf_bytes(place.parts.gguf) for place in places)
    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        report(Progress("hash", done, total, "bytes"))

    def seen(place: Places) -> Seen:
        model, gguf = place.parts.model, place.parts.gguf
        model_bytes, gguf_bytes = _model_bytes(model), _gguf_bytes(gguf)
        elsewhere = sorted({str(at.parent) for at in (place.model, place.gguf) if at is not None})
        return Seen(
            model_bytes=model_bytes,
            model_sha256=sha256_tree(model, read) if model_bytes and hashed else "",
            gguf_bytes=gguf_bytes,
            gguf_sha256=sha256_file(gguf, read) if gguf_bytes and hashed else "",
            quantization=read_facts(gguf).quantization if gguf_bytes else "",
            elsewhere=" and ".join(elsewhere),
        )

    return {place.version.version: seen(place) for place in places}


def _as_if_copied(place: Places, seen: Seen) -> Seen:
    return replace(
        seen,
        model_bytes=seen.model_bytes or (_model_bytes(place.model) if place.model else 0),
        gguf_bytes=seen.gguf_bytes or (_gguf_bytes(place.gguf) if place.gguf else 0),
        elsewhere="",
    )


def _model_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in tree_files(folder)) if is_whole_model(folder) else 0


def _gguf_bytes(path: Path) -> int:
    return path.stat().st_size if is_gguf(path) else 0


def _backups(path: Path) -> list[Path]:
    """The copies of a registry that lie beside it, as they were before an import, the oldest first."""
    names = (f"{path.stem}.before-import{number or ''}{path.suffix}" for number in range(1000))
    return list(takewhile(Path.exists, map(path.with_name, names)))


def _back_up(path: Path) -> Path:
    """Copy the registry beside itself, under a name that is not there yet."""
    backup = path.with_name(f"{path.stem}.before-import{len(_backups(path)) or ''}{path.suffix}")
    write_text(backup, path.read_text(encoding="utf-8"))
    return backup
