"""A FUSE file system in a thread: shows one real folder's files, which change below it and nobody is told.

Speaks the kernel's protocol as far as listing and reading go (linux/fuse.h), so that no library is needed. Root only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import stat
import struct
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _STATFS, _RELEASE = 1, 2, 3, 14, 15, 17, 18
_FLUSH, _INIT, _OPENDIR, _READDIR, _RELEASEDIR, _INTERRUPT, _BATCH_FORGET = 25, 26, 27, 28, 29, 36, 42
_UNANSWERED = (_FORGET, _INTERRUPT, _BATCH_FORGET)
_ROOT = 1
_BUFFER_BYTES = 1 << 17
_FIXED = {
    _INIT: struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, *[0] * 7),
    **dict.fromkeys((_OPEN, _OPENDIR), bytes(16)),
    **dict.fromkeys((_RELEASE, _RELEASEDIR, _FLUSH), b""),
    _STATFS: bytes(80),
}
_HEADER = struct.Struct("<IIQQIIIHH")


class FuseDouble:
    """`folder`, as a FUSE file system at `point`, for as long as the context lasts."""

    def __init__(self, folder: Path, point: Path) -> None:
        self._folder = folder
        self._point = point
        self._names: dict[int, str] = {}
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,allow_other"
        if libc.mount(b"double", os.fsencode(self._point), b"fuse.double", 0, options.encode()):
            os.close(self._fd)
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        subprocess.run(["umount", "-l", self._point], check=True)

    def die(self) -> None:
        """As when the program behind it crashes: the mount stays, and says only that nobody is there."""
        self._ended.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._ended.is_set():
            if not select.select([self._fd], [], [], 0.05)[0]:
                continue
            try:
                request = os.read(self._fd, _BUFFER_BYTES)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    break
                continue
            _, opcode, unique, node, *_ = _HEADER.unpack_from(request)
            if opcode in _UNANSWERED:
                continue
            try:
                code, body = 0, self._answer(opcode, node, request[_HEADER.size :])
            except OSError as error:
                code, body = -(error.errno or errno.EIO), b""
            with suppress(OSError):
                os.write(self._fd, struct.pack("<IiQ", 16 + len(body), code, unique) + body)
        os.close(self._fd)

    def _answer(self, opcode: int, node: int, body: bytes) -> bytes:
        if opcode in _FIXED:
            return _FIXED[opcode]
        if opcode == _LOOKUP:
            name = os.fsdecode(body.rstrip(b"\0"))
            attributes = self._attributes(self._folder / name)
            (inode,) = struct.unpack_from("<Q", attributes)
            self._names[inode] = name
            return struct.pack("<QQQQII", inode, 0, 0, 0, 0, 0) + attributes
        if opcode == _GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self._attributes(self._path(node))
        if opcode == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self._path(node).read_bytes()[offset : offset + size]
        if opcode == _READDIR:
            return self._listing(*struct.unpack_from("<QI", body, 8))
        raise OSError(errno.ENOSYS, "not spoken here")

    def _path(self, node: int) -> Path:
        return self._folder if node == _ROOT else self._folder / self._names[node]

    def _listing(self, offset: int, size: int) -> bytes:
        listing = b""
        for place, name in enumerate(sorted(path.name for path in self._folder.iterdir())[offset:], offset + 1):
            raw = os.fsencode(name)
            entry = struct.pack("<QQII", (self._folder / name).stat().st_ino, place, len(raw), stat.S_IFREG >> 12) + raw
            entry += bytes(-len(entry) % 8)
            if len(listing) + len(entry) > size:
                break
            listing += entry
        return listing

    @staticmethod
    def _attributes(path: Path) -> bytes:
        found = path.stat()
        times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
        return struct.pack(
            "<6Q10I",
            *(found.st_ino, found.st_size, found.st_blocks),
            *(at // 10**9 for at in times),
            *(at % 10**9 for at in times),
            *(found.st_mode, found.st_nlink, found.st_uid, found.st_gid, 0, 4096, 0),
        )
