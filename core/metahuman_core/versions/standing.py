"""Where versions stand: which line leads to the live one, and which are branches that were left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from metahuman_core.registry import Registry

Standing = Literal["live", "behind", "branch"]
"""The live version; what it was made on; all others."""


def standings(registry: Registry) -> Mapping[int, Standing]:
    """Where each version stands, by its number. Where none is live, the next run's base takes its place."""
    tip = registry.live() or registry.by_model_path(registry.current_base_model)
    line = {version.version for version in registry.ancestry(tip)}
    found: dict[int, Standing] = {}
    for version in registry.training_history:
        found[version.version] = "behind" if version.version in line else "branch"
        if version.outcome == "live":
            found[version.version] = "live"
    return found
