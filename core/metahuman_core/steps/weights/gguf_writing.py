"""A GGUF that is written in any order: where each tensor's bytes go, what they are made of, and the file's hash.

Invariant: the file is as large as it will be from the beginning, and what no tensor fills (padding) is zeros.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from metahuman_core.steps.weights.blocks import Blocks
from metahuman_core.steps.weights.encoding import Kind, encode, encoded_bytes
from metahuman_core.steps.weights.gguf_file import Header, Placed, lay_out, padded, values_of
from metahuman_core.steps.weights.hashing import FollowingHash
from metahuman_core.steps.weights.page_cache import Flusher
from metahuman_core.steps.weights.raw_bytes import bytes_of, write_all
from metahuman_core.steps.weights.shards import DTYPES, Piece
from metahuman_core.steps.weights.upstream import Conversion, evaluated

# A multiple of every block of every type.
_COMPUTED_VALUES = 1 << 20


@dataclass(frozen=True, slots=True)
class GgufPlan:
    """What is written where: the file's first bytes, its tensors, and what they are before they are quantised."""

    head: bytes
    placed: tuple[Placed, ...]
    conversion: Conversion

    @classmethod
    def of(cls, header: Header, conversion: Conversion) -> GgufPlan:
        """The file that has this header's order and types, with the tensors' true sizes."""
        shapes = {name: wanted.shape for name, wanted in conversion.tensors.items()}
        sizes = {t.name: encoded_bytes(values_of(shapes[t.name]), Kind(t.kind)) for t in header.tensors}
        head, placed = lay_out(header, shapes, sizes)
        return cls(head, tuple(placed), conversion)

    @property
    def size_bytes(self) -> int:
        """The whole file."""
        return padded(self.placed[-1].end) if self.placed else len(self.head)


class GgufWriting:
    """The file while it is being written, by several threads."""

    def __init__(self, path: Path, plan: GgufPlan, files: ExitStack) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        files.callback(os.close, self.fd)
        os.ftruncate(self.fd, plan.size_bytes)
        write_all(self.fd, plan.head, 0)
        self._plan = plan
        self._of_base: dict[tuple[Path, str], list[Placed]] = defaultdict(list)
        self._computed: dict[str, list[Placed]] = defaultdict(list)
        for placed in plan.placed:
            wanted = plan.conversion.tensors[placed.name]
            if wanted.source is not None:
                self._of_base[wanted.source.path, wanted.source.name].append(placed)
            else:
                self._computed[wanted.after].append(placed)
        # One at a time: each may need its whole tensor several times over, and they share what they are made of.
        self._computing = threading.Lock()

    def begin(self, flusher: Flusher, files: ExitStack) -> None:
        """Begin to hash what is written."""
        self._flusher = flusher
        self._hash = FollowingHash(self.fd, self._plan.size_bytes, lambda at: flusher.read(self.fd, at))
        files.callback(self._hash.give_up)
        self._hash.wrote(0, len(self._plan.head))

    def hexdigest(self) -> str:
        """The file's SHA-256, when all is written."""
        return self._hash.hexdigest()

    def write(self, piece: Piece, raw: torch.Tensor, out: torch.Tensor, blocks: Blocks) -> None:
        """Encode a merged piece of the base for all tensors that are the base's as it stands."""
        for placed in self._of_base.get((piece.tensor.path, piece.tensor.name), ()):
            values, width = raw.view(DTYPES[piece.tensor.dtype]), piece.tensor.width
            self._write(placed, values, piece.first_row * width, out, blocks)

    def computed_after(self, name: str) -> Iterator[Callable[[], None]]:
        """The tasks that make what the converter computes when it has come to this tensor of the base."""
        return ((lambda placed=placed: self._compute(placed)) for placed in self._computed.get(name, ()))  # type: ignore[misc]

    def _compute(self, placed: Placed) -> None:
        with self._computing:
            values = evaluated(self._plan.conversion.computed.pop(placed.name)).contiguous().view(-1)
            out, blocks = torch.empty(_COMPUTED_VALUES * DTYPES["F32"].itemsize, dtype=torch.uint8), Blocks()
            for at in range(0, values.numel(), _COMPUTED_VALUES):
                self._write(placed, values[at : at + _COMPUTED_VALUES], at, out, blocks)

    def _write(self, placed: Placed, values: torch.Tensor, first: int, out: torch.Tensor, blocks: Blocks) -> None:
        """Write `values`, of which the first is the tensor's `first`."""
        kind, through = Kind(placed.kind), self._plan.conversion.tensors[placed.name].kind
        data = out[: encoded_bytes(values.numel(), kind)]
        encode(values, through, kind, data, blocks, placed.name)
        begin = placed.begin + encoded_bytes(first, kind)
        write_all(self.fd, bytes_of(data), begin)
        end = begin + len(data)
        self._hash.wrote(begin, padded(end) if end == placed.end else end)
        self._flusher.wrote(len(data))
