"""Strikes a process at one exact moment of its work.

A moment is something that changes the disk, or that others notice, just before it happens: a file is opened to be
written or made shorter, a folder made, a name given (`rename`, a link) or taken away, bytes shared, a program started,
a server called, an SQL statement run. It is told by what is touched, below the folder that is watched.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# Event → (what is told, which argument is the path, which the descriptor of the folder that it is relative to).
_TOUCHES = {
    "os.mkdir": ("make", 0, 2),
    "os.rename": ("name", 1, 3),
    "os.link": ("name", 1, 3),
    "os.symlink": ("name", 1, 2),
    "os.remove": ("remove", 0, 1),
    "os.rmdir": ("remove", 0, 1),
    "os.truncate": ("write", 0, None),
    "shutil.rmtree": ("remove", 0, None),
}


class Saboteur:
    """Meets each moment of this process, from `watch` on: `strikes(number, moment)` says whether it is the one.

    `put` gives a moment its words from what it is (as in `name etc/model-registry.json`). `log`: a file to which each
    is written. `how`: `kill` (this process), `kill-parent`, `fill` (the disk, with a file named `ballast`).
    """

    def __init__(
        self,
        root: Path,
        strikes: Callable[[int, str], bool],
        *,
        how: str = "kill",
        log: Path | None = None,
        put: Callable[[str], str] = str,
    ) -> None:
        self._root = os.path.realpath(root)
        self._strikes = strikes
        self._how = how
        self._log = log
        self._put = put
        self._met = 0
        self._busy = False

    def watch(self) -> None:
        """Begin. It cannot be ended but with the process."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            if event == "sqlite3.connect/handle":
                self._trace(arguments[0])
            elif what := self._told(event, arguments):
                self._meet(what)
        finally:
            self._busy = False

    def _trace(self, connection: Any) -> None:
        """Meet each statement of a connection, which is not quite open yet: wait for the next call of anything."""

        def opened(*_: object) -> None:
            sys.setprofile(None)
            connection.set_trace_callback(lambda sql: self._meet(f"sql {' '.join(sql.split())[:60]}"))

        sys.setprofile(opened)

    def _meet(self, what: str) -> None:
        moment, number = self._put(what), self._met
        self._met += 1
        if self._log:
            with self._log.open("a", encoding="utf-8") as log:
                log.write(moment + "\n")
        if self._strikes(number, moment):
            self._strike()

    def _told(self, event: str, arguments: tuple[Any, ...]) -> str:
        """The moment in words; empty for what changes nothing below the root."""
        if event == "open":
            path, _, flags = arguments
            where = self._below_root(path, None) if isinstance(flags, int) and flags & _WRITING else ""
            return f"write {where}" if where else ""
        if event == "subprocess.Popen":
            modules = [str(word).rpartition(".")[2] for word in arguments[1] if str(word).startswith("metahuman_")]
            return f"start {modules[-1]}" if modules else ""
        if event == "socket.connect":
            return "call"
        if event == "fcntl.ioctl":
            where = self._below_root(f"/proc/self/fd/{arguments[0]}", None)
            return f"share {where}" if where else ""
        if event in _TOUCHES:
            what, path, folder = _TOUCHES[event]
            where = self._below_root(arguments[path], arguments[folder] if folder is not None else None)
            return f"{what} {where}" if where else ""
        return ""

    def _below_root(self, path: object, folder: object) -> str:
        if not isinstance(path, (str, os.PathLike)):
            return ""
        full = os.path.abspath(path)  # noqa: PTH100  # a text is wanted
        if isinstance(folder, int) and folder >= 0 and not os.path.isabs(path):  # noqa: PTH117
            with suppress(OSError):
                full = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)  # noqa: PTH115, PTH118
        elif full.startswith("/proc/self/fd/"):
            with suppress(OSError):
                full = os.readlink(full)  # noqa: PTH115
        return full[len(self._root) + 1 :] if full.startswith(self._root + os.sep) else ""

    def _strike(self) -> None:
        if self._how == "fill":
            room = os.statvfs(self._root)
            with Path(self._root, "ballast").open("ab") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize)
            return
        os.kill(os.getppid() if self._how == "kill-parent" else os.getpid(), signal.SIGKILL)
        signal.pause()  # a killed parent takes us with it
