"""A run's tokenised samples, in files that are mapped into memory: however many they are, a batch of them is held.

Invariant: the folder gets its name when it is whole, so that a run which goes on does not tokenise again.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch.utils.data import Dataset as TorchDataset

from metahuman_core.durable import making
from metahuman_core.steps.encode import IGNORED, Encoded

_IDS, _LABELS, _ENDS, _TURNS = "ids.npy", "labels.npy", "ends.npy", "turns.npy"


class Samples(TorchDataset[Encoded]):
    """The samples in a folder that `write_samples` made, in their order."""

    def __init__(self, folder: Path) -> None:
        self._ends = np.load(folder / _ENDS)
        self._ids = np.load(folder / _IDS, mmap_mode="r")
        self._labels = np.load(folder / _LABELS, mmap_mode="r")
        self._turns = np.load(folder / _TURNS).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> Encoded:
        its = slice(self._ends[index], self._ends[index + 1])
        return Encoded(self._ids[its].tolist(), self._labels[its].tolist(), *self._turns[index].tolist())

    def lengths(self) -> list[int]:
        """Each sample's tokens."""
        lengths: list[int] = np.diff(self._ends).tolist()
        return lengths

    def turns(self) -> list[tuple[int, int]]:
        """In each which epoch every one of them is trained, and in which first."""
        return [(every, turn) for every, turn in self._turns.tolist()]

    def learned(self) -> list[int]:
        """How many of each sample's tokens are learned."""
        return [int(np.count_nonzero(self._labels[begin:end] != IGNORED)) for begin, end in pairwise(self._ends)]


def write_samples(folder: Path, encoded: Iterable[Encoded]) -> None:
    """Write samples one after the other: all token ids and labels (int32), and where in them each sample ends (int64).

    And in which epochs each is trained (int32, two for each). The first of the ends is 0. What `encoded` raises breaks
    it off, and nothing is left.
    """
    with making(folder) as partial:
        partial.mkdir(mode=0o700)
        ends, turns = array("q", [0]), array("i")
        with _created(partial / _IDS) as ids, _created(partial / _LABELS) as labels:
            for file in (ids, labels):
                _write_header(file, "i", 0)
            for sample in encoded:
                ids.write(array("i", sample.ids))
                labels.write(array("i", sample.labels))
                ends.append(ends[-1] + len(sample.ids))
                turns.extend((sample.every, sample.turn))
            for file in (ids, labels):
                file.seek(0)
                _write_header(file, "i", ends[-1])
        for name, kind, numbers in ((_ENDS, "q", ends), (_TURNS, "i", turns)):
            with _created(partial / name) as file:
                _write_header(file, kind, len(numbers))
                file.write(numbers)


def _created(path: Path) -> BinaryIO:
    # Memories, if only as numbers: nobody else's to read.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write_header(file: BinaryIO, kind: str, number: int) -> None:
    """Of so many of `array`'s kind. There is room in it for any number: it is written again when that is known."""
    described = np.lib.format.dtype_to_descr(np.dtype(kind))
    np.lib.format.write_array_header_1_0(file, {"descr": described, "fortran_order": False, "shape": (number,)})
