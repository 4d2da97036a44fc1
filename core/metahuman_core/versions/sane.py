"""Is a registry what this program could have written? Whoever deletes asks here first. Pure.

Invariant: a registry that somebody edited by hand into nonsense is never acted upon. Entries of the original MetaHuman
(ten fields, files that may be absent) are no nonsense, and neither is a field that we do not know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import get_args

from metahuman_core.errors import MetahumanError
from metahuman_core.layout import label_time
from metahuman_core.registry import Registry, Version
from metahuman_core.settings import Quantization
from metahuman_core.versions.parts import names_a_folder

_HASHES = (
    "dataset_sha256", "adapter_sha256", "model_sha256", "gguf_sha256", "ollama_blob",
    "model_sha256_first", "gguf_sha256_first",
)  # fmt: skip
_COUNTS = (
    "samples_trained", "adapter_bytes", "model_bytes", "gguf_bytes", "memories_trained", "memories_replayed",
)  # fmt: skip
_PARTS = {"output_model_path": "model", "gguf_path": "model.gguf", "adapter_path": "adapter"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RUNS = re.compile(r"profiles/([a-z_][a-z0-9_-]{0,31})/out/fine-tuned-models")
_OLLAMA_NAME = re.compile(r"\w[\w.-]*(/[\w.-]+)*", re.ASCII)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_SHOWN = 60


def faults(registry: Registry) -> tuple[str, ...]:
    """What cannot be true of a registry, each in words that name the version and the field; () where nothing is."""
    return (*_of_all(registry), *(fault for version in registry.training_history for fault in _of(version, registry)))


def require_sane(registry: Registry) -> None:
    """Raise MetahumanError, with the first fault and how many more there are, where a registry is not to be trusted."""
    found = faults(registry)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise MetahumanError(
            f"the registry contradicts itself: {found[0]}{more}", "mend it or put a backup in place; nothing is deleted"
        )


def _of_all(registry: Registry) -> Iterator[str]:
    history = registry.training_history
    for number, times in Counter(v.version for v in history).items():
        if times > 1:
            yield f"version {number} is there {times} times"
    for label, times in Counter(v.run_label for v in history if v.run_label).items():
        if times > 1:
            yield f"run label {label!r} is there {times} times"
    live = [v.version for v in history if v.outcome == "live"]
    if len(live) > 1:
        yield f"versions {' and '.join(map(str, live))} are both live"
    was_live = [v.version for v in history if v.outcome in ("superseded", "rolled_back") and v.storage != "removed"]
    if was_live and not live:
        yield f"no version is live, though version {was_live[-1]} was"
    owners = {found[1] for v in history for path in _paths(v).values() if (found := _RUNS.match(path))}
    if len(owners) > 1:
        yield f"its versions belong to several profiles: {', '.join(sorted(owners))}"
    yield from _of_the_base(registry)


def _of_the_base(registry: Registry) -> Iterator[str]:
    base = registry.current_base_model
    for name in ("original_base_model", "current_base_model"):
        if _UNPRINTABLE.search(getattr(registry, name)):
            yield f"{name} holds what cannot be printed"
    if base in (registry.original_base_model, "") or registry.by_model_path(base):
        return
    if base.startswith(("/", "~", "profiles/")) or ".." in PurePosixPath(base).parts:
        yield f"current_base_model is neither a version's model/ nor the original base: {_short(base)}"


def _of(version: Version, registry: Registry) -> Iterator[str]:
    for fault in (
        *_of_its_folder(version),
        *_of_its_parent(version, registry),
        *_of_its_state(version),
        *_of_its_values(version),
    ):
        yield f"version {version.version}: {fault}"


def _of_its_folder(version: Version) -> Iterator[str]:
    label = version.run_label
    if not (names_a_folder(version) and label_time(label)):
        yield f"run_label {_short(label)} is none (YYYY-MM-DD-HHMMSS-xxxxxx)"
        return
    for field, path in _paths(version).items():
        runs, _, rest = path.partition(f"/{label[:10]}/{label}/")
        if not _RUNS.fullmatch(runs) or rest.rstrip("/") != _PARTS[field]:
            yield f"{field} is not in the folder of its run: {_short(path)}"


def _of_its_parent(version: Version, registry: Registry) -> Iterator[str]:
    parent = version.parent_version
    if parent is None:
        return
    if parent == version.version:
        yield "it is its own parent"
    elif parent > version.version:
        yield f"its parent, version {parent}, is newer than it"
    elif registry.find(parent) is None:
        yield f"its parent, version {parent}, is not there"


def _of_its_state(version: Version) -> Iterator[str]:
    if version.outcome is None and version.adapter_sha256:
        yield "its outcome is not said"
    if version.storage is None and version.outcome:
        yield "its storage is not said"
    if version.outcome == "live" and version.storage == "removed":
        yield "it is live, and removed"
    if version.erased and version.storage != "removed":
        yield f"it is erased, and {version.storage or 'its storage is not said'}"
    if version.outcome == "rejected" and version.training_success:
        yield "it is rejected, and its training_success is true"
    if version.publication != "off" and not version.ollama_name:
        yield f"its publication is {version.publication}, and it has no ollama_name"
    if version.ollama_name and not _OLLAMA_NAME.fullmatch(version.ollama_name):
        yield f"ollama_name {_short(version.ollama_name)} is no name of a model"
    if version.in_archive and not version.adapter_sha256:
        yield "its adapter is in the archive, and has no hash"


def _of_its_values(version: Version) -> Iterator[str]:
    for field in _HASHES:
        value = getattr(version, field)
        if value and not _SHA256.fullmatch(value):
            yield f"{field} is no SHA-256: {_short(value)}"
    for field in _COUNTS:
        if getattr(version, field) < 0:
            yield f"{field} is below nothing: {getattr(version, field)}"
    if not is_timestamp(version.timestamp) and (version.timestamp or version.storage):
        yield f"timestamp {_short(version.timestamp)} is no point in time"
    if version.promoted_at and not is_timestamp(version.promoted_at):
        yield f"promoted_at {_short(version.promoted_at)} is no point in time"
    if version.quantization and version.quantization not in get_args(Quantization):
        yield f"quantization {_short(version.quantization)} is none that we know"
    for field in ("base_model_used", "anchor_model", "anchor_revision", "anchor_revision_first", "ollama_server"):
        if _UNPRINTABLE.search(getattr(version, field)):
            yield f"{field} holds what cannot be printed"


def _paths(version: Version) -> dict[str, str]:
    return {field: path for field in _PARTS if (path := getattr(version, field))}


def is_timestamp(text: str) -> bool:
    """Whether a text is a point in time: with its zone, else nobody knows which."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
