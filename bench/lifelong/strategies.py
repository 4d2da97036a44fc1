"""The ways of learning that are held against each other, as data.

Invariant: `anchor+replay` is what the product does by default, whatever its defaults are; a variation differs from it
in one thing.
"""

from __future__ import annotations

from collections.abc import Iterable
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
_OURS = Strategy(OURS)
_RATE = 3e-4 * 5120 / 576  # what the product takes for SmolLM2-135M


def _setting(name: str, *values: float) -> tuple[Strategy, ...]:
    return tuple(replace(_OURS, name=f"{name}={value:g}", changes=((name, value),)) for value in values)


# One thing at a time. The name before the = is what `--sweep` takes.
SWEEP = (
    *(replace(_OURS, name=f"reanchor_every={every}", reanchor_every=every) for every in (1, 2)),
    *_setting("replay_ratio", 0.5, 2, 4),
    *_setting("replay_samples", 1, 4),
    *_setting("general_share", 0, 0.05, 0.2),
    *_setting("unknown_share", 0, 0.1),
    *(replace(_OURS, name=f"consolidate_every={every}", consolidate_every=every) for every in (2, 3)),
    *_setting("learning_rate", *(round(_RATE * factor, 6) for factor in (0.25, 0.5))),
    *_setting("epochs", 3, 8),
    *(replace(_OURS, name=f"rank={rank}", changes=(("rank", rank), ("alpha", 2 * rank))) for rank in (8, 32)),
)


def chosen(names: str, sweep: str) -> tuple[Strategy, ...]:
    """The strategies of a list with commas, and the variations of one (`all`, or settings).

    Raises UsageError for a name that is none.
    """
    by_name = {strategy.name: strategy for strategy in (*STRATEGIES, *SWEEP)}
    settings = tuple(dict.fromkeys(strategy.name.partition("=")[0] for strategy in SWEEP))
    wanted = _listed(names, by_name)
    varied = settings if sweep == "all" else _listed(sweep, settings)
    variations = [strategy.name for strategy in SWEEP if strategy.name.partition("=")[0] in varied]
    return tuple(by_name[name] for name in dict.fromkeys((*wanted, *variations)))


def _listed(names: str, known: Iterable[str]) -> list[str]:
    given = [name.strip() for name in names.split(",") if name.strip()]
    for name in given:
        if name not in known:
            raise UsageError(f"there is no {name!r}", f"take of {', '.join(known)}")
    return given
