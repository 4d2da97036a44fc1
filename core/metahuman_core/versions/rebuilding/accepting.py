"""What becomes of a rebuilt part that differs from what was registered: kept apart, and accepted by a person.

Invariant: the new hashes are entered in one update, before a part gets its name, and what is here after it has one. So
at every moment what has its name has the recorded hash, and what is said to be here is here; what was accepted and
still lies apart is known by its hash, and gets its name at the next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahuman_core.durable import fsync_path, remove, sha256_file, sha256_tree
from metahuman_core.errors import MetahumanError
from metahuman_core.fingerprint import fingerprint
from metahuman_core.journal import read_run_file
from metahuman_core.layout import ProfilePaths, relative_to_root
from metahuman_core.registry import Registry, Storage, Version, update_registry
from metahuman_core.results import Gguf, Merged
from metahuman_core.versions.parts import CALLED, Parts, parts_of
from metahuman_core.versions.protected import anchor_version
from metahuman_core.versions.rebuilding.planning import Cache

_APART: dict[Cache, str] = {"model": "model.differs", "gguf": "model.differs.gguf"}
_RESULTS: dict[Cache, str] = {"model": "merged", "gguf": "gguf"}
_STEPS_ONCE: dict[Cache, str] = {"model": "merge", "gguf": "convert"}  # of runs that had a step for each


@dataclass(frozen=True, slots=True)
class Differing:
    """A part that came out otherwise: where it is kept, its SHA-256, its bytes."""

    part: Cache
    at: Path
    sha256: str
    size_bytes: int


def place_apart(parts: Parts, part: Cache) -> Path:
    """Where a part is kept that is not what was registered."""
    return parts.run_dir / _APART[part]


def keep_apart(made: Path, parts: Parts, part: Cache) -> Path:
    """Move what was made there, in place of what lay there before."""
    return move(made, place_apart(parts, part))


def move(made: Path, to: Path) -> Path:
    """Give what was made (and is on the disk) another name, durably; what half a deletion has left there goes."""
    if to.is_dir():
        remove(to)
    made.rename(to)
    fsync_path(to.parent)
    return to


def sha256_of(path: Path) -> str:
    """A part's SHA-256: of a folder over all its files."""
    return sha256_tree(path) if path.is_dir() else sha256_file(path)


def require_registered(version: Version, part: Cache, path: Path) -> None:
    """Raise MetahumanError where what is here, and something else was made of, is not what was registered."""
    if sha256_of(path) != getattr(version, f"{part}_sha256"):
        raise MetahumanError(
            f"version {version.version}'s model/ is not the one that was registered ({path})",
            "move it away: then it is made again by the same command",
        )


def differs(
    version: Version, part: Cache, made: Merged | Gguf, kept: Sequence[Differing], paths: ProfilePaths
) -> MetahumanError:
    """The error for a part that came out otherwise, with what may have caused it, what is `kept`, and the way out."""
    number, name = version.version, CALLED[part]
    then = _made_with(parts_of(version, paths), part)
    then_and_now = (
        f"; it was made with {then}, and now with {made.made_with}" if then and then != made.made_with else ""
    )
    places = " and ".join(relative_to_root(one.at, paths.root) for one in kept)
    return MetahumanError(
        f"version {number}'s {name} comes out otherwise than it was registered (SHA-256 {made.sha256[:12]}…, "
        f"not {getattr(version, f'{part}_sha256')[:12]}…{then_and_now})"
        f"{f'; kept apart: {places}' if places else ''}",
        f"rebuild it with the versions and the CPU of then, or take it: `metahuman rebuild {number} --accept`",
    )


def _made_with(parts: Parts, part: Cache) -> str:
    """What a part was made with first, as its run's journal has it; "" where it does not say."""
    file = read_run_file(parts.run_dir)
    steps = file.steps if file else {}
    results = steps["weights"].result if "weights" in steps else None
    step = steps.get(_STEPS_ONCE[part])
    result = results.get(_RESULTS[part]) if isinstance(results, dict) else step and step.result
    return str(result.get("made_with") or "") if isinstance(result, dict) else ""


def enter_accepted(registry_path: Path, version: Version, differing: Sequence[Differing]) -> Version:
    """Enter the hashes of what was accepted, in one update. Gives the entry.

    The versions that stand on its `model/` have pinned that by its fingerprint: they stand on the accepted one from
    here. What was registered first stays in the entries (`…_first`).
    """
    model = next((made for made in differing if made.part == "model"), None)
    revision = fingerprint(model.at) if model else ""

    def change(registry: Registry) -> Registry:
        before = _still_there(registry, version)
        registry = registry.with_fields(version.version, **_hashes(before, differing))
        for other in registry.training_history if model else ():
            if (anchor := anchor_version(other, registry)) and anchor.version == version.version:
                first = other.anchor_revision_first or other.anchor_revision
                registry = registry.with_fields(other.version, anchor_revision=revision, anchor_revision_first=first)
        return registry

    return _still_there(update_registry(registry_path, change), version)


def enter_same_on_both(registry_path: Path, version: Version) -> None:
    """Enter that a version comes out the same on the base that was accepted as on the one that it was trained on."""
    update_registry(registry_path, lambda registry: registry.with_fields(version.version, anchor_revision_first=""))


def enter_storage(registry_path: Path, version: Version, storage: Storage) -> Version:
    """Enter what is here of a version. Gives the entry."""

    def change(registry: Registry) -> Registry:
        return registry.with_fields(_still_there(registry, version).version, storage=storage)

    return _still_there(update_registry(registry_path, change), version)


def _still_there(registry: Registry, version: Version) -> Version:
    found = registry.find(version.version)
    if found is None or found.run_label != version.run_label:
        raise MetahumanError(f"version {version.version} is not in the registry any more", "see `metahuman history`")
    return found


def _hashes(before: Version, differing: Sequence[Differing]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for made in differing:
        old = getattr(before, f"{made.part}_sha256")
        fields[f"{made.part}_sha256_first"] = getattr(before, f"{made.part}_sha256_first") or old
        fields[f"{made.part}_sha256"] = made.sha256
        fields[f"{made.part}_bytes"] = made.size_bytes
        if made.part == "model":
            fields["anchor_revision_first"] = ""  # what stands here now was made of what it stands on now
        if made.part == "gguf":
            fields["ollama_blob"] = ""  # it told of the old file: the next publication makes the tag anew
            if before.publication == "done":
                fields["publication"] = "due"
    return fields


def name_accepted(version: Version, parts: Parts) -> None:
    """Give what was accepted before a kill its name; what lies apart beside a part that is here goes."""
    places: tuple[tuple[Cache, bool, Path], ...] = (
        ("gguf", parts.has_gguf(), parts.gguf),
        ("model", parts.has_model(), parts.model),
    )
    for part, here, at in places:
        apart = place_apart(parts, part)
        if not apart.exists():
            continue
        if here:
            remove(apart)
        # Where nothing was ever accepted nothing can be waiting for its name, and need not be read.
        elif getattr(version, f"{part}_sha256_first") and sha256_of(apart) == getattr(version, f"{part}_sha256"):
            move(apart, at)
