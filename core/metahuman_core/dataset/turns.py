"""Deals samples out over the epochs of a run: each epoch has others, as far as they go, and as many. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")


def in_turns(ranked: Sequence[T], per_epoch: int, epochs: int, first: int = 0) -> list[T]:
    """The first of `ranked`, `per_epoch` for each of the `epochs`, with their fields `every` and `turn`.

    Of fewer all are taken, and have their turn again as soon as all had theirs. `first`: the turn that the first has,
    so that where much is dealt one after the other, no epoch has more than another.
    """
    count = min(len(ranked), per_epoch)
    every = min(epochs, len(ranked) // count) if count else 1
    return [
        replace(one, every=every, turn=(first + place) % every) for place, one in enumerate(ranked[: count * every])
    ]
