"""Strikes a process at one exact moment of its work: Python itself imports this where PYTHONPATH names the folder.

A moment is something that changes the disk, just before it happens: a file is opened to be written, a folder made, a
name given (`rename`) or taken away, a program started, an SQL statement run. It is told by what is touched, and by how
many steps the run's journal holds (`@3`), so that it is the same moment in every run, wherever its root lies.

SABOTAGE_ROOT: only what lies below counts. SABOTAGE_LOG: each moment is written there, one a line. SABOTAGE_MOMENT: the
one at which to strike, and SABOTAGE: how. `kill`: this process. `kill-parent`: the one that started it. `fill`: the
disk, with a file named `ballast`.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

_ROOT = os.path.realpath(os.environ["SABOTAGE_ROOT"])
_LOG = os.environ.get("SABOTAGE_LOG", "")
_MOMENT = os.environ.get("SABOTAGE_MOMENT", "")
_HOW = os.environ.get("SABOTAGE", "")
_VARYING = re.compile(r"\d{4}-\d{2}-\d{2}(-\d{6}-[0-9a-f]{6})?")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_WHAT = {
    "os.mkdir": "make",
    "os.rename": "name",
    "os.remove": "remove",
    "os.rmdir": "remove",
    "shutil.rmtree": "remove",
}


class _Saboteur:
    def __init__(self) -> None:
        self._busy = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            if event == "sqlite3.connect/handle":
                self._trace(arguments[0])
            elif moment := _told(event, arguments):
                self._meet(moment)
        finally:
            self._busy = False

    def _trace(self, connection: Any) -> None:
        """Meet each statement of a connection, which is not quite open yet: wait for the next call of anything."""

        def opened(*_: object) -> None:
            sys.setprofile(None)
            connection.set_trace_callback(self._statement)

        sys.setprofile(opened)

    def _statement(self, sql: str) -> None:
        self._meet(f"sql {' '.join(sql.split())[:60]}")

    def _meet(self, what: str) -> None:
        moment = f"{what} @{_steps_done()}"
        if _LOG:
            with Path(_LOG).open("a", encoding="utf-8") as log:
                log.write(moment + "\n")
        if moment == _MOMENT:
            _strike()


def _told(event: str, arguments: tuple[Any, ...]) -> str:
    """The moment in words; empty for what changes nothing below the root."""
    if event == "open":
        path, _, flags = arguments
        where = _below_root(path) if isinstance(flags, int) and flags & _WRITING else ""
        return f"write {where}" if where else ""
    if event == "subprocess.Popen":
        modules = [str(word).rpartition(".")[2] for word in arguments[1] if str(word).startswith("metahuman_")]
        return f"start {modules[-1]}" if modules else ""
    if event in _WHAT:
        where = _below_root(arguments[1 if event == "os.rename" else 0])
        return f"{_WHAT[event]} {where}" if where else ""
    return ""


def _below_root(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        return ""
    full = os.path.abspath(path)  # noqa: PTH100  # a text is wanted
    return _VARYING.sub("RUN", full[len(_ROOT) + 1 :]) if full.startswith(_ROOT + os.sep) else ""


def _steps_done() -> str:
    """How many steps the newest run's journal holds; `-` before there is one."""
    journals = sorted(Path(_ROOT).glob("profiles/*/out/*/*/*/run.json"))
    return str(journals[-1].read_text(encoding="utf-8").count('"done_at"')) if journals else "-"


def _strike() -> None:
    if _HOW == "fill":
        room = os.statvfs(_ROOT)
        with Path(_ROOT, "ballast").open("ab") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, room.f_bavail * room.f_frsize)
        return
    os.kill(os.getppid() if _HOW == "kill-parent" else os.getpid(), signal.SIGKILL)
    signal.pause()  # a killed parent takes us with it


sys.addaudithook(_Saboteur())
