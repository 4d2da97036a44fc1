"""The Python API, in the original's names. Each takes a registry's path, or finds the configured one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from metahuman_core.config import load_settings
from metahuman_core.errors import ConfigError
from metahuman_core.registry import FALLBACK_BASE, Version, load_registry, reset_to_original


class CurrentBase(NamedTuple):
    """The base of the next run: a Hub id or a path relative to the root, and which of the two (`type`)."""

    model: str
    type: str


def get_current_base_model(
    registry: str | os.PathLike[str] | None = None, *, profile: str | None = None
) -> CurrentBase:
    """The base that the next run starts from; `Qwen/Qwen3-14B` where there is no registry yet."""
    found = load_registry(_place(registry, profile)[0])
    if found is None:
        return CurrentBase(FALLBACK_BASE, "huggingface")
    return CurrentBase(found.current_base_model, found.model_type)


def get_training_history(
    registry: str | os.PathLike[str] | None = None, *, profile: str | None = None
) -> tuple[Version, ...]:
    """All versions, oldest first. Runs that failed are not among them."""
    found = load_registry(_place(registry, profile)[0])
    return found.training_history if found else ()


def reset_to_original_base(
    registry: str | os.PathLike[str] | None = None, *, profile: str | None = None
) -> CurrentBase:
    """Let the next run start from the original base again. No version is deleted."""
    after = reset_to_original(*_place(registry, profile))
    return CurrentBase(after.current_base_model, after.model_type)


def _place(registry: str | os.PathLike[str] | None, profile: str | None) -> tuple[Path, Path]:
    """The registry, and the root that its paths are relative to (`etc/model-registry.json` lies under it)."""
    if registry is not None:
        return Path(registry), Path(registry).absolute().parents[1]
    settings = load_settings()
    if profile is None and len(settings.profiles) > 1:
        raise ConfigError("there are several profiles", f"say profile=, one of {', '.join(sorted(settings.profiles))}")
    # One profile needs no name; without any, the common registry is meant.
    name = profile or next(iter(settings.profiles), "")
    return settings.registry_path(name), settings.root
