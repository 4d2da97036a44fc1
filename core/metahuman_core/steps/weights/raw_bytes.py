"""Bytes between files and tensors, without a copy: all of them, or an error.

Invariant: `os.preadv` and `os.pwrite` may do less than they are asked; these do not.
"""

from __future__ import annotations

import os

import torch


def bytes_of(data: torch.Tensor) -> memoryview:
    """A byte tensor's memory."""
    return memoryview(data.numpy())  # type: ignore[arg-type]  # numpy's stubs do not say that an array is a buffer


def read_into(fd: int, into: torch.Tensor, begin: int) -> None:
    """Fill `into` (bytes) from byte `begin` on. Raises OSError where the file ends before."""
    view = bytes_of(into)
    while view:
        count = os.preadv(fd, [view], begin)
        if not count:
            raise OSError(f"the base's file ends too early, at byte {begin}")
        view, begin = view[count:], begin + count


def write_all(fd: int, data: memoryview | bytes, begin: int) -> None:
    """Write all of `data` at byte `begin`. Raises OSError where the disk has no room for it."""
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, begin)
        view, begin = view[count:], begin + count
