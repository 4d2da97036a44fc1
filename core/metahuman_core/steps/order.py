"""Which samples an epoch has, and in which order.

Invariant: the order of an epoch follows from the seed and the epoch's number, so that a run which is resumed in the
middle of its third epoch goes on where it stopped. transformers' own sampler draws from the ambient generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

_APART = 1_000_003


class Order(Sampler[int]):
    """Shuffled, samples of like length together (`lengths` in tokens), so that a batch is not mostly padding.

    `turns`: in each which epoch every sample is trained, and in which (from 0) first. Where they are not as many in all
    of the `epochs`, the shorter ones have some twice: steps are counted by epochs of one length.
    """

    def __init__(
        self, lengths: Sequence[int], turns: Sequence[tuple[int, int]], epochs: int, batch_samples: int, seed: int
    ) -> None:
        self._lengths = lengths
        self._turns = turns
        self._length = max(len(self._in_epoch(number)) for number in range(epochs))
        self._batch_samples = batch_samples
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The Trainer calls this before each epoch, the resumed one too."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * _APART + self._epoch)
        indices = list(islice(cycle(self._in_epoch(self._epoch)), self._length))
        lengths = [self._lengths[index] for index in indices]
        places = get_length_grouped_indices(lengths, self._batch_samples, generator=generator)  # type: ignore[no-untyped-call]
        return (indices[place] for place in places)

    def _in_epoch(self, number: int) -> list[int]:
        return [index for index, (every, turn) in enumerate(self._turns) if number % every == turn]
