"""Which shape a JSON object has: told by what is in it, wherever it lies.

Invariant: the first shape that recognises an object reads it, from the most telling to the least; an object that none
recognises is set aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from metahuman_core.memories import episodic, exports, samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metahuman_core.memories.origin import Origin, Outcome
    from metahuman_core.memories.strict_json import JsonObject

    Recogniser: TypeAlias = Callable[[JsonObject], bool]
    Reader: TypeAlias = Callable[[JsonObject, Origin], Iterator[Outcome]]

_SHAPES: tuple[tuple[Recogniser, Reader], ...] = (
    (exports.is_tree, exports.read_tree),
    (exports.is_list, exports.read_list),
    (exports.is_sharegpt, exports.read_sharegpt),
    (samples.is_therapy, samples.read_therapy),
    (samples.is_curated, samples.read_curated),
    (samples.is_instruction, samples.read_instruction),
    (episodic.is_episodic, episodic.read_episodic),
)


def read_object(value: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """What the object says: one memory, or as many as it has units."""
    reader = next((read for recognises, read in _SHAPES if recognises(value)), None)
    if reader is None:
        yield origin.skipped("no shape of a memory that is known")
    else:
        yield from reader(value, origin)
