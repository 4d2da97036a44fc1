"""In which order samples are trained.

Invariant: the order of an epoch follows from the seed and the epoch's number, so that a run which is resumed in the
middle of its third epoch goes on where it stopped. transformers' own sampler draws from the ambient generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

_APART = 1_000_003


class Order(Sampler[int]):
    """Shuffled, samples of like length together (`lengths` in tokens), so that a batch is not mostly padding."""

    def __init__(self, lengths: Sequence[int], batch_samples: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_samples = batch_samples
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The Trainer calls this before each epoch, the resumed one too."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * _APART + self._epoch)
        indices = get_length_grouped_indices(self._lengths, self._batch_samples, generator=generator)  # type: ignore[no-untyped-call]
        return iter(indices)
