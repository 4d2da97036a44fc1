"""A GGUF's header: read for the order and the types of its tensors, and written anew with their true sizes.

Invariant: what stands before the tensors' descriptions (version and metadata) is kept as bytes. Source of the format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 3, little-endian).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metahuman_core.errors import MetahumanError

ALIGNMENT = 32
_FIXED = struct.Struct("<4sIQQ")
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_STRING, _ARRAY = 8, 9
_VALUE_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


@dataclass(frozen=True, slots=True)
class Described:
    """A tensor by name and ggml's number of its type."""

    name: str
    kind: int


@dataclass(frozen=True, slots=True)
class Header:
    """`lead`: all bytes before the tensors' descriptions."""

    lead: bytes
    tensors: tuple[Described, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor in the file: `shape` as torch has it, `begin` and `end` in bytes from the file's beginning."""

    name: str
    kind: int
    shape: tuple[int, ...]
    begin: int
    end: int


def padded(size_bytes: int) -> int:
    """The next multiple of the alignment."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


def read_header(data: bytes) -> Header:
    """Read a file's beginning. Raises MetahumanError for another version of the format."""
    magic, version, tensors, values = _FIXED.unpack_from(data)
    if (magic, version) != (b"GGUF", 3):
        raise MetahumanError("llama.cpp wrote no GGUF of version 3", "does the converter fit llama-cpp-python?")
    at = _FIXED.size
    for _ in range(values):
        at = _skip_string(data, at)
        at = _skip_value(data, at + 4, _U32.unpack_from(data, at)[0])
    lead = data[:at]
    described = []
    for _ in range(tensors):
        begin, at = at + 8, _skip_string(data, at)
        name = data[begin:at].decode()
        at += 4 + 8 * _U32.unpack_from(data, at)[0]
        described.append(Described(name, _U32.unpack_from(data, at)[0]))
        at += 12
    return Header(lead, tuple(described))


def _skip_string(data: bytes, at: int) -> int:
    return int(at + 8 + _U64.unpack_from(data, at)[0])


def _skip_value(data: bytes, at: int, kind: int) -> int:
    if kind == _STRING:
        return _skip_string(data, at)
    if kind != _ARRAY:
        return at + _VALUE_BYTES[kind]
    (of,), (length,) = _U32.unpack_from(data, at), _U64.unpack_from(data, at + 4)
    at += 12
    if of in _VALUE_BYTES:
        return int(at + length * _VALUE_BYTES[of])
    for _ in range(length):
        at = _skip_value(data, at, of)
    return at


def lay_out(
    header: Header, shapes: Mapping[str, Sequence[int]], sizes: Mapping[str, int]
) -> tuple[bytes, list[Placed]]:
    """The head of a file whose tensors have these shapes and sizes (bytes), padded, and where each one lies."""
    head_bytes = padded(len(header.lead) + sum(_described_bytes(t.name, shapes[t.name]) for t in header.tensors))
    parts, placed, begin = [header.lead], [], head_bytes
    for tensor in header.tensors:
        name, shape = tensor.name.encode(), tuple(shapes[tensor.name])
        numbers = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        parts += [_U64.pack(len(name)), name, numbers, struct.pack("<IQ", tensor.kind, begin - head_bytes)]
        placed.append(Placed(tensor.name, tensor.kind, shape, begin, begin + sizes[tensor.name]))
        begin += padded(sizes[tensor.name])
    return b"".join(parts).ljust(head_bytes, b"\0"), placed


def _described_bytes(name: str, shape: Sequence[int]) -> int:
    return 8 + len(name.encode()) + 4 + 8 * len(shape) + 4 + 8


def values_of(shape: Sequence[int]) -> int:
    """How many values a tensor has."""
    return math.prod(shape)
