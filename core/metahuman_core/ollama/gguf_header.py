"""The two facts of a GGUF that Ollama's `show` must repeat: the architecture and the quantisation.

Read from the file's first bytes; the format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from metahuman_core.errors import MetahumanError

QUANTIZATION = {
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    32: "BF16",
}
"""`general.file_type` as Ollama names it; it names every other one, F32 among them, "unknown"."""
UNKNOWN = "unknown"
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_FILE_TYPE, _ARCHITECTURE = "general.file_type", "general.architecture"
_LONGEST_STRING_BYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """What `show` calls family and quantization_level."""

    family: str
    quantization: str


def read_facts(path: Path) -> GgufFacts:
    """Read the header.

    Raises:
        MetahumanError: the file is no GGUF, or ends within its header.
    """
    found: dict[str, Any] = {}
    with path.open("rb") as file:
        try:
            if file.read(4) != b"GGUF":
                raise MetahumanError(f"{path.name} is not in the GGUF format", "make it again")
            _version, _n_tensors, n_values = struct.unpack("<IQQ", _take(file, 20))
            for _ in range(n_values):
                key = _string(file)
                found[key] = _value(file, *struct.unpack("<I", _take(file, 4)))
                if _FILE_TYPE in found and _ARCHITECTURE in found:
                    break
        except (EOFError, KeyError, UnicodeDecodeError) as error:
            raise MetahumanError(f"the header of {path.name} is broken", "make the GGUF again") from error
    return GgufFacts(str(found.get(_ARCHITECTURE, "")), QUANTIZATION.get(found.get(_FILE_TYPE, 0), UNKNOWN))


def _take(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", _take(file, 8))
    if length > _LONGEST_STRING_BYTES:
        raise EOFError
    return _take(file, length).decode("utf-8")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        element, count = struct.unpack("<IQ", _take(file, 12))
        if element in _SCALARS:
            file.seek(struct.calcsize(_SCALARS[element]) * count, 1)
        else:
            for _ in range(count):
                _value(file, element)
        return None
    form = _SCALARS[kind]
    return struct.unpack(form, _take(file, struct.calcsize(form)))[0]
