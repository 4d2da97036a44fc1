"""Commands that are struck: started on a stand, and killed at one moment of their work, or at any time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_STAND = Path(__file__).with_name("stand_main.py")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    said: str
    took_s: float

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Stand:
    """Carries out commands in forks of a process that has imported everything; `with Stand(folder) as stand:`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(_STAND)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def run(
        self,
        root: Path,
        *words: str,
        remake: str = "",
        watched: Path | None = None,
        ollama: str = "127.0.0.1:9",
        at: int = -1,
        how: str = "kill",
        after_s: float | None = None,
        log: Path | None = None,
    ) -> Ended:
        """Run `metahuman WORDS` (or, without words, remake what the order `remake` says) in a root.

        It is struck at its moment number `at` (what changes below `watched` counts: the root), or killed `after_s`.
        Into `log` all moments are written. `ollama`: the server's address.
        """
        said = self._folder / "said"
        order = {
            "root": str(root),
            "words": words,
            "remake": remake,
            "watched": str(watched or root),
            "ollama": ollama,
            "at": at,
            "how": how,
            "log": str(log or ""),
            "said": str(said),
        }
        began_s = time.monotonic()
        pid = int(self._ask(order)["pid"])
        if after_s is not None:
            time.sleep(after_s)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code = int(self._hear()["code"])
        return Ended(code, said.read_text(encoding="utf-8"), time.monotonic() - began_s)

    def _ask(self, order: dict[str, Any]) -> dict[str, int]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, int]:
        assert self._process.stdout
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


def copied(source: Path, target: Path) -> Path:
    """A root of its own for each strike; modification times stay, which a fingerprint may look at."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, symlinks=True)
    return target
