"""Fits a run's steps into the memory that is there: measured once for its kind, chosen once for the run.

Invariant: a run that goes on is computed as it was before it stopped; only running out of memory takes it a rung down.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from metahuman_core.progress import Progress, Report
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps.encode import IGNORED, Encoded
from metahuman_core.steps.fitting import Fit, below, choose, ladder
from metahuman_core.steps.kept_fits import Needs, read_fit, write_fit
from metahuman_core.steps.samples import Samples
from metahuman_core.steps.saved_bytes import can_recompute, room_bytes, step_bytes

LayOut = Callable[[list[Encoded]], dict[str, torch.Tensor]]
# So that a few words more do not make another kind of run.
_TOKENS_APART = 64


class Fits:
    """How one run is computed. `base` tells its base from others, `remembered` is the file with what runs need."""

    def __init__(
        self, samples: Samples, base: str, recipe: TrainingSettings, run_dir: Path, remembered: Path, report: Report
    ) -> None:
        self._samples, self._base, self._recipe = samples, base, recipe
        self._run_dir, self._remembered, self._report = run_dir, remembered, report
        self._fit: Fit | None = None
        self._sizes: tuple[list[int], list[int]] | None = None

    def fit(self, model: Any, lay_out: LayOut) -> Fit:
        """The run's own from before; at its beginning the largest that fits beside `model`, which has its adapter."""
        self._rungs = ladder(self._recipe.batch_samples, can_recompute=can_recompute(model))
        self._room_bytes = room_bytes(model)
        self._needs = Needs(self._remembered, self._kind(model, lay_out))
        if self._fit is None:
            self._fit = read_fit(self._run_dir, self._rungs) or choose(
                self._rungs, self._room_bytes, lambda fit: self._needed(fit, model, lay_out)
            )
            write_fit(self._run_dir, self._fit)
            if self._fit != self._rungs[0]:
                self._report(Progress("train", note=f"as memory allows: {self._fit}"))
        return self._fit

    def go_down(self) -> bool:
        """After `fit` ran out of memory: take the next rung, here and in runs to come. False where there is none."""
        if self._fit is None or (lower := below(self._rungs, self._fit)) is None:
            return False
        self._needs.put(self._fit, max(self._needs.get(self._fit) or 0, self._room_bytes + 1))
        self._fit = lower
        write_fit(self._run_dir, lower)
        self._report(Progress("train", note=f"out of memory: {lower} from here"))
        return True

    def _needed(self, fit: Fit, model: Any, lay_out: LayOut) -> int:
        known = self._needs.get(fit)
        if known is not None:
            return known
        self._report(Progress("train", note=f"measuring the memory for {fit}"))
        longest = max(self._samples.lengths())
        try:
            # As if the longest were as long as any of this kind.
            needed = max(
                step_bytes(model, lay_out(dearest), recompute=fit.recompute) * _rounded(longest) // longest
                for dearest in self._dearest(fit.rows)
            )
        except torch.OutOfMemoryError:
            needed = self._room_bytes + 1
        self._needs.put(fit, needed)
        return needed

    def _dearest(self, number: int) -> list[list[Encoded]]:
        """Those with the most tokens, and those with the most learned ones: logits are computed for these."""
        if self._sizes is None:
            self._sizes = self._samples.lengths(), self._samples.learned()
        chosen = {tuple(heapq.nlargest(number, range(len(one)), key=one.__getitem__)): None for one in self._sizes}
        return [[self._samples[at] for at in numbers] for numbers in chosen]

    def _kind(self, model: Any, lay_out: LayOut) -> str:
        """What decides over memory, in words. Logits are computed for the columns that are learned."""
        recipe, dearest = self._recipe, self._dearest(self._recipe.batch_samples)
        laid_out = [lay_out(batch) for batch in dearest]
        computed = max(rows["input_ids"].numel() for rows in laid_out)
        learned = max(int((rows["shift_labels"] != IGNORED).any(dim=0).sum()) for rows in laid_out)
        return ", ".join(
            (
                f"base {self._base}",
                _device(model.device),
                f"quantize_base {recipe.quantize_base}",
                f"rank {recipe.rank}",
                "with dropout" if recipe.dropout else "without dropout",
                f"{len(dearest[0])} samples of {_rounded(len(dearest[0][0].ids))} tokens",
                f"{_rounded(computed)} computed, {_rounded(learned)} learned",
            )
        )


def _rounded(tokens: int) -> int:
    return -(-tokens // _TOKENS_APART) * _TOKENS_APART


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        return f"{card.name} with {card.total_memory} bytes"
    return f"CPU with {psutil.virtual_memory().total} bytes"
