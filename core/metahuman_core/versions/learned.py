"""What a version and its line had learned, and with which settings: read from the runs' own folders.

Invariant: of a memory its digest, kind and day are taken, and never its text; of the system prompt its hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metahuman_core.errors import MetahumanError
from metahuman_core.journal import digest_of, read_run_file
from metahuman_core.layout import ProfilePaths
from metahuman_core.plan import MEMORIES
from metahuman_core.registry import Registry, Version
from metahuman_core.versions.parts import names_a_folder, parts_of

_SETTINGS = ("base_model", "anchor", "anchor_revision", "mode", "system", "publish", "temperature", "num_ctx")
_SECTIONS = ("dataset", "training", "weights")


@dataclass(frozen=True, slots=True)
class Learned:
    """A memory that was trained: what kind of memory it is, and the day it is of ("" where nobody knows)."""

    digest: str
    kind: str
    day: str


@dataclass(frozen=True, slots=True)
class Line:
    """A version with all that it and its ancestry (newest first) learned.

    `unknown`: numbers of the line whose memories are not here (imported, or lost). `stale`: what it had learned and was
    superseded when it was trained. `settings` by name; None where there is no journal.
    """

    version: Version
    ancestry: tuple[int, ...]
    memories: Mapping[str, Learned]
    unknown: tuple[int, ...]
    stale: frozenset[str]
    settings: Mapping[str, Any] | None


def read_line(version: Version, registry: Registry, paths: ProfilePaths) -> Line:
    """Read what the line of a version learned. Raises MetahumanError where a file of it cannot be understood."""
    ancestry = registry.ancestry(version)
    memories: dict[str, Learned] = {}
    unknown: list[int] = []
    for one in reversed(ancestry):
        path = parts_of(one, paths).run_dir / MEMORIES if names_a_folder(one) else None
        if one.consolidated:  # it began at the anchor: what is in its own file is all that it learned
            memories, unknown = {}, []
        if path is None or not path.is_file():
            unknown.append(one.version)
        else:
            memories |= _read(path, everything=one.consolidated)
    inputs = _inputs(version, paths)
    return Line(
        version=version,
        ancestry=tuple(one.version for one in ancestry),
        memories=memories,
        unknown=tuple(unknown),
        stale=frozenset(map(str, inputs.get("stale", ()))) if inputs else frozenset(),
        settings=_settings(inputs) if inputs else None,
    )


def _read(path: Path, *, everything: bool) -> dict[str, Learned]:
    """A run's new memories; what it replayed stands in an older one's file, and is told with `everything`."""
    found = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if everything or row.get("role", "new") == "new":
                    digest = str(row["memory"])
                    found[digest] = Learned(digest, str(row.get("kind") or ""), str(row.get("happened_at") or "")[:10])
    except (ValueError, KeyError, AttributeError) as error:
        raise MetahumanError(f"{path} cannot be understood", "see `metahuman verify`") from error
    return found


def _inputs(version: Version, paths: ProfilePaths) -> dict[str, Any] | None:
    file = read_run_file(parts_of(version, paths).run_dir) if names_a_folder(version) else None
    return file.inputs if file else None


def _settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: inputs[name] for name in _SETTINGS if name in inputs}
    if "system" in plain:
        plain["system"] = f"SHA-256 {digest_of(plain['system'])[:12]}"
    for section in _SECTIONS:
        values = inputs.get(section)
        plain |= {f"{section}.{name}": value for name, value in values.items()} if isinstance(values, dict) else {}
    return plain
