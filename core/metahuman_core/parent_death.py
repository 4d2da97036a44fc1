"""Ties a process's life to its parent's (Linux), so that a killed command leaves nobody writing behind it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends. Everything here can be killed at any time: nothing is lost."""
    parent = os.getppid()
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have ended before the kernel was asked; an orphan's parent is another process then.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
