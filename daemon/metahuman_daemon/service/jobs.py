"""The daemon's side of a job: starts its process, reads what it says, asks it to stop, and tells how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metahuman_core.parent_death import named_parent
from metahuman_core.settings import Settings
from metahuman_daemon.service.agenda import End, Job, Outcome
from metahuman_daemon.worker import killed_for_memory

_PIPE_BYTES = 1 << 16
# What cannot be broken off may take minutes: a large model's checkpoint on a slow disk, a create in Ollama.
_STOPS_WITHIN_S = 1800.0
_ERRAND_SAYS_WITHIN_S = 3600.0


@dataclass(slots=True)
class Doing:
    """How far a job is; see `metahuman_core.progress.Progress`. `since_s` by the daemon's own rising clock."""

    step: str = ""
    done: float = 0
    total: float = 0
    unit: str = ""
    loss: float | None = None
    note: str = ""
    since_s: float = 0.0

    def eta_s(self, now_s: float) -> float | None:
        """Seconds until the step is done, if it goes on as so far; None where nobody knows."""
        if not self.total or not self.done or self.done > self.total:
            return None
        return (now_s - self.since_s) / self.done * (self.total - self.done)


class Running:
    """One job that runs. Its `fileno` is readable when it has said something, or has ended."""

    def __init__(self, job: Job, settings: Settings, began_at: datetime) -> None:
        self.job = job
        self.began_at = began_at
        self.doing = Doing()
        self.stop_reason = ""
        self.run = ""
        self._rest = b""
        self._silent = False
        self._heard_s = time.monotonic()
        self._asked_s: float | None = None
        self._last: dict[str, Any] = {}
        self._killed_before = killed_for_memory()
        log = settings.root / "state" / f"{job.kind}.log"
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        order = {
            "kind": job.kind,
            "profile": job.profile,
            "settings": settings.model_dump(mode="json"),
            "recovery": job.recovery,
        }
        with log.open("wb") as errors:  # of the last job of its kind alone: it must not grow for years
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "metahuman_daemon.service.job_main"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, **named_parent()},
            )
        assert self._process.stdin is not None  # noqa: S101  # opened as pipes above
        assert self._process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps(order).encode())
        self._out = self._process.stdout
        os.set_blocking(self._out.fileno(), False)

    def fileno(self) -> int:
        """For a selector."""
        return self._out.fileno()

    @property
    def pid(self) -> int:
        """The process, which leads its group."""
        return self._process.pid

    def said(self, now_s: float) -> Iterator[str]:
        """Read what has come, without waiting: progress goes into `doing`, lines for people and new steps come out."""
        while (part := self._read()) is not None:
            self._heard_s = now_s
            *lines, self._rest = (self._rest + part).split(b"\n")
            for line in lines:
                word: Mapping[str, Any] = json.loads(line)
                if "progress" in word:
                    same = word["progress"]["step"] == self.doing.step
                    self.doing = Doing(**word["progress"], since_s=self.doing.since_s if same else now_s)
                    if not same:
                        yield "a step begins"
                elif "run" in word:
                    self.run = str(word["run"])
                elif "said" in word:
                    yield str(word["said"])
                else:
                    self._last = dict(word)

    def _read(self) -> bytes | None:
        """What has come; None where nothing has, or the end."""
        try:
            part = os.read(self._out.fileno(), _PIPE_BYTES)
        except BlockingIOError:
            return None
        self._silent = not part
        return part or None

    def ask_to_stop(self, why: str) -> None:
        """Have it make a checkpoint and end."""
        if not self.stop_reason:
            self.stop_reason, self._asked_s = why, time.monotonic()
            self._process.terminate()

    def kill(self) -> None:
        """End it now; what it did is kept up to its last checkpoint."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether it is over."""
        return self._process.poll() is not None

    @property
    def is_silent(self) -> bool:
        """Whether it will say no more: soon it has ended."""
        return self._silent

    def hangs(self, now_s: float) -> bool:
        """Whether it was asked to stop, or has said nothing, for longer than anything takes."""
        if self._asked_s is not None and now_s - self._asked_s > _STOPS_WITHIN_S:
            return True
        return self.job.kind != "cycle" and now_s - self._heard_s > _ERRAND_SAYS_WITHIN_S

    def outcome(self) -> Outcome:
        """How it ended. To be asked when it has, and all it said was read."""
        code = self._process.wait()
        self._out.close()
        if code == 0 and "result" in self._last:
            return _succeeded(self.job, self._last["result"])
        if "error" in self._last:
            end: End = self._last["end"]
            return Outcome(end, str(self._last["error"]), str(self._last["hint"]))
        if self.stop_reason and code in (-signal.SIGTERM, -signal.SIGKILL):
            # Asked before it could listen, or ended by us when it took too long: no fault, nothing to cool down from.
            return Outcome("stopped", self.stop_reason)
        if code == -signal.SIGKILL and killed_for_memory() > self._killed_before:
            return Outcome("killed", "the kernel killed the job's process for want of memory", "it goes on later")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        return Outcome("killed", f"the job's process {how}", f"state/{self.job.kind}.log may say more")


def _succeeded(job: Job, result: Mapping[str, Any] | None) -> Outcome:
    if result is None:
        return Outcome("nothing")
    if job.kind == "cycle" and not result["success"]:
        return Outcome("rejected", "; ".join(result["reasons"]), "its memories stay due", result)
    return Outcome("done", result=result)
