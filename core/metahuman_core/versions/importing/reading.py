"""Reads a registry of the original MetaHuman, as it may lie on any machine: its paths are often absolute."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import Registry, load_registry
from metahuman_core.versions.importing.deciding import is_original


def read_theirs(source: Path, *, in_place: bool) -> Registry:
    """Read the registry to import. Raises MetahumanError where it is none, is ours, or contradicts itself."""
    if source.is_dir():
        raise MetahumanError(f"{source} is a folder", "name the file, as in …/etc/model-registry.json")
    registry = load_registry(source)
    if registry is None:
        raise MetahumanError(f"there is no registry {source}", "name the file, as in …/etc/model-registry.json")
    raw = json.loads(source.read_text(encoding="utf-8"))
    if not {"current_base_model", "training_history"} <= raw.keys():
        raise MetahumanError(f"{source} is no registry of MetaHuman", "name the file, as in …/etc/model-registry.json")
    numbers = Counter(version.version for version in registry.training_history)
    if twice := [number for number, times in numbers.items() if times > 1]:
        raise MetahumanError(f"{source} has version {twice[0]} {numbers[twice[0]]} times", "mend it, and import again")
    if not in_place and not all(map(is_original, registry.training_history)):
        raise MetahumanError(
            f"{source} was written by this program", "move its whole root: it works as it is in another place"
        )
    return registry


def made_relative(registry: Registry, their_root: Path) -> Registry:
    """Make relative what lies under the registry's own root and is named by its absolute path."""

    def plain(path: str) -> str:
        own = Path(path)
        if own.is_absolute() and own.is_relative_to(their_root):
            return own.relative_to(their_root).as_posix()
        return path

    fields = ("base_model_used", "output_model_path", "gguf_path")
    history = tuple(
        version.model_copy(update={name: plain(getattr(version, name)) for name in fields if getattr(version, name)})
        if is_original(version)
        else version
        for version in registry.training_history
    )
    return registry.changed(
        training_history=history,
        original_base_model=plain(registry.original_base_model),
        current_base_model=plain(registry.current_base_model),
    )
