"""Runs one child and passes on what it says. The parent stays light: nothing heavy is imported on this side."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from metahuman_core.errors import KilledError, MetahumanError, PassingError, StoppedError
from metahuman_core.parent_death import named_parent
from metahuman_core.progress import Progress, Report
from metahuman_daemon.failures import FAULT_OF_OURS

_LOG_BYTES = 1 << 20
_LOOK_EVERY_S = 1.0
_SENT_BY_OTHERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_child(arguments: list[str], log: Path, lock_fd: int | None, report: Report) -> str:
    """Run `metahuman_daemon.child`, its stderr in `log`; gives its result. Raises MetahumanError with what it said.

    Ctrl-C is passed on as SIGTERM: the child writes a checkpoint and ends, and StoppedError is raised.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.is_file() and log.stat().st_size > _LOG_BYTES:
        log.unlink()
    with log.open("ab") as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "metahuman_daemon.child", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            bufsize=0,
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
            if child.stdout:
                child.stdout.close()


def _environment() -> dict[str, str]:
    """Ours, with threads that soon go to sleep while they wait for each other.

    By default OpenMP's threads spin, and as soon as another process wants a core too, both suffer. A training step of
    the demo's model on two cores, alone and beside one busy process: 0.74 s and 2.5 s by default, 0.96 s and 1.6 s with
    OMP_WAIT_POLICY=PASSIVE, 0.65 s and 1.8 s with a short spin.
    """
    return {"GOMP_SPINCOUNT": "3000", **os.environ, **named_parent(), "TOKENIZERS_PARALLELISM": "false"}


def _listen(child: subprocess.Popen[bytes], log: Path, report: Report) -> str:
    last: dict[str, Any] = {}
    asked = False
    killed_before = killed_for_memory()
    assert child.stdout is not None  # noqa: S101  # opened as a pipe by run_child
    while True:
        try:
            line = _next_line(child.stdout)
            if not line:
                return _outcome(child.wait(), last, log, killed_before, asked=asked)
            said = json.loads(line)
            if "progress" in said:
                report(Progress(**said["progress"]))
            else:
                last = said
        except KeyboardInterrupt:
            if asked:
                raise  # a second Ctrl-C means now; the next start goes on from the last checkpoint
            asked = True
            child.terminate()
            report(Progress("stop", note="finishing a checkpoint (Ctrl-C again: at once)"))


def _next_line(said: IO[bytes]) -> bytes:
    """The next line, b"" at the end. `said` is unbuffered, and a line is written at once.

    Python hears of a Ctrl-C in the instant before a read that blocks only when that ends: so none blocks for long.
    """
    while not select.select([said], [], [], _LOOK_EVERY_S)[0]:
        pass
    return said.readline()


def _outcome(code: int, last: dict[str, Any], log: Path, killed_before: int, *, asked: bool) -> str:
    """The result, or the error that the child's last words and its exit status come to."""
    if code == 0 and "result" in last:
        return str(last["result"])
    # Asked to stop while it was still starting, it ends by the signal and says nothing.
    if code == StoppedError.exit_code or (asked and code == -signal.SIGTERM):
        raise StoppedError(str(last.get("error", "stopped")), "the same command goes on")
    if "error" in last:
        kind = PassingError if last.get("passing") else MetahumanError
        hint = str(last["hint"])
        raise kind(str(last["error"]), f"{hint}: {log}" if hint == FAULT_OF_OURS else hint)
    if code >= 0:
        raise MetahumanError(
            f"the cycle's process ended with exit status {code}", f"the same command goes on; {log} may say more"
        )
    if code == -signal.SIGKILL and killed_for_memory() > killed_before:
        raise KilledError(
            "the kernel killed the cycle's process for want of memory",
            "the same command goes on; lower training.batch_samples or max_tokens, or stop what else needs memory",
        )
    # A signal that the process brought on itself is a fault of its own.
    kind = KilledError if -code in _SENT_BY_OTHERS else MetahumanError
    raise kind(
        f"the cycle's process was killed by {signal.Signals(-code).name}",
        f"the same command goes on; {log} may say more",
    )


def killed_for_memory() -> int:
    """How many processes the kernel has killed for want of memory since it started (0 where it does not say)."""
    try:
        counters = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in counters if line.startswith("oom_kill ")), 0)
