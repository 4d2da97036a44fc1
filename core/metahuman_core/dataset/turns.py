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


def in_turns(ranked: Sequence[T], per_epoch: int, epochs: int) -> list[T]:
    """The first of `ranked`, `per_epoch` for each of the `epochs`, with their fields `every` and `turn`.

    Of fewer than that all are taken: each of an epoch's places goes round among its own few, so that none is left out,
    and every epoch has as many.
    """
    places = min(len(ranked), per_epoch)
    count = min(len(ranked), places * epochs)
    shares = [ranked[count * place // places : count * (place + 1) // places] for place in range(places)]
    return [replace(one, every=len(share), turn=turn) for share in shares for turn, one in enumerate(share)]
