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
    """What makes two commands the same: what was asked for, and the recipe.

    A default is no wish: a run goes on with the one that it was begun with, when a newer program has another.
    """
    recipe = [settings.dataset, settings.training, settings.gate, settings.weights, settings.profile(wish.profile)]
    asked = [wish.profile, wish.base_model, wish.mode, wish.max_memories, settings.study.ollama_model]
    return digest_of([*asked, *(r.model_dump_json(exclude_defaults=True) for r in recipe)])
