"""Runs one child and passes on what it says. The parent stays light: nothing heavy is imported on this side."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.parent_death import named_parent
from metahuman_core.progress import Progress, Report


def run_child(arguments: list[str], log: Path, lock_fd: int | None, report: Report) -> str:
    """Run `metahuman_daemon.child`, its stderr in `log`; gives its result. Raises MetahumanError with what it said.

    Ctrl-C is passed on as SIGTERM: the child writes a checkpoint and ends, and StoppedError is raised.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "metahuman_daemon.child", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            pass_fds=(lock_fd,) if lock_fd is not None else (),
            # A group of its own: the terminal's Ctrl-C is for us, and we ask the child.
            start_new_session=True,
            env=_environment(),
        )
        try:
            return _listen(child, log, report)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _environment() -> dict[str, str]:
    """Ours, with threads that soon go to sleep while they wait for each other.

    By default OpenMP's threads spin, and as soon as another process wants a core too, both suffer. A training step of
    the demo's model on two cores, alone and beside one busy process: 0.74 s and 2.5 s by default, 0.96 s and 1.6 s with
    OMP_WAIT_POLICY=PASSIVE, 0.65 s and 1.8 s with a short spin.
    """
    return {"GOMP_SPINCOUNT": "3000", **os.environ, **named_parent(), "TOKENIZERS_PARALLELISM": "false"}


def _listen(child: subprocess.Popen[str], log: Path, report: Report) -> str:
    last: dict[str, Any] = {}
    asked = False
    assert child.stdout is not None  # noqa: S101  # opened as a pipe by run_child
    while True:
        try:
            line = child.stdout.readline()
        except KeyboardInterrupt:
            if asked:
                raise  # a second Ctrl-C means now; the next start goes on from the last checkpoint
            asked = True
            child.terminate()
            report(Progress("stop", note="finishing a checkpoint (Ctrl-C again: at once)"))
            continue
        if not line:
            return _outcome(child.wait(), last, log)
        said = json.loads(line)
        if "progress" in said:
            report(Progress(**said["progress"]))
        else:
            last = said


def _outcome(code: int, last: dict[str, Any], log: Path) -> str:
    """The result, or the error that the child's last words and its exit status come to."""
    if code == 0:
        return str(last["result"])
    if code == StoppedError.exit_code:
        raise StoppedError(str(last.get("error", "stopped")), "the same command goes on")
    if "error" in last:
        raise MetahumanError(str(last["error"]), str(last["hint"]))
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
    raise MetahumanError(f"the cycle's process {how}", f"the same command goes on; {log} may say more")
