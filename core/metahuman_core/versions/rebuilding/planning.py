"""Decides what has to be made so that a version is served, or whole, again; and what that costs.

Pure but for looks at which files exist (and at the adapters' hashes). What a version stands on comes first: where that
is another version's `model/` which is not here, it is made too, and goes as soon as the next one is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metahuman_core.errors import MetahumanError
from metahuman_core.fingerprint import is_commit
from metahuman_core.journal import read_run_file
from metahuman_core.layout import ProfilePaths
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.parts import Parts, parts_of
from metahuman_core.versions.protected import anchor_version
from metahuman_core.versions.rebuildable import is_fetched, why_not_rebuildable
from metahuman_core.weight_sizes import unquantised_bytes

To = Literal["serving", "full"]
Cache = Literal["model", "gguf"]
"""A part that can be made again."""

# By which step what is made was made, and behind which; two of them where a run had no step for both yet.
_BEHIND = {"weights": "evaluate", "merge": "evaluate", "convert": "merge"}


@dataclass(frozen=True, slots=True)
class Making:
    """One pass over one version's weights: the parts that it writes.

    What it `keeps` of them gets its name; the rest goes when the next thing is made.
    """

    version: Version
    makes: tuple[Cache, ...]
    keeps: tuple[Cache, ...]


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """What is to be made, in this order, and its cost.

    `peak_bytes`: how much more than now lies on the disk at most; `took_s`: how long the same took when it was made
    first, by the journals of the runs (None where they do not say).
    """

    version: Version
    to: To
    makings: tuple[Making, ...]
    reads_bytes: int
    writes_bytes: int
    peak_bytes: int
    took_s: float | None


def plan_rebuilding(
    version: Version, to: To, registry: Registry, paths: ProfilePaths, archive: Path | None, *, accept: bool = False
) -> Rebuilding:
    """What has to be made for `version` to be `serving` (GGUF) or `full` (model/ too). Nothing, where it is here.

    `accept`: it may come out otherwise, and what stands on its model/ is told by what that is: it is written too.
    Raises MetahumanError where it cannot be rebuilt: no adapter, no base, or a registry that leads in a circle.
    """
    parts = parts_of(version, paths)
    makings: list[Making] = []
    keeps: tuple[Cache, ...] = ("model",) if to == "full" and not parts.has_model() else ()
    keeps = keeps if parts.has_gguf() else (*keeps, "gguf")
    makes = keeps
    if _needs_model(parts, to):
        if version.storage == "removed":
            why = f"version {version.version} is removed: there is nothing left to rebuild it from"
            raise MetahumanError(why, "see `metahuman history`")
        if why := why_not_rebuildable(version, registry, paths, archive):
            raise MetahumanError(f"version {version.version} cannot be rebuilt: {why}", "see `metahuman verify`")
        makings = [Making(one, ("model",), ()) for one in _line(version, registry, paths)[:-1]]
        makes = ("model", "gguf") if accept and keeps == ("gguf",) else keeps
    if makes:
        makings.append(Making(version, makes, keeps))
    reads, writes, peak = _cost(makings)
    return Rebuilding(version, to, tuple(makings), reads, writes, peak, _took_s(makings, paths))


def base_to_fetch(version: Version, to: To, registry: Registry, paths: ProfilePaths) -> tuple[str, str] | None:
    """The base of the Hub and its commit that are needed for that and are not here (any more); None where none is."""
    if not _needs_model(parts_of(version, paths), to):
        return None
    first = _line(version, registry, paths)[0]
    name, revision = first.anchor_model, first.anchor_revision
    if anchor_version(first, registry) or (paths.root / name).exists() or not is_commit(revision):
        return None
    return None if is_fetched(name, revision, paths.root) else (name, revision)


def _needs_model(parts: Parts, to: To) -> bool:
    return not parts.has_model() and (to == "full" or not parts.has_gguf())


def _line(version: Version, registry: Registry, paths: ProfilePaths) -> list[Version]:
    """The versions whose model/ has to be made for this one's, the innermost first, this one last."""
    line = [version]
    while (anchor := anchor_version(line[-1], registry)) and not parts_of(anchor, paths).has_model():
        if anchor in line:
            raise MetahumanError(
                f"version {version.version} stands on itself: {', '.join(str(v.version) for v in line)}",
                "mend the registry or put a backup in place",
            )
        line.append(anchor)
    return line[::-1]


def _cost(makings: list[Making]) -> tuple[int, int, int]:
    """Bytes read, bytes written (hashed in passing, both), and the most that lies there more than before."""
    reads = writes = peak = kept = scratch = 0
    for making in makings:
        version = making.version
        model = version.model_bytes if "model" in making.makes else 0
        gguf = version.gguf_bytes if "gguf" in making.makes else 0
        between = unquantised_bytes(version.model_bytes, version.quantization) if gguf else 0
        # The quantiser's file is the one that has to be read again for its hash.
        reads += version.model_bytes + between + (gguf if between else 0)
        writes += model + between + gguf
        peak = max(peak, kept + scratch + model + between + gguf)
        kept += gguf + (model if "model" in making.keeps else 0)
        scratch = 0 if "model" in making.keeps else model
    return reads, writes, peak


def _took_s(makings: list[Making], paths: ProfilePaths) -> float | None:
    known = [_making_took_s(making, parts_of(making.version, paths)) for making in makings]
    told = [seconds for seconds in known if seconds is not None]
    return sum(told) if len(told) == len(known) else None


def _making_took_s(making: Making, parts: Parts) -> float | None:
    """How long the same took before, by when the steps that it was and those before them were done."""
    file = read_run_file(parts.run_dir)
    steps = file.steps if file else {}
    merged = [] if parts.has_model() else ["merge"]
    made_by = ["weights"] if "weights" in steps else [*merged, *(["convert"] if "gguf" in making.makes else [])]
    if not all(name in steps and _BEHIND[name] in steps for name in made_by):
        return None
    return sum((steps[name].done_at - steps[_BEHIND[name]].done_at).total_seconds() for name in made_by)
