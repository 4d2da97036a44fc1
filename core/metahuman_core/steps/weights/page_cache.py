"""What the pass leaves of itself in the machine's page cache.

A home server's other programs have their files there, and a pass over a large model would push all of them out. Of a
small model the pages stay: the check and the upload read them next.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

_LARGE_SHARE = 1 / 8
_FLUSH_BYTES = 256 << 20


def is_large(size_bytes: int) -> bool:
    """Whether files of so many bytes would fill more than an eighth of this machine's memory."""
    return size_bytes > _LARGE_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def let_go(fd: int, begin: int, end: int) -> None:
    """Drop these bytes of a file from the page cache; those that are not on the disk yet stay."""
    if end > begin:  # a length of 0 would mean all of it
        os.posix_fadvise(fd, begin, end - begin, os.POSIX_FADV_DONTNEED)


class Flusher:
    """Brings files to the disk while they are being written, so that the fsync at their end has little to wait for.

    Where `large`, what is on the disk is let go of; of a file that is read back (`read_back`), only what its reader has
    passed.
    """

    def __init__(self, fds: Sequence[int], read_back: int | None, *, large: bool) -> None:
        self._fds = fds
        self._read_to = {} if read_back is None else {read_back: 0}
        self._large = large
        self._pending_bytes = 0
        self._ended = False
        self._changed = threading.Condition()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._flush, name="flusher")
        self._thread.start()

    def wrote(self, count: int) -> None:
        """So many bytes more were written, to any of the files."""
        with self._changed:
            self._pending_bytes += count
            if self._pending_bytes >= _FLUSH_BYTES:
                self._changed.notify()

    def read(self, fd: int, end: int) -> None:
        """The reader of this file has passed these bytes."""
        self._read_to[fd] = end

    def end(self) -> None:
        """Wait for the thread; the files are still open. Raises OSError where the disk took something not."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _flush(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._ended or self._pending_bytes >= _FLUSH_BYTES)
                    if self._ended:
                        return
                    self._pending_bytes = 0
                for fd in self._fds:
                    os.fdatasync(fd)
                    if self._large:
                        let_go(fd, 0, self._read_to.get(fd, os.fstat(fd).st_size))
        except OSError as error:
            self._failure = error
