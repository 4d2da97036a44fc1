"""Reading one file of memories: opened with care, told by its ending and by its shape.

Invariant: `read` never raises for what a file holds or for what the system says about it. Each thing that cannot be
used becomes a `Skipped`, and nothing is ever written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from metahuman_core.memories.exports import is_conversation
from metahuman_core.memories.journal import read_journal
from metahuman_core.memories.labels import folder_kind
from metahuman_core.memories.objects import read_object
from metahuman_core.memories.opened import UnreadableError, first_sign, larger_than, open_regular, read_whole, why
from metahuman_core.memories.origin import Limits, Origin
from metahuman_core.memories.records import read_records
from metahuman_core.memories.streams import json_items, json_lines
from metahuman_core.memories.strict_json import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metahuman_core.memories.model import Memory, Skipped
    from metahuman_core.memories.walk import FoundFile

    FileReader: TypeAlias = Callable[[BinaryIO, Origin], Iterator[Memory | Skipped]]

__all__ = ["Limits", "read"]

_DEFAULTS = Limits()


def read(found: FoundFile, limits: Limits = _DEFAULTS) -> Iterator[Memory | Skipped]:
    """The memories of a file, in its order, and what was set aside.

    Lists and lines of JSON are streamed, whatever their size; everything else is read whole, up to
    `limits.memory_bytes` (a single conversation of an export up to `limits.item_bytes`).
    """
    ending = found.source.lower().rpartition(".")[2]
    origin = Origin(found.source, limits, folder_kind(found.source) or _KIND_BY_ENDING.get(ending, ""))
    try:
        with open_regular(found.path) as file:
            yield from _READER_BY_ENDING.get(ending, _read_text)(file, origin)
    except UnreadableError as error:
        yield origin.skipped(error.reason)
    except OSError as error:
        yield origin.skipped(why(error))


def _read_json(file: BinaryIO, origin: Origin) -> Iterator[Memory | Skipped]:
    """A list is streamed, an object is one document."""
    return _read_list(file, origin) if first_sign(file) == b"[" else _read_document(file, origin)


def _read_json_lines(file: BinaryIO, origin: Origin) -> Iterator[Memory | Skipped]:
    """One object a line; a list that was only named like one is read as a list."""
    if first_sign(file) == b"[":
        return _read_list(file, origin)
    return read_records(json_lines(file, origin.limits.item_bytes), origin)


def _read_list(file: BinaryIO, origin: Origin) -> Iterator[Memory | Skipped]:
    return read_records(json_items(file, origin.limits.item_bytes), origin)


def _read_document(file: BinaryIO, origin: Origin) -> Iterator[Memory | Skipped]:
    limits = origin.limits
    raw = read_whole(file, max(limits.memory_bytes, limits.item_bytes))
    value = parse_object(raw, limits.max_depth)
    if len(raw) > limits.memory_bytes and not is_conversation(value):
        raise UnreadableError(larger_than(limits.memory_bytes))
    return read_object(value, origin)


def _read_text(file: BinaryIO, origin: Origin) -> Iterator[Memory | Skipped]:
    return read_journal(read_whole(file, origin.limits.memory_bytes), origin)


_READER_BY_ENDING: dict[str, FileReader] = {
    "json": _read_json,
    "jsonl": _read_json_lines,
    "ndjson": _read_json_lines,
}
_KIND_BY_ENDING = {"jsonl": "training", "ndjson": "training"}
