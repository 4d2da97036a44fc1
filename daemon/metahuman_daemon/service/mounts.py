"""Which file system a path lies on, and whether the kernel tells of every change there.

Invariant: in doubt it does not. A folder that is polled for nothing costs a little; one that is not polled goes stale.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

MOUNTINFO = Path("/proc/self/mountinfo")

# inotify tells of what is changed through this kernel. Here others can change files, too: another machine, a host, or a
# program behind FUSE on the folder below its own. Not fuseblk (NTFS, exFAT): nobody else has the disk.
_CHANGED_BY_OTHERS = frozenset({
    "9p", "acfs", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse", "gfs", "gfs2", "glusterfs",
    "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "prl_fs", "pvfs2", "smb2", "smb3",
    "smbfs", "vboxsf", "virtiofs", "vmhgfs",
})  # fmt: skip
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """What a path lies on: `fs_type` as the kernel calls it (ext4, nfs4, fuse.sshfs), empty where it does not say."""

    fs_type: str
    tells_of_changes: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    mount_id: int
    parent_id: int
    point: PurePath
    fs_type: str


def file_system_of(path: Path, mountinfo: Path = MOUNTINFO) -> Mount:
    """The file system that `path` lies on, its links followed; it need not be there."""
    with contextlib.suppress(OSError):
        path.stat()  # what is mounted on demand comes with the first look
    real = Path(os.path.realpath(path))
    try:
        table = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return Mount("", tells_of_changes=False)
    return mount_in(table, real)


def mount_in(table: str, path: PurePath) -> Mount:
    """The same, by the text of a mountinfo (see proc(5)); `path` is absolute and without links.

    Walks from mount to mount as the kernel does, by their parents: the order of the lines does not tell which of two
    mounts hides the other.
    """
    above = [entry for line in table.split("\n") if (entry := _parsed(line)) and path.is_relative_to(entry.point)]
    known = {entry.mount_id for entry in above}
    # The root's own parent is in no list; it can be that it is named as its own.
    found = next((e for e in above if e.parent_id not in known or e.parent_id == e.mount_id), None)
    if found is None:
        return Mount("", tells_of_changes=False)
    left = [entry for entry in above if entry is not found]
    # Of a mount's children the nearest to the root is met first: what was mounted deeper before is hidden behind it.
    while inside := [entry for entry in left if entry.parent_id == found.mount_id]:
        found = min(inside, key=lambda entry: len(entry.point.parts))
        left.remove(found)
    is_local = found.fs_type not in _CHANGED_BY_OTHERS and not found.fs_type.startswith("fuse.")
    return Mount(found.fs_type, tells_of_changes=is_local)


def _parsed(line: str) -> _Entry | None:
    """`36 35 98:0 /part /mnt/a rw shared:1 - ext4 /dev/sda1 rw`; any number of fields may stand before the dash."""
    fields = line.split(" ")
    try:
        dash = fields.index("-", 6)
        point = PurePath(_unescaped(fields[4]))
        return _Entry(int(fields[0]), int(fields[1]), point, fields[dash + 1])
    except (ValueError, IndexError):
        return None


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 8)), text)
