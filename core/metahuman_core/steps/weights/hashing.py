"""Hashes of files while they are being made, without reading them from the disk again.

Invariants: what is hashed is each file's bytes from the first to the last, in whatever order they become known; and who
waits for bytes that will never come (`give_up`) is let go.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable

_BLOCK_BYTES = 1 << 22


class TurnsHash:
    """SHA-256 of bytes that several threads have, each in its turn.

    Pieces are begun in the order of their bytes, so that the one whose turn it is is always in some thread's hands.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._at = 0
        self._given_up = False
        self._turn = threading.Condition()

    def add(self, begin: int, data: memoryview | bytes) -> None:
        """Wait until all bytes before `begin` are in, and add these."""
        with self._turn:
            self._turn.wait_for(lambda: self._given_up or self._at == begin)
            if self._given_up:
                return
        self._digest.update(data)
        with self._turn:
            self._at += len(data)
            self._turn.notify_all()

    def give_up(self) -> None:
        """Nothing more will come."""
        with self._turn:
            self._given_up = True
            self._turn.notify_all()

    def hexdigest(self) -> str:
        """The hash of all that was added."""
        return self._digest.hexdigest()


class FollowingHash:
    """SHA-256 of a file that is written in any order, by a thread that follows where it is whole from its beginning.

    It reads back what was just written: that comes from memory, as a rule. `followed` is told where it has got to.
    """

    def __init__(self, fd: int, size_bytes: int, followed: Callable[[int], None]) -> None:
        self._fd, self._size_bytes, self._followed = fd, size_bytes, followed
        self._digest = hashlib.sha256()
        self._written: dict[int, int] = {}
        self._whole_to = 0
        self._given_up = False
        self._changed = threading.Condition()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._follow, name="gguf-hash")
        self._thread.start()

    def wrote(self, begin: int, end: int) -> None:
        """These bytes are in the file."""
        with self._changed:
            self._written[begin] = end
            while self._whole_to in self._written:
                self._whole_to = self._written.pop(self._whole_to)
            self._changed.notify()

    def give_up(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._given_up = True
            self._changed.notify()
        self._thread.join()

    def hexdigest(self) -> str:
        """The hash, when all is written. Raises what the thread met with, and ValueError where bytes are missing."""
        if self._whole_to != self._size_bytes:
            raise ValueError(f"the GGUF is whole up to byte {self._whole_to} of {self._size_bytes}")
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._digest.hexdigest()

    def _follow(self) -> None:
        at = 0
        try:
            while at < self._size_bytes:
                with self._changed:
                    self._changed.wait_for(lambda at=at: self._given_up or self._whole_to > at)  # type: ignore[misc]
                    if self._given_up:
                        return
                    end = self._whole_to
                while at < end and not self._given_up:
                    block = os.pread(self._fd, min(_BLOCK_BYTES, end - at), at)
                    self._digest.update(block)
                    at += len(block)
                    self._followed(at)
        except BaseException as error:  # noqa: BLE001  # whoever asks for the hash is to hear of it
            self._failure = error
