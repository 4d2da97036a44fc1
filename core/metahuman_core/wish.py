"""What a command asks of a run, and what makes two commands the same."""

from __future__ import annotations

from dataclasses import dataclass

from metahuman_core.journal import digest_of
from metahuman_core.settings import ModeFilter, Settings


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person (or the daemon) asked for."""

    profile: str
    base_model: str | None = None
    mode: ModeFilter | None = None
    max_memories: int | None = None


def command_sha256(settings: Settings, wish: Wish) -> str:
    """What makes two commands the same: what was asked for, and the recipe."""
    recipe = [settings.dataset, settings.training, settings.weights, settings.profile(wish.profile)]
    return digest_of(
        [wish.profile, wish.base_model, wish.mode, wish.max_memories, *(r.model_dump_json() for r in recipe)]
    )
