"""Plans a line's next version from what came before it: what it trains, on what, and what tells it from all others.

Invariant: pure; a version's `key` is a digest of all that its result hangs on, so that a kept result is the result of
this version or is not found. Two strategies whose first versions are the same share them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from lifelong.kept import Measured
from lifelong.material import Batch, Material, Probe, Run, current
from lifelong.strategies import Strategy
from metahuman_core.dataset.choose import choose_replay, replay_count
from metahuman_core.dataset.samples import Sample
from metahuman_core.journal import digest_of
from metahuman_core.memories.model import Memory, Trained
from metahuman_core.settings import GateSettings, TrainingSettings

# To be raised where training, merging or measuring is changed so that results are no longer those that were kept.
VERSION = 3
# They change how fast or where it is computed, and not what; the two `every` are a strategy's.
_NO_MATTER = frozenset({"device", "checkpoint_every_steps", "reanchor_every", "consolidate_every"})
_MOST_WATCHED = GateSettings().prompts


@dataclass(frozen=True, slots=True)
class Cell:
    """One version of one line. `anchor` and `warm` are keys of cells before it.

    `anchor`: the merged model that it stands on ("" for the original base); `warm`: the adapter that it goes on from
    ("" for a fresh one). `samples` is its dataset, empty for cycle 0, the base as it is; `watched` are the kept-out
    samples that the gate asks.
    """

    strategy: str
    seed: int
    cycle: int
    samples: tuple[Sample, ...]
    watched: tuple[Sample, ...]
    recipe: TrainingSettings
    anchor: str
    warm: str
    merges: bool
    key: str

    @property
    def trained(self) -> int:
        """How many samples it trains."""
        return sum(sample.split == "train" for sample in self.samples)

    @property
    def passes(self) -> float:
        """How many samples are computed in all, each epoch's counted."""
        return sum(self.recipe.epochs / sample.every for sample in self.samples if sample.split == "train")

    @property
    def needs(self) -> tuple[str, ...]:
        """The cells whose files it needs."""
        return tuple(key for key in (self.anchor, self.warm) if key)


@dataclass(frozen=True, slots=True)
class Line:
    """One strategy on one seed's material: its cells so far, and what the last one's result was."""

    strategy: Strategy
    seed: int
    material: Material
    recipe: TrainingSettings
    model_sha256: str
    cells: tuple[Cell, ...] = ()
    measured: tuple[Measured, ...] = ()

    def next(self) -> Cell | None:
        """The next version; None behind the last batch."""
        number = len(self.cells) + 1
        batches = self.material.batches
        if number > len(batches):
            return None
        every = self.strategy.consolidate_every
        consolidates = bool(every) and number % every == 0
        settings = self.strategy.dataset(self.seed)
        new = _current(batches[:number]) if consolidates else _current(batches[number - 1 : number])
        replay: tuple[Memory, ...] = ()
        if not consolidates:
            count = replay_count(new, settings)
            trained = _trained(batches, number, self.cells)
            replay = choose_replay(trained, count, settings.seed, "all", self._forgotten())
        told = tuple(memory for batch in batches[: number - 1] for memory in batch.memories)
        earlier = tuple(sample for cell in self.cells for sample in cell.samples)
        recipe = self.strategy.recipe(self.recipe, self.seed)
        samples = self.material.samples(Run(new, replay, told, earlier, settings, recipe.begun_epochs))
        merges = bool(self.strategy.reanchor_every) and number % self.strategy.reanchor_every == 0
        anchor, warm = ("", "") if consolidates or not self.cells else _behind(self.cells[-1])
        watched = _watched(samples, earlier, {memory.digest for memory in _current(batches[:number])})
        counted = recipe.model_dump(mode="json", exclude=set(_NO_MATTER))
        asked = [_asked(self.material), watched]
        key = digest_of([VERSION, self.model_sha256, asked, anchor, warm, merges, samples, counted])
        return Cell(self.strategy.name, self.seed, number, samples, watched, recipe, anchor, warm, merges, key)

    def then(self, cell: Cell, measured: Measured) -> Line:
        """The line with one version more."""
        return replace(self, cells=(*self.cells, cell), measured=(*self.measured, measured))

    def _forgotten(self) -> frozenset[str]:
        """The memories of which the last version recalled less than half of what the gate asked, as in the product."""
        asked: dict[str, list[bool]] = defaultdict(list)
        for one in self.measured[-1].watched if self.measured else ():
            asked[one.memory].append(one.recalled)
        return frozenset(memory for memory, recalled in asked.items() if 2 * sum(recalled) < len(recalled))


def base_cell(seed: int, material: Material, recipe: TrainingSettings, model_sha256: str) -> Cell:
    """The base as it is, asked the same."""
    key = digest_of([VERSION, model_sha256, _asked(material)])
    return Cell("base", seed, 0, (), (), recipe, "", "", merges=False, key=key)


def probes_of(material: Material) -> tuple[tuple[int, Probe], ...]:
    """All probes, each with the number of its batch."""
    return tuple((number, probe) for number, batch in enumerate(material.batches, 1) for probe in batch.probes)


def passes_ahead(lines: Iterable[Line]) -> dict[str, float]:
    """The passes of all versions to come, as far as can be told before: which memories are replayed cannot."""
    passes: dict[str, float] = {}
    for line in lines:
        ahead = line
        while (cell := ahead.next()) is not None:
            passes[cell.key] = cell.passes
            ahead = replace(ahead, cells=(*ahead.cells, cell), measured=())
    return passes


def still_needed(fronts: Iterable[Cell]) -> frozenset[str]:
    """The cells whose files are needed by the next cells of all lines; these themselves among them."""
    return frozenset(key for cell in fronts for key in (cell.key, *cell.needs))


def _behind(cell: Cell) -> tuple[str, str]:
    """Anchor and warm start of what comes behind a version."""
    return (cell.key, "") if cell.merges else (cell.anchor, cell.key)


def _trained(batches: Sequence[Batch], number: int, cells: Sequence[Cell]) -> list[Trained]:
    """What came before a batch and has not been superseded up to it, with the runs that trained it first and last."""
    kept = {memory.digest for memory in _current(batches[:number])}
    last = {s.memory: cell.cycle for cell in cells for s in cell.samples if s.split == "train"}
    return [
        Trained(_label(at), _label(last.get(memory.digest, at)), memory)
        for at, batch in enumerate(batches[: number - 1], 1)
        for memory in batch.memories
        if memory.digest in kept
    ]


def _label(cycle: int) -> str:
    """Sorts as time does, as the product's do."""
    return f"cycle-{cycle:04}"


def _watched(samples: Sequence[Sample], earlier: Sequence[Sample], kept: set[str]) -> tuple[Sample, ...]:
    """Of its own memories as many as the gate asks, of older ones twice as many, each once, of no meaning in order."""
    own, old = (
        {(s.memory, s.turns[-2].text): s for s in some if s.split == "probe" and s.memory in kept}
        for some in (samples, earlier)
    )
    older = [sample for key, sample in old.items() if key not in own]
    return (*_some(own.values(), _MOST_WATCHED), *_some(older, 2 * _MOST_WATCHED))


def _some(samples: Iterable[Sample], most: int) -> list[Sample]:
    return sorted(samples, key=lambda s: sha256(f"{s.memory}{s.turns[-2].text}".encode()).digest())[:most]


def _current(batches: Sequence[Batch]) -> tuple[Memory, ...]:
    return current(memory for batch in batches for memory in batch.memories)


def _asked(material: Material) -> str:
    return digest_of([material.system, probes_of(material)])
