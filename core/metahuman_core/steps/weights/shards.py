"""The base's weights on disk: which files, which tensors, where their bytes lie.

Invariant: only headers are read here, and a shard whose tensors do not fill it without a gap is refused: so the bytes
of `model/` are headers and tensors, in the base's own order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch

from metahuman_core.errors import MetahumanError

# Only these are weights that can be trained; a base may hold others (an index, a mask), which stay as they are.
DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
_INDEX = "model.safetensors.index.json"
_LENGTH_BYTES = 8
# Slices of a few rows take other kernels of the matrix product, and with them other bits; of 256 rows and more not.
_MIN_ROWS = 256
_PIECE_VALUES = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseTensor:
    """A tensor in a shard; `begin` and `end` are bytes from the file's beginning."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def width(self) -> int:
        """Values in a row: the last dimension."""
        return self.shape[-1] if self.shape else 1

    @property
    def rows(self) -> int:
        """All other dimensions together."""
        return math.prod(self.shape[:-1])

    @property
    def full_precision(self) -> bool:
        """Whether its values are floats that torch computes with."""
        return self.dtype in DTYPES


@dataclass(frozen=True, slots=True)
class Shard:
    """A safetensors file: its header's bytes, length included, and its tensors in the order of their data."""

    path: Path
    head: bytes
    tensors: tuple[BaseTensor, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole rows of a tensor: what one worker does at a time."""

    tensor: BaseTensor
    first_row: int
    end_row: int

    @property
    def begin(self) -> int:
        """Where its bytes begin in the shard."""
        return self.tensor.begin + self.first_row * self._row_bytes

    @property
    def size_bytes(self) -> int:
        """Bytes in the shard."""
        return (self.end_row - self.first_row) * self._row_bytes

    @property
    def _row_bytes(self) -> int:
        return (self.tensor.end - self.tensor.begin) // self.tensor.rows


def pieces_of(tensor: BaseTensor) -> Iterator[Piece]:
    """Cut a tensor into pieces of at least 256 rows (if it has them); the last one takes the remainder."""
    rows = max(_MIN_ROWS, _PIECE_VALUES // max(tensor.width, 1))
    cuts = [*range(0, max(tensor.rows - rows, 0) + 1, rows), tensor.rows]
    return (Piece(tensor, first, end) for first, end in pairwise(cuts) if end > first)


def read_shards(base: Path) -> tuple[Shard, ...]:
    """The shards that the index names, or all safetensors files. Raises MetahumanError where one is not whole."""
    index = base / _INDEX
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise MetahumanError(f"{index} does not say which files hold the weights", "fetch the base again") from None
        paths = sorted(base / name for name in names)
    else:
        paths = sorted(base.glob("*.safetensors"))
    shards = tuple(_read_shard(path) for path in paths)
    held: dict[str, Path] = {}
    for tensor in (tensor for shard in shards for tensor in shard.tensors):
        if (other := held.setdefault(tensor.name, tensor.path)) != tensor.path:
            raise MetahumanError(f"{tensor.path} and {other.name} both hold {tensor.name}", "leave one of them there")
    return shards


def _read_shard(path: Path) -> Shard:
    """See https://github.com/huggingface/safetensors#format."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = file.read(_LENGTH_BYTES)
        head = length + file.read(min(int.from_bytes(length, "little"), size_bytes))
    try:
        described = json.loads(head[_LENGTH_BYTES:])
    except ValueError:
        raise MetahumanError(f"{path} has no header that can be read", "fetch the base again") from None
    described.pop("__metadata__", None)
    tensors = tuple(
        BaseTensor(path, name, info["dtype"], tuple(info["shape"]), *(len(head) + at for at in info["data_offsets"]))
        for name, info in sorted(described.items(), key=lambda item: item[1]["data_offsets"])
    )
    ends = [len(head), *(tensor.end for tensor in tensors)]
    if [*(tensor.begin for tensor in tensors), size_bytes] != ends:
        raise MetahumanError(f"{path} ends too early, or has gaps", "fetch the base again")
    return Shard(path, head, tensors, size_bytes)
