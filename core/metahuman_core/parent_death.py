"""Ties a process's life to its parent's (Linux), so that a killed command leaves nobody writing behind it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PARENT = "METAHUMAN_PARENT_PID"


def named_parent() -> dict[str, str]:
    """The environment that names us to a child: one whose parent ended while it was starting must know whom it had."""
    return {_PARENT: str(os.getpid())}


def has_named_parent() -> bool:
    """Whether somebody of ours started this process, and named itself."""
    return _PARENT in os.environ


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends. Everything here can be killed at any time: nothing is lost."""
    parent = int(os.environ.get(_PARENT) or os.getppid())
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the kernel was asked, while we were starting; an orphan has another parent.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
