"""The ground that the gate's bench stands on: the example's memories in parts, and what each recipe makes of them.

Invariant: no memory is in two of the parts that follow one another in a line of versions; the same memories each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from example_samples import example_choice, example_system
from gate_cases import V1, V2, Recipe
from metahuman_core.dataset.choose import choose_replay, replay_count
from metahuman_core.gate.exam import forgotten_in
from metahuman_core.memories.model import Memory, Trained, Turn
from metahuman_core.settings import DatasetSettings, Settings, TrainingSettings

SizeName = Literal["whole", "quick"]
_LATER = timedelta(days=150)
# The words of the first version's memories, and what came of them since: the same files, edited.
_CORRECTIONS = (
    ("Fernley School", "Harrow Lane School"),
    ("mustard yellow", "bottle green"),
    ("seven hens", "eleven hens"),
    ("cardamom", "cinnamon"),
    ("called Marigold", "called Kittiwake"),
    ("in November, on the eleventh", "in February, on the third"),
    ("she is nine", "she is ten"),
    ("plays the oboe", "plays the cello"),
    ("plays the accordion", "plays the trombone"),
    ("Ghent", "Antwerp"),
    ("14 Quay Street", "3 Mill Row"),
    ("is for Dr Lindqvist", "is for Captain Aldous"),
)


@dataclass(frozen=True, slots=True)
class Ground:
    """`folder`: where versions are made. `parts`: memories by the name that recipes use."""

    folder: Path
    settings: Settings
    system: str
    parts: Mapping[str, tuple[Memory, ...]]
    epochs_factor: float

    def run_dir(self, version: str) -> Path:
        """The folder of one of the ground's versions, or of a case."""
        return self.folder / version

    def ancestry(self, recipe: Recipe) -> list[str]:
        """The ground's versions that a recipe goes on from, newest first."""
        return {"": [], "v1": ["v1"], "v2": ["v2", "v1"]}[recipe.parent]

    def new(self, recipe: Recipe) -> tuple[Memory, ...]:
        """What is new."""
        return self.parts[recipe.part]

    def stale(self, recipe: Recipe) -> frozenset[str]:
        """Digests of what the recipe's memories have taken the place of."""
        corrects = {memory.source for memory in self.new(recipe)} if recipe.part == "corrections" else set[str]()
        return frozenset(memory.digest for memory in self.parts[V1.part] if memory.source in corrects)

    def replay(self, recipe: Recipe) -> tuple[Memory, ...]:
        """The old memories that are trained again, chosen as a run chooses them."""
        line, stale = self.ancestry(recipe), self.stale(recipe)
        parts = {"v1": self.parts[V1.part], "v2": self.parts[V2.part]}
        again = {memory.digest for memory in self.replay(V2)} if "v2" in line else set[str]()
        trained = [
            Trained(name, "v2" if memory.digest in again else name, memory)
            for name in line
            for memory in parts[name]
            if memory.digest not in stale
        ]
        forgotten = forgotten_in(self.run_dir(line[0])) if line else frozenset[str]()
        count = replay_count(self.new(recipe), self.dataset(recipe))
        return choose_replay(trained, count, recipe.seed, "all", forgotten)

    def dataset(self, recipe: Recipe) -> DatasetSettings:
        """The recipe's settings of samples."""
        return self.settings.dataset.model_copy(update={"replay_ratio": recipe.replay_ratio})

    def training(self, recipe: Recipe) -> TrainingSettings:
        """The recipe's settings of training."""
        fields = {
            "epochs": recipe.epochs * self.epochs_factor,
            "rank": recipe.rank,
            "alpha": 2 * recipe.rank,
            "seed": recipe.seed,
            "batch_samples": recipe.batch_samples,
        }
        return self.settings.training.model_copy(update=fields)


def lay_out(folder: Path, size: SizeName) -> Ground:
    """The ground of a size. Nothing is trained yet."""
    settings, choice = example_choice(folder)
    parts = parts_of(choice.new) if size == "whole" else quick_parts_of(choice.new)
    return Ground(folder, settings, example_system(settings), parts, 1.0 if size == "whole" else 1.2)


def parts_of(memories: Sequence[Memory]) -> dict[str, tuple[Memory, ...]]:
    """The example's memories (the oldest first) in parts: every second of the older ones makes version 1."""
    older, later = memories[:90], memories[90:]
    first, others = tuple(older[0::2]), older[1::2]
    journal = [m for m in (*others, *later) if m.kind == "journal"]
    said = [m for m in (*others, *later) if m.kind == "conversation"]
    return {
        "first": first,
        "second": tuple(others[0::3]),
        "third": tuple(others[1::3]),
        "twelve": tuple(others[2::3][:12]),
        "fourth": tuple(later[0::4]),
        "fifth": tuple(later[1::4]),
        "sixth": tuple(later[2::4]),
        "journal": tuple(journal[:20]),
        "conversations": tuple(said[:16]),
        "corrections": tuple(filter(None, map(corrected, first))),
    }


def quick_parts_of(memories: Sequence[Memory]) -> dict[str, tuple[Memory, ...]]:
    """Enough of them for a few minutes: two versions."""
    return {"first": tuple(memories[0:20:2]), "second": tuple(memories[1:14:2])}


def corrected(memory: Memory) -> Memory | None:
    """The memory with another fact in it, some months later; None where nothing has changed since."""
    for old, now in _CORRECTIONS:
        if old in memory.whole_text:
            return replace(
                memory,
                text=memory.text.replace(old, now),
                turns=tuple(Turn(turn.role, turn.text.replace(old, now)) for turn in memory.turns),
                happened_at=memory.happened_at + _LATER if memory.happened_at else None,
            )
    return None
