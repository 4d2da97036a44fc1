"""Opening a memory file without trusting it.

Invariant: what is opened is a regular file, never a link, a pipe or a device, and no more of it comes into memory than
was asked for. What cannot be used raises `UnreadableError`, whose reason is for people and holds no text of the file.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 16
_KIB = 1024

SYMLINK = "a symbolic link, which is not followed"
NOT_REGULAR = "not a regular file"
NO_PERMISSION = "no permission to read it"

_REASONS = {
    errno.ELOOP: SYMLINK,
    errno.ENXIO: NOT_REGULAR,
    errno.EISDIR: NOT_REGULAR,
    errno.EACCES: NO_PERMISSION,
    errno.EPERM: NO_PERMISSION,
    errno.ENOENT: "it went away before it was read",
    errno.ENAMETOOLONG: "its path is too long for the system",
}


class UnreadableError(Exception):
    """This input cannot be used. `reason` is a short phrase that becomes `Skipped.reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def why(error: OSError) -> str:
    """The reason in words why the system would not open or read something."""
    return _REASONS.get(error.errno or 0) or f"could not be read: {os.strerror(error.errno or 0)}"


def open_regular(path: Path) -> BinaryIO:
    """Open `path` for reading.

    Raises:
        UnreadableError: it is not a regular file.
        OSError: the system refuses; `why` says it in words.
    """
    # O_NONBLOCK: without it, opening a FIFO that nobody writes to would wait for ever.
    fd = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnreadableError(NOT_REGULAR)
    return os.fdopen(fd, "rb")


def read_whole(file: BinaryIO, max_bytes: int) -> bytes:
    """All of `file`, refused as soon as it is known to hold more than `max_bytes`."""
    size = os.fstat(file.fileno()).st_size
    if size > max_bytes:
        raise UnreadableError(larger_than(max_bytes))
    # Python makes room for all that is asked for, and for the limit that takes longer than reading a small file.
    raw = file.read(size + 1)
    if len(raw) > size:  # it grew in the meantime
        raw += file.read(max_bytes + 1 - len(raw))
    if len(raw) > max_bytes:
        raise UnreadableError(larger_than(max_bytes))
    return raw


def first_sign(file: BinaryIO) -> bytes:
    """The first byte that is neither white space nor a byte order mark (b"" if there is none); rewinds the file."""
    sign = b""
    while not sign and (chunk := file.read(_CHUNK_BYTES)):
        sign = chunk.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    file.seek(0)
    return sign


def larger_than(max_bytes: int) -> str:
    """The reason for what is too large, in the largest whole unit."""
    size, units = max_bytes, ["bytes", "KiB", "MiB", "GiB"]
    while size >= _KIB and size % _KIB == 0 and len(units) > 1:
        size, units = size // _KIB, units[1:]
    return f"larger than {size} {units[0]}"
