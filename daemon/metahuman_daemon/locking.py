"""Takes the cycle's lock for a command that changes versions: the daemon's own job makes way for a person.

Invariant: only a job of the daemon is asked to stop, at a checkpoint; whoever else holds the lock keeps it, and the
command is busy at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from metahuman_core.errors import BusyError, MetahumanError
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock, holder_pid
from metahuman_core.settings import Settings
from metahuman_daemon.service.control import ask

_WAIT_S = 120.0
_LOOK_AGAIN_S = 0.1


@contextmanager
def take_lock(settings: Settings, what: str, say: Callable[[str], None], *, wait_s: float = _WAIT_S) -> Iterator[int]:
    """Hold the one cycle of the root for `what`; gives the descriptor, for a child to inherit.

    Raises BusyError at once where another command holds it, and after `wait_s` where the daemon's job has not made way
    by then.
    """
    path = cycle_lock_path(settings.root)
    until_s = time.monotonic() + wait_s
    asked = False
    with ExitStack() as held:
        while True:
            try:
                fd = held.enter_context(cycle_lock(path, what))
                break
            except BusyError as error:
                if not asked and not _makes_way(settings, holder_pid(path), what):
                    raise
                if time.monotonic() > until_s:
                    raise BusyError(
                        error.message, "it was asked to make way, and is not done yet: try again"
                    ) from error
            if not asked:
                say("the daemon is at work; it makes a checkpoint and then way for this: two minutes at most")
                asked = True
            time.sleep(_LOOK_AGAIN_S)
        yield fd


def _makes_way(settings: Settings, holder: int | None, what: str) -> bool:
    """Ask the daemon to have its job stop; False where the one that holds the lock is none of its jobs."""
    if holder is None:
        return False
    try:
        answer = ask(settings.root, do="make-way", pid=holder, what=what)
    except MetahumanError:
        return False  # that the lock is held is what a person needs to hear
    return bool(answer and answer.get("done"))
