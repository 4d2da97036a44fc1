"""A job's own process: `python -m metahuman_daemon.service.job_main`, its order as JSON on stdin.

Invariant: it does what the command line does, by the same functions, and makes way for everybody else on the machine.
On stdout one JSON object a line: `{"progress": …}`, `{"said": …}`, `{"run": LABEL}`, at last `{"result": …}` or
`{"error": …}` with how it ended. SIGTERM asks it to stop at a checkpoint.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import psutil

from metahuman_core.errors import BusyError, KilledError, MetahumanError, PassingError, StoppedError
from metahuman_core.forgetting.finishing import finish_erasing
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.parent_death import die_with_parent
from metahuman_core.progress import Progress
from metahuman_core.publishing import verify_published
from metahuman_core.settings import Settings
from metahuman_core.tidying import tidy
from metahuman_core.wish import Wish
from metahuman_daemon.clock import now
from metahuman_daemon.failures import as_failure
from metahuman_daemon.fine_tune import fine_tune
from metahuman_daemon.publishing import publish_all
from metahuman_daemon.retention import apply_retention, withdraw_what_is_owed
from metahuman_daemon.service.agenda import Recovery
from metahuman_daemon.service.steady import Steady

_LOWEST_PRIORITY = 19
_FIRST_TO_GO = "500"


class _Wire:
    """What the job says, line by line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def line(self, **line: Any) -> None:
        with suppress(BrokenPipeError):
            self._out.write(json.dumps(line) + "\n")
            self._out.flush()

    def progress(self, progress: Progress) -> None:
        self.line(progress=asdict(progress))

    def say(self, line: str) -> None:
        self.line(said=line)

    def run(self, label: str) -> None:
        self.line(run=label)


def main() -> int:
    """Do what the order says. Gives the exit status."""
    die_with_parent()
    wire = _Wire(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    os.umask(0o077)
    try:
        make_way()
        order = json.load(sys.stdin)
        settings = Settings.model_validate(order["settings"])
        wire.line(result=_DO[order["kind"]](settings, order["profile"], wire, order["recovery"]))
    except KeyboardInterrupt:
        wire.line(error="stopped", hint="", end="stopped")
        return StoppedError.exit_code
    except Exception as error:  # noqa: BLE001  # the one place where a job's errors are caught
        failure = as_failure(error)
        wire.line(error=failure.message, hint=failure.hint, end=_end_of(failure))
        return failure.exit_code
    return 0


def make_way() -> None:
    """Take the lowest priorities there are, for us and all that we start; be the first to go if memory is short."""
    os.nice(_LOWEST_PRIORITY)
    with suppress(psutil.Error, OSError, AttributeError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")


def _cycle(settings: Settings, profile: str, wire: _Wire, recovery: Recovery) -> dict[str, Any] | None:
    # A run that another config began goes on with what it was begun with; one that fails makes way for the new config.
    version = fine_tune(
        settings,
        Wish(profile),
        wire.progress,
        wire.say,
        throw_away=recovery == "throw away",
        other_settings="replace" if recovery == "replace" else "go on",
        begun=wire.run,
        steady=Steady(settings.daemon.quiet_s, time.time_ns, time.monotonic),
    )
    if version is None:
        return None
    return {
        "version": version.version,
        "run": version.run_label,
        "success": version.training_success,
        "reasons": list(version.reasons),
        "memories": version.memories_trained,
        "replayed": version.memories_replayed,
    }


def _publish(settings: Settings, profile: str, wire: _Wire, recovery: Recovery) -> dict[str, Any] | None:
    del recovery
    published = publish_all(settings, profile, wire.progress, wire.say)
    return {"versions": published} if published else None


def _verify(settings: Settings, profile: str, wire: _Wire, recovery: Recovery) -> dict[str, Any] | None:
    del recovery
    found = verify_published(settings.registry_path(profile), settings.ollama.host)
    if found.gone:
        wire.say(f"not in Ollama any more: version {', '.join(map(str, found.gone))}")
    withdraw_what_is_owed(settings, profile, wire.say)
    return {"gone": list(found.gone), "live_is_due": found.live_is_due}


def _tidy(settings: Settings, profile: str, wire: _Wire, recovery: Recovery) -> dict[str, Any] | None:
    del recovery
    with cycle_lock(cycle_lock_path(settings.root), f"tidying of profile {profile}"):
        # First, for what it may not be able to delete is told by the version it belongs to, and not by its name alone.
        finish_erasing(settings, profile, wire.say)
        try:
            applied = apply_retention(settings, profile, wire.say)
            for line in applied.done:
                wire.say(line)
        finally:  # a policy that cannot be applied is told; what is left over from broken-off runs goes nevertheless
            removed = tidy(settings, profile, now)
            for name in removed:
                wire.say(f"removed {name}, left over from a run that was broken off")
    if applied.errors:
        more = f" (and {len(applied.errors) - 1} more)" if len(applied.errors) > 1 else ""
        raise MetahumanError(f"{applied.errors[0]}{more}", "`metahuman prune` tries again")
    return {"removed": removed, "freed_bytes": applied.freed_bytes}


_DO = {"cycle": _cycle, "publish": _publish, "verify": _verify, "tidy": _tidy}


def _end_of(failure: MetahumanError) -> str:
    kinds = ((StoppedError, "stopped"), (BusyError, "busy"), (PassingError, "passing"), (KilledError, "killed"))
    return next((end for kind, end in kinds if isinstance(failure, kind)), "failed")


if __name__ == "__main__":
    sys.exit(main())
