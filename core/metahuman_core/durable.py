"""Writing that survives a power cut: beside, fsync, rename, fsync of the folder.

Invariant: a name that exists is whole. What is half-written is called `NAME.partial` and is deleted without a question.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metahuman_core.errors import MetahumanError

PARTIAL = ".partial"
MODEL_CARD = "README.md"
_CHUNK_BYTES = 1 << 22


def partial_of(path: Path) -> Path:
    """The name under which `path` is being made."""
    return path.with_name(path.name + PARTIAL)


def fsync_path(path: Path) -> None:
    """Bring a file's or a folder's own bytes to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_tree(path: Path) -> None:
    """Fsync a file, or every file and folder below `path`, deepest first."""
    if path.is_dir():
        for folder, _, names in os.walk(path, topdown=False):
            for name in names:
                fsync_path(Path(folder, name))
            fsync_path(Path(folder))
    else:
        fsync_path(path)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def making(path: Path) -> Iterator[Path]:
    """Give the name to write to; on success make it durable and give it its real name, on failure delete it.

    An existing `path` is replaced (a folder is removed first: its maker's journal entry does not exist yet).
    """
    partial = partial_of(path)
    remove(partial)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        yield partial
        fsync_tree(partial)
        if path.is_dir():
            remove(path)
        partial.rename(path)
        fsync_path(path.parent)
    except BaseException:
        remove(partial)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8, mode 0600), all or nothing."""
    with making(path) as partial:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)


def sha256_file(path: Path, read: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 (hex) of a file, read in blocks of 4 MiB; `read` is told the bytes of each."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_CHUNK_BYTES):
            digest.update(block)
            read(len(block))
    return digest.hexdigest()


def sha256_tree(folder: Path, read: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 (hex) over the names and hashes of all files below `folder`, in the order of their names.

    A model card does not count (see `tree_files`). `read` is told the bytes of each block.
    """
    digest = hashlib.sha256()
    for path in tree_files(folder):
        digest.update(f"{sha256_file(path, read)}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def copy_file(source: Path, into: Path, copied: Callable[[int], None] = lambda _: None) -> None:
    """Copy a file (mode 0600), going on behind what `into` has of it, and read it back; `copied` is told the bytes.

    Raises MetahumanError, and deletes the copy, where it is read back otherwise.
    """
    fd = os.open(into, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with source.open("rb") as reading, os.fdopen(fd, "r+b") as writing:
        begin = min(writing.seek(0, os.SEEK_END), source.stat().st_size)
        writing.truncate(begin)
        writing.seek(begin)
        reading.seek(begin)
        copied(begin)
        while block := reading.read(_CHUNK_BYTES):
            writing.write(block)
            copied(len(block))
        writing.flush()
        os.fsync(writing.fileno())
        # What is read back is to come from the disk, and not from memory.
        os.posix_fadvise(writing.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if sha256_file(into) != sha256_file(source):
        remove(into)
        raise MetahumanError(
            f"{into} is another than {source}, of which it is a copy", "do it again; is the disk sound?"
        )


def tree_files(folder: Path) -> list[Path]:
    """All files below `folder` that count, in the order of their names.

    A model card (README.md) does not: it is for people, and written when the version has its number.
    """
    return sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / MODEL_CARD)


def size_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder (0 if it is not there)."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size if path.exists() else 0
