"""The child in which a cycle runs: it gives memory and VRAM back when it ends, and may be killed at any time.

`python -m metahuman_daemon.child cycle RUN_DIR`; before it `… fetch NAME REVISION ROOT`, which has the network; `…
base MODEL_DIR OUT QUANTIZATION` for a base's own GGUF; `… rebuild ORDER` (JSON) for what a version lacks. On stdout one
JSON object a line: `{"progress": …}`, at last `{"result": …}` (version, commit) or `{"error": …, "hint": …}`. SIGTERM
and SIGINT ask it to stop after a checkpoint (exit 75). The lock's descriptor is inherited and held.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from metahuman_core.errors import MetahumanError, PassingError, StoppedError
from metahuman_core.journal import Journal
from metahuman_core.layout import root_of_run
from metahuman_core.parent_death import die_with_parent
from metahuman_core.plan import read_plan
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.registering import register_failure
from metahuman_daemon.failures import as_failure


def main() -> int:
    """Run what the arguments say. Gives the exit status."""
    die_with_parent()
    # Libraries, and native code, print what they like to stdout: that goes to the log, and the wire is ours alone.
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: stopping.append(n))
    os.umask(0o077)
    kind, *rest = sys.argv[1:]
    # Read once, when the client is imported. Its xet storage keeps a cache and logs of its own outside our root.
    os.environ.update({"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"})
    if kind != "fetch":
        os.environ["HF_HUB_OFFLINE"] = "1"
    step = ["start"]

    def report(progress: Progress) -> None:
        step[0] = progress.step
        _say(wire, progress=asdict(progress))

    try:
        _say(wire, result=_DO[kind](rest, report, lambda: bool(stopping)))
    except Exception as error:  # noqa: BLE001  # the one place where a worker's errors are caught
        failure = as_failure(error)
        _say(wire, error=failure.message, hint=failure.hint, step=step[0], passing=isinstance(failure, PassingError))
        if kind == "cycle" and not isinstance(failure, StoppedError):
            _enter_failure(Path(rest[0]), step[0], failure)
        return failure.exit_code
    return 0


# Imports wait until they are needed: the fetching child needs no torch.


def _cycle(rest: list[str], report: Report, stop: StopRequested) -> str:
    from metahuman_core.cycle import run_cycle

    return str(run_cycle(Path(rest[0]), _now, report, stop).version)


def _base(rest: list[str], report: Report, stop: StopRequested) -> str:
    from metahuman_core.cycle import base_gguf

    return base_gguf(Path(rest[0]), Path(rest[1]), rest[2], report, stop).sha256


def _fetch(rest: list[str], report: Report, stop: StopRequested) -> str:
    from metahuman_core.hub import fetch

    def go_on() -> None:
        if stop():
            raise StoppedError("stopped while fetching the base", "the same command goes on")

    def heard(progress: Progress) -> None:
        go_on()
        report(progress)

    commit = fetch(rest[0], rest[1], Path(rest[2]), heard)
    go_on()  # what was asked in the last moment counts too: training comes next
    return commit


def _rebuild(rest: list[str], report: Report, stop: StopRequested) -> str:
    from metahuman_core.rebuild import rebuild
    from metahuman_core.versions.rebuilding.order import read_order

    return str(rebuild(read_order(rest[0]), report, stop).version)


_DO = {"cycle": _cycle, "base": _base, "fetch": _fetch, "rebuild": _rebuild}


def _enter_failure(run_dir: Path, step: str, failure: MetahumanError) -> None:
    try:
        plan = read_plan(Journal.open(run_dir, _now).file.inputs)
        register_failure(plan, run_dir.name, step, str(failure), root_of_run(run_dir.absolute()), _now())
    except (MetahumanError, OSError) as error:
        # A full disk takes no registry either; what failed was said on stdout.
        sys.stderr.write(f"the failure could not be entered in the registry: {error}\n")


def _now() -> datetime:
    return datetime.now(UTC)


def _say(wire: TextIO, **line: Any) -> None:
    with suppress(BrokenPipeError):  # nobody listens any more: the work is worth no less for that
        wire.write(json.dumps(line) + "\n")
        wire.flush()


if __name__ == "__main__":
    sys.exit(main())
