"""Runs one of our own programs in a process of its own, so that an abort in native code is an error here."""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from metahuman_core.converter import python_path
from metahuman_core.errors import MetahumanError, PassingError, StoppedError
from metahuman_core.parent_death import die_with_parent, named_parent
from metahuman_core.progress import StopRequested

_POLL_S = 0.2
_FULL_BYTES = 1 << 20


def run_program(module: str, *arguments: str, what: str, log: Path, stop: StopRequested) -> None:
    """Run the program `metahuman_core.steps.{module}`; its words go to `log`, and its last ones into the error."""
    environment = {
        **os.environ,
        **named_parent(),
        "PYTHONPATH": f"{python_path()}:{os.environ.get('PYTHONPATH', '')}".rstrip(":"),
    }
    command = [
        sys.executable,
        "-P",
        "-m",
        "metahuman_core.steps.programs",
        f"metahuman_core.steps.{module}",
        *arguments,
    ]
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
        try:
            while (code := _wait(process)) is None:
                if stop():
                    raise StoppedError(f"stopped while {what}", "the same command goes on")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if code and shutil.disk_usage(log.parent).free < _FULL_BYTES:
        # Native code does not say why a write failed, and what it said may not have fitted into the log.
        raise PassingError(f"{what} failed: No space left on device", "make room and run the same command again")
    if code:
        raise MetahumanError(f"{what} failed: {_reason(code, log, begin)}", f"the whole of it is in {log}")


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return None


def _reason(code: int, log: Path, begin: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        words = file.read().decode(errors="replace").strip().splitlines()
    # The system's word for a full disk stands somewhere above a library's last words.
    telling = next((line for line in reversed(words) if "No space left" in line), words[-1] if words else "")
    if code < 0:
        return f"ended by {signal.Signals(-code).name}" + (f": {telling}" if telling else "")
    return telling or f"exit status {code}"


if __name__ == "__main__":
    die_with_parent()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
