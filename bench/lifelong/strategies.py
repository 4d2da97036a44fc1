"""The ways of learning that are held against each other, as data.

Invariant: `anchor+replay` is what the product does by default, whatever its defaults are; a variation differs from it
in what its name says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from metahuman_core.errors import UsageError
from metahuman_core.settings import DatasetSettings, TrainingSettings

_DATASET, _TRAINING = DatasetSettings(), TrainingSettings()


@dataclass(frozen=True, slots=True)
class Strategy:
    """How one version comes after another.

    `reanchor_every`: 0, all versions are one adapter on the original base; N, every N-th is merged (and rounded to the
    base's dtype), and the next ones stand on that. `consolidate_every`: every N-th version is trained from the original
    base on all that is current, the others go on from the one before; 0: none. `changes` are settings of dataset and
    training that differ from their defaults.
    """

    name: str
    reanchor_every: int = _TRAINING.reanchor_every
    consolidate_every: int = _TRAINING.consolidate_every
    changes: tuple[tuple[str, float], ...] = ()

    def dataset(self, seed: int) -> DatasetSettings:
        """What its datasets are made by."""
        changes = {name: value for name, value in self.changes if name in DatasetSettings.model_fields}
        return DatasetSettings(**{"seed": _DATASET.seed + seed, **changes})

    def recipe(self, base: TrainingSettings, seed: int) -> TrainingSettings:
        """The recipe of its runs."""
        changes = {name: value for name, value in self.changes if name in TrainingSettings.model_fields}
        return base.model_copy(update={"seed": base.seed + seed, **changes})


OURS, NAIVE, CUMULATIVE = "anchor+replay", "naive", "cumulative"
_NOTHING_OLD = (("replay_ratio", 0.0), ("general_share", 0.0), ("unknown_share", 0.0))
STRATEGIES = (
    Strategy(NAIVE, reanchor_every=1, consolidate_every=0, changes=_NOTHING_OLD),
    Strategy("chain+replay", reanchor_every=1, consolidate_every=0),
    Strategy(OURS),
    Strategy(CUMULATIVE, consolidate_every=1),
)
_RATE = 3e-4 * 5120 / 576  # what the product takes for SmolLM2-135M
_EVERY = ("reanchor_every", "consolidate_every")
_MAY_VARY = frozenset(
    name
    for settings in (_DATASET, _TRAINING)
    for name, value in settings.model_dump().items()
    if isinstance(value, (int, float)) and name not in ("seed", "max_memories", "checkpoint_every_steps")
)
# One thing at a time, but rank and alpha together.
SWEEP = (
    *(f"reanchor_every={every}" for every in (1, 2)),
    *(f"replay_ratio={ratio}" for ratio in (0.25, 0.5, 2)),
    *(f"general_share={share}" for share in (0, 0.05, 0.2)),
    *(f"unknown_share={share}" for share in (0, 0.02, 0.05)),
    *(f"consolidate_every={every}" for every in (2, 3)),
    *(f"learning_rate={_RATE * factor:.4g}" for factor in (0.25, 0.5)),
    *(f"epochs={epochs}" for epochs in (3, 8)),
    *(f"rank={rank}/alpha={2 * rank}" for rank in (8, 32)),
)


def chosen(names: str, sweep: str) -> tuple[Strategy, ...]:
    """The strategies of a list with commas, and the variations of one (`all`, or settings).

    Any variation of ours can be named, as SWEEP names them. Raises UsageError for a name that is none.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    settings = [name.strip() for name in sweep.split(",") if name.strip() not in ("", "all")]
    known = dict.fromkeys(setting for name in SWEEP for setting in _settings_in(name))
    for setting in settings:
        if setting not in known:
            raise UsageError(f"there is no {setting!r} to vary", f"take of {', '.join(known)}")
    wanted += [name for name in SWEEP if sweep == "all" or set(settings) & set(_settings_in(name))]
    return tuple(map(_strategy, dict.fromkeys(wanted)))


def _strategy(name: str) -> Strategy:
    by_name = {strategy.name: strategy for strategy in STRATEGIES}
    if name in by_name:
        return by_name[name]
    try:
        return _varied(name, dict(part.split("=") for part in name.split("/")))
    except ValueError:  # pydantic's too
        names = ", ".join(by_name)
        raise UsageError(
            f"there is no strategy {name!r}", f"take of {names}, or vary ours: replay_ratio=2/epochs=3"
        ) from None


def _varied(name: str, changes: dict[str, str]) -> Strategy:
    """Raises ValueError for what is no setting, or may not be so."""
    if not changes.keys() <= _MAY_VARY:
        raise ValueError(name)
    every = {setting: int(changes.pop(setting)) for setting in _EVERY if setting in changes}
    if any(number < 0 for number in every.values()):
        raise ValueError(name)
    of_dataset = {setting: value for setting, value in changes.items() if setting in DatasetSettings.model_fields}
    of_training = {setting: value for setting, value in changes.items() if setting not in of_dataset}
    wanted = DatasetSettings.model_validate(of_dataset), TrainingSettings.model_validate(of_training)
    values = tuple((s, getattr(wanted[s in of_training], s)) for s in (*of_dataset, *of_training))
    return replace(Strategy(OURS), name=name, changes=values, **every)


def _settings_in(name: str) -> list[str]:
    return [part.partition("=")[0] for part in name.split("/")]
