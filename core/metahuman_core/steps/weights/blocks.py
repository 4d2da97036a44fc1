"""What one thread computes in, a block of values at a time: fp32, and small enough for a core's own cache.

Made once and used again: to allocate for every operation took as long as the operations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

BLOCK_VALUES = 1 << 17


def _block() -> torch.Tensor:
    return torch.empty(BLOCK_VALUES, dtype=torch.float32)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Two blocks, flat."""

    values: torch.Tensor = field(default_factory=_block)
    work: torch.Tensor = field(default_factory=_block)
