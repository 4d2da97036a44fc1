"""Chooses how many samples are computed at a time, by what memory has room for. Pure: it is told what each way needs.

Invariant: the samples of an optimiser's step are the same on every rung, and weigh the same; a lower rung takes less
memory and more time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fit:
    """So many samples at a time; `recompute`: activations are computed again for the backward pass, and not kept."""

    rows: int
    recompute: bool = False

    def __str__(self) -> str:
        samples = f"{self.rows} sample{'' if self.rows == 1 else 's'} at a time"
        return f"{samples}, with gradient checkpointing" if self.recompute else samples


def ladder(batch_samples: int, *, can_recompute: bool) -> tuple[Fit, ...]:
    """All ways to compute a step, in the order in which they are wished for.

    First the whole batch, then at most half of what was before, in equal parts, down to single samples; then the same
    with gradient checkpointing.
    """
    parts = [batch_samples]
    while parts[-1] > 1:
        parts.append(next(n for n in range(parts[-1] // 2, 0, -1) if batch_samples % n == 0))
    return tuple(Fit(rows, again) for again in ((False, True) if can_recompute else (False,)) for rows in parts)


def choose(rungs: Sequence[Fit], room_bytes: int, needs: Callable[[Fit], int]) -> Fit:
    """The first rung that fits; the last one where none does.

    `needs` (bytes) is asked from single samples upwards, and not for what is sure not to fit: it has to compute it.
    """
    for recompute in (False, True):
        best: Fit | None = None
        for fit in reversed([fit for fit in rungs if fit.recompute == recompute]):
            if best is not None and needs(best) * fit.rows > room_bytes * best.rows:
                break
            if needs(fit) > room_bytes:
                break
            best = fit
        if best is not None:
            return best
    return rungs[-1]


def below(rungs: Sequence[Fit], fit: Fit) -> Fit | None:
    """The next rung down; None below the last one."""
    at = rungs.index(fit) + 1
    return rungs[at] if at < len(rungs) else None
