"""GGUF headers, as far as the double needs them: read one as Ollama does, write a small one whose data is a hole."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

ALIGNMENT = 32
# name: (number in the file, elements per block, bytes per block), from ggml.h
TENSOR_TYPES = {
    "F32": (0, 1, 4),
    "F16": (1, 1, 2),
    "Q4_0": (2, 32, 18),
    "Q4_1": (3, 32, 20),
    "Q5_0": (6, 32, 22),
    "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34),
    "Q2_K": (10, 256, 84),
    "Q3_K": (11, 256, 110),
    "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210),
    "BF16": (30, 1, 2),
}
_TYPE_NAMES = {number: name for name, (number, _, _) in TENSOR_TYPES.items()}
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_F32, _STRING, _ARRAY = 6, 8, 9


class NotGgufError(Exception):
    """The four letters are missing."""


class CutShortError(Exception):
    """The header says more than the file holds."""


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    type: str
    shape: tuple[int, ...]
    offset: int = 0

    @property
    def elements(self) -> int:
        count = 1
        for side in self.shape:
            count *= side
        return count

    @property
    def size_bytes(self) -> int:
        _, block, size = TENSOR_TYPES[self.type]
        return self.elements // block * size


@dataclass(frozen=True, slots=True)
class Header:
    values: dict[str, Any]
    """Scalars and strings; an array is None, as `show` prints it."""
    tensors: tuple[Tensor, ...]
    data_start: int

    @property
    def in_own_order(self) -> bool:
        """Whether the tensors already stand as llama.cpp's quantiser would write them."""
        return self.tensors == own_order(self.tensors)


def own_order(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    def place(tensor: Tensor) -> tuple[int, str]:
        block = re.match(r"blk\.(\d+)\.", tensor.name)
        return (int(block[1]) if block else -1, tensor.name)

    return tuple(sorted(tensors, key=place))


def looks_like(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def read(path: Path) -> Header:
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise NotGgufError
        _take(file, "<I")  # the version is not looked at
        n_tensors, n_values = _take(file, "<Q"), _take(file, "<Q")
        values: dict[str, Any] = {}
        for _ in range(n_values):
            key = _string(file)
            values[key] = _value(file, _take(file, "<I"))
        tensors = []
        for _ in range(n_tensors):
            name = _string(file)
            shape = tuple(_take(file, "<Q") for _ in range(_take(file, "<I")))
            tensors.append(Tensor(name, _TYPE_NAMES.get(_take(file, "<I"), "F32"), shape, _take(file, "<Q")))
        return Header(values, tuple(tensors), -(-file.tell() // ALIGNMENT) * ALIGNMENT)


def write(path: Path, values: dict[str, Any], tensors: tuple[Tensor, ...], data_start: int = 0) -> None:
    """Write a header and, as a hole in the file, the tensors' data.

    `data_start` makes the header as long as the real one was; a list of numbers in `values` becomes an array.
    """
    body = b"".join(_pack(key) + _pack_value(value) for key, value in values.items())
    rows, offset = [], 0
    for tensor in tensors:
        number, _, _ = TENSOR_TYPES[tensor.type]
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        rows.append(_pack(tensor.name) + shape + struct.pack("<IQ", number, offset))
        offset = -(-(offset + tensor.size_bytes) // ALIGNMENT) * ALIGNMENT
    count, table = len(values), b"".join(rows)
    if data_start:
        filler = data_start - 24 - len(body) - len(table) - len(_pack("tokenizer.ggml.tokens")) - 16
        body += _pack("tokenizer.ggml.tokens") + struct.pack("<IIQ", _ARRAY, 0, filler) + bytes(filler)
        count += 1
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + body + table
    with path.open("wb") as file:
        file.write(head)
        file.truncate(-(-len(head) // ALIGNMENT) * ALIGNMENT + offset)


def _take(file: BinaryIO, form: str) -> Any:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise CutShortError
    return struct.unpack(form, data)[0]


def _string(file: BinaryIO) -> str:
    length = _take(file, "<Q")
    data = file.read(min(length, 1 << 26))
    if len(data) < length:
        raise CutShortError
    return data.decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        element, count = _take(file, "<I"), _take(file, "<Q")
        if element in _SCALARS:
            size = struct.calcsize(_SCALARS[element]) * count
            if len(file.read(min(size, 1 << 28))) < size:
                raise CutShortError
        else:
            for _ in range(count):
                _value(file, element)
        return None
    if kind not in _SCALARS:
        raise CutShortError
    value = _take(file, _SCALARS[kind])
    return float(f"{value:.7g}") if kind == _F32 else value


def _pack(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _pack_value(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value) if 0 <= value < 1 << 32 else struct.pack("<Iq", 11, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", _STRING) + _pack(value)
        case _:
            numbers = value or []
            return struct.pack(f"<IIQ{len(numbers)}I", _ARRAY, 4, len(numbers), *numbers)
