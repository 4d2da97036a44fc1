"""Decides what becomes of a registry of the original MetaHuman: which versions are there, and which is live. Pure.

Invariant: every entry survives with all its fields, those that we do not know included. What is entered as there was
seen to be there; a version that was registered as a success and has no files (a phantom) is marked, and nobody's base.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, get_args

from metahuman_core.layout import RUN_LABEL, label_time
from metahuman_core.registry import Outcome, Registry, Storage, Version
from metahuman_core.settings import Quantization
from metahuman_core.versions.sane import is_timestamp

ABSENT = "its files are not there"
_TIME = "%Y-%m-%d-%H%M%S"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in a version's own folder: bytes and SHA-256 of `model/` and GGUF (0 and "" where it has none).

    `elsewhere`: where its files lie instead, in words for a person ("" where they are nowhere).
    """

    model_bytes: int = 0
    model_sha256: str = ""
    gguf_bytes: int = 0
    gguf_sha256: str = ""
    quantization: str = ""
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """The registry as it will stand, and what a person should know, line by line."""

    registry: Registry
    said: tuple[str, ...]


def is_original(version: Version) -> bool:
    """Whether an entry is the original's: it does not say what of it is there."""
    return version.storage is None


def with_labels(registry: Registry) -> Registry:
    """Give each entry of the original's a run label that names a folder: its own, its path's, else one of its time."""
    taken = {version.run_label for version in registry.training_history if not is_original(version)}
    history = []
    for version in registry.training_history:
        label = version.run_label
        if is_original(version):
            parts = PurePosixPath(version.output_model_path).parts
            usual = (text for text in (label, *reversed(parts)) if _is_label(text) and text not in taken)
            label = next(usual, "") or _made_up(version)
        taken.add(label)
        history.append(version if label == version.run_label else version.model_copy(update={"run_label": label}))
    return registry.changed(training_history=tuple(history))


def imported(
    registry: Registry, seen: Mapping[int, Seen], profile: str, ollama_name: str, is_folder: Callable[[str], bool]
) -> Imported:
    """Take over every entry of the original's, by what was seen of it; entries of ours stay as they are.

    `registry`: its paths are relative, and its labels usual (`with_labels`). `is_folder` tells a local base from a name
    on the Hub.
    """
    numbers = {_plain(v.output_model_path): v.version for v in registry.training_history if v.output_model_path}
    current, was_live = _plain(registry.current_base_model), registry.live()
    named = numbers.get(current)
    live = was_live.version if was_live else _live(registry, seen, named)
    history = tuple(
        _entry(version, seen[version.version], numbers, live, registry, profile, ollama_name)
        if is_original(version)
        else version
        for version in registry.training_history
    )
    said = [line for version in history for line in _told(version, seen.get(version.version))]
    after = registry.changed(training_history=history)
    base, why = _base(after, named, seen)
    if why:
        said.append(why)
    if after.by_model_path(base) or (base != registry.current_base_model and is_folder(base)):
        kind = "local"
    else:
        kind = registry.model_type if base == registry.current_base_model else "huggingface"
    return Imported(after.changed(current_base_model=base, model_type=kind), tuple(said))


def _entry(
    version: Version,
    seen: Seen,
    numbers: Mapping[str, int],
    live: int | None,
    registry: Registry,
    profile: str,
    ollama_name: str,
) -> Version:
    parent = numbers.get(_plain(version.base_model_used))
    at = f"profiles/{profile}/out/fine-tuned-models/{version.run_label[:10]}/{version.run_label}"
    outcome: Outcome = "live" if version.version == live else "superseded"
    fields: dict[str, Any] = {
        "output_model_path": f"{at}/model",
        "gguf_path": f"{at}/model.gguf",
        "base_model_used": version.base_model_used,
        "timestamp": version.timestamp if is_timestamp(version.timestamp) else _time_of(version.run_label),
        "parent_version": parent if parent is not None and parent < version.version else None,
        "outcome": outcome if version.training_success else "rejected",
        "storage": _storage(seen),
        "publication": "off",
        "ollama_name": version.ollama_name or ollama_name,
        "quantization": _quantization(seen, registry),
        **{name: value for name in _RECORDED if (value := getattr(seen, name))},
    }
    if fields["parent_version"] is not None:
        label = next(v.run_label for v in registry.training_history if v.version == parent)
        fields["base_model_used"] = f"profiles/{profile}/out/fine-tuned-models/{label[:10]}/{label}/model"
    if fields["storage"] == "removed" and ABSENT not in version.reasons:
        fields["reasons"] = (*version.reasons, ABSENT)
    return version.model_copy(update=fields)


_RECORDED = ("model_bytes", "model_sha256", "gguf_bytes", "gguf_sha256")


def _storage(seen: Seen) -> Storage:
    """By what is there. A model/ without a GGUF is full: that is made of it when somebody needs it."""
    if seen.model_bytes:
        return "full"
    return "serving" if seen.gguf_bytes else "removed"


def _live(registry: Registry, seen: Mapping[int, Seen], named: int | None) -> int | None:
    """The version that the current base names; where that is not there, the newest one that is."""
    there = [
        version.version
        for version in registry.training_history
        if version.training_success and version.version in seen and _storage(seen[version.version]) != "removed"
    ]
    return named if named in there else max(there, default=None)


def _base(registry: Registry, named: int | None, seen: Mapping[int, Seen]) -> tuple[str, str]:
    """The base of the next run, and why it is another than it was ("" where it is the same)."""
    if named is None:
        current = registry.current_base_model
        if current == registry.original_base_model or not current.startswith(("/", "~", "profiles/")):
            return current, ""
        what = f"the current base {current} is no version's model/"
    else:
        known = registry.find(named)
        if known is not None and _can_be_base(known, seen):
            return known.output_model_path, ""
        what = f"the current base was version {named}, whose model/ is not there"
    others = [v for v in registry.training_history if v.outcome != "rejected" and _can_be_base(v, seen)]
    if others:
        return others[-1].output_model_path, f"{what}: the next run starts from version {others[-1].version}"
    return registry.original_base_model, f"{what}: the next run starts from {registry.original_base_model}"


def _can_be_base(version: Version, seen: Mapping[int, Seen]) -> bool:
    """Whether a run can start from a version: of the original's, its model/ was seen; ours are rebuilt if need be."""
    own = seen.get(version.version)
    return own.model_bytes > 0 if own else version.storage != "removed"


def _told(version: Version, seen: Seen | None) -> list[str]:
    if seen is None:
        return []
    which = f"version {version.version}"
    if version.storage == "removed":
        way = f"; they lie in {seen.elsewhere}: --copy brings them here" if seen.elsewhere else ""
        return [f"{which}: {ABSENT}{way}"]
    parts = [name for name, size in (("model/", seen.model_bytes), ("GGUF", seen.gguf_bytes)) if size]
    size = (seen.model_bytes + seen.gguf_bytes) / (1 << 30)
    way = f"; the rest lies in {seen.elsewhere}: --copy brings it here" if seen.elsewhere else ""
    return [f"{which}: {version.outcome}, {' and '.join(parts)} are there ({size:.2f} GiB){way}"]


def _quantization(seen: Seen, registry: Registry) -> str:
    """How the GGUF is quantised, or would be: by the file, else by what the registry says of all."""
    formats = registry.output_formats.get("quantized")
    named = seen.quantization or (formats.quantization if formats else "") or "Q8_0"
    return named if named in get_args(Quantization) else ""


def _plain(path: str) -> str:
    return re.sub(r"/+", "/", path).rstrip("/").removeprefix("./")


def _is_label(text: str) -> bool:
    return RUN_LABEL.fullmatch(text) is not None and label_time(text) is not None


def _made_up(version: Version) -> str:
    """A label for an entry that has none: by its time, and six digits that are always the same for it."""
    try:
        when = datetime.fromisoformat(version.timestamp)
    except ValueError:
        when = datetime(2000, 1, 1)  # noqa: DTZ001  # a label has no zone
    own = sha256(f"{version.version} {version.run_id} {version.output_model_path}".encode()).hexdigest()
    return f"{when:{_TIME}}-{own[:6]}"


def _time_of(label: str) -> str:
    when = label_time(label)
    return f"{when:%Y-%m-%dT%H:%M:%S}.000Z" if when else ""
