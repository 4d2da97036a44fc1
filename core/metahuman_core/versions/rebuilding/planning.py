"""Decides what has to be made so that a version is served, or whole, again; and what that costs.

Pure but for looks at which files exist (and at the adapters' hashes). What a version stands on comes first: where that
is another version's `model/` which is not here, it is made too, and goes as soon as the next one is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
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

To = Literal["serving", "full"]
Cache = Literal["model", "gguf"]
"""A part that can be made again."""

_UNQUANTISED = 1.01  # the GGUF in 16 bit that the quantiser reads, beside model/
_STEPS = {"model": ("evaluate", "merge"), "gguf": ("merge", "convert")}


@dataclass(frozen=True, slots=True)
class Making:
    """One part to be made of one version. What is `kept` gets its name; else it goes when the next thing is made."""

    version: Version
    part: Cache
    kept: bool


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
    version: Version, to: To, registry: Registry, paths: ProfilePaths, archive: Path | None
) -> Rebuilding:
    """What has to be made for `version` to be `serving` (GGUF) or `full` (model/ too). Nothing, where it is here.

    Raises MetahumanError where it cannot be rebuilt: no adapter, no base, or a registry that leads in a circle.
    """
    parts = parts_of(version, paths)
    wants_model, wants_gguf = to == "full" and not parts.has_model(), not parts.has_gguf()
    makings: list[Making] = []
    if _needs_model(parts, to):
        if version.storage == "removed":
            why = f"version {version.version} is removed: there is nothing left to rebuild it from"
            raise MetahumanError(why, "see `metahuman history`")
        if why := why_not_rebuildable(version, registry, paths, archive):
            raise MetahumanError(f"version {version.version} cannot be rebuilt: {why}", "see `metahuman verify`")
        *below, own = _line(version, registry, paths)
        makings = [Making(one, "model", kept=False) for one in below] + [Making(own, "model", kept=wants_model)]
    if wants_gguf:
        makings.append(Making(version, "gguf", kept=True))
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
    """Bytes read (for the hashes too), bytes written, and the most that lies there more than before."""
    reads = writes = peak = kept = scratch = 0
    for making in makings:
        model, gguf = making.version.model_bytes, making.version.gguf_bytes
        if making.part == "model":
            reads, writes = reads + 2 * model, writes + model
            peak = max(peak, kept + scratch + model)
            kept, scratch = (kept + model, 0) if making.kept else (kept, model)
        else:
            unquantised = int(model * _UNQUANTISED)
            reads, writes = reads + model + unquantised + gguf, writes + unquantised + gguf
            peak = max(peak, kept + scratch + unquantised + gguf)
            kept += gguf
    return reads, writes, peak


def _took_s(makings: list[Making], paths: ProfilePaths) -> float | None:
    known = [_step_took_s(parts_of(making.version, paths), making.part) for making in makings]
    told = [seconds for seconds in known if seconds is not None]
    return sum(told) if len(told) == len(known) else None


def _step_took_s(parts: Parts, part: Cache) -> float | None:
    """How long the step before took, by when it and the one before it were done."""
    file = read_run_file(parts.run_dir)
    steps = file.steps if file else {}
    times: list[datetime] = [steps[name].done_at for name in _STEPS[part] if name in steps]
    return next(((after - before).total_seconds() for before, after in pairwise(times)), None)
