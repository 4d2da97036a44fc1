"""The demo's second half: the daemon watches, new memories come into the folder, and version 2 comes by itself.

They come in the ways in which files come to a real folder: written slowly, linked, renamed in one by one, and at last a
whole folder at once, with which the threshold is reached.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.parent_death import named_parent
from metahuman_core.progress import Progress, Report
from metahuman_core.registry import load_registry
from metahuman_core.settings import Settings
from metahuman_daemon.service.control import ask
from metahuman_daemon.service.status_file import DaemonStatus, ProfileStatus, is_alive, read_status

_SLOWLY_S = 0.3
_PIECES = 12
_START_WITHIN_S = 60.0
_LOOK_S = 0.5

Say = Callable[[str], None]


def learn_by_itself(settings: Settings, profile: str, held_back: Path, number: int, report: Report, say: Say) -> None:
    """Run the daemon until it has made version `number` of what lies in `held_back`. Raises MetahumanError if not."""
    log = settings.root / "daemon.log"
    paths = ProfilePaths(settings.root, profile)
    say(f"the daemon watches {paths.memory} (its log: {log})")
    with log.open("ab") as errors:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "metahuman_daemon.cli", "run", "--config", str(settings.root / "config.toml")],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,  # the terminal's Ctrl-C is for us, and we ask the daemon
            env={**os.environ, **named_parent()},
        )
    try:
        _wait_until_it_watches(daemon, settings, paths, log)
        if held_back.is_dir():
            _drop(held_back, paths.home, say)
        _wait_for_version(daemon, settings, paths, number, report, log)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _wait_until_it_watches(daemon: subprocess.Popen[bytes], settings: Settings, paths: ProfilePaths, log: Path) -> None:
    until_s = time.monotonic() + _START_WITHIN_S
    while time.monotonic() < until_s:
        _require_alive(daemon, log)
        if is_alive(settings.root) and ask(settings.root, do="hello", profile=paths.name) and read_status(paths):
            return
        time.sleep(_LOOK_S)
    raise MetahumanError("the daemon did not begin to watch", f"see {log}")


def _wait_for_version(
    daemon: subprocess.Popen[bytes], settings: Settings, paths: ProfilePaths, number: int, report: Report, log: Path
) -> None:
    """Show what the daemon does until the version is registered, and handed over where a server answers."""
    asked = False
    told: Progress | None = None
    while True:
        _require_alive(daemon, log)
        status = read_status(paths)
        registry = load_registry(settings.registry_path(paths.name))
        version = registry.find(number) if registry else None
        if version and not version.training_success:
            raise MetahumanError(f"version {number} was rejected: {'; '.join(version.reasons)}", f"see {log}")
        doing = status.daemon if status else None
        running = doing.job if doing else None
        over = version is not None and not (running and running.kind == "cycle")
        if over and version and (version.publication != "due" or _has_tried_to_publish(doing)):
            return
        if doing and doing.last_error and not version and doing.last_error.what.startswith("cycle"):
            raise MetahumanError(f"the daemon: {doing.last_error.what}", doing.last_error.hint)
        if running and running.kind == "cycle" and running.step:
            progress = Progress(running.step, running.done, running.total, running.unit, running.loss, running.note)
            if progress != told:
                report(progress)
            told = progress
        elif status and not version and _waits_in_vain(status):
            # An earlier demo was broken off when all was in place, or somebody took memories away.
            if asked or not status.seen.pending:
                raise MetahumanError(f"nothing is due for version {number}", "begin anew: metahuman demo --root OTHER")
            asked = ask(settings.root, do="train-now", profile=paths.name) is not None
        time.sleep(_LOOK_S)


def _has_tried_to_publish(doing: DaemonStatus | None) -> bool:
    return (
        doing is not None and doing.last_error is not None and doing.last_error.what.startswith(("publish", "verify"))
    )


def _waits_in_vain(status: ProfileStatus) -> bool:
    """Whether it waits for memories, and nothing has changed for a good while."""
    daemon = status.daemon
    waits = daemon is not None and daemon.why.startswith("waits for")
    return waits and daemon is not None and time.time() - daemon.at.timestamp() > _START_WITHIN_S


def _require_alive(daemon: subprocess.Popen[bytes], log: Path) -> None:
    if (code := daemon.poll()) is not None:
        raise MetahumanError(f"the daemon ended with exit status {code}", f"see {log}")


def _drop(held_back: Path, home: Path, say: Say) -> None:
    """Move what was held back into the watched folder, each part in another way."""
    folder = _largest_new_folder(held_back, home)
    files = sorted(p for p in held_back.rglob("*") if p.is_file() and not (folder and p.is_relative_to(folder)))
    ways = (("written slowly", _write_slowly), ("linked", _link), ("renamed in", Path.rename))
    for place, path in enumerate(files):
        way, put = ways[0 if place == 0 else 1 + place % 2]
        target = home / path.relative_to(held_back)
        target.parent.mkdir(parents=True, exist_ok=True)
        if place < len(ways):
            say(f"  {path.name} is {way}" + (", and others" if place else ""))
        put(path, target)
    if folder:
        target = home / folder.relative_to(held_back)
        say(f"  {folder.relative_to(held_back)}/ is moved in as a whole")
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    shutil.rmtree(held_back)


def _largest_new_folder(held_back: Path, home: Path) -> Path | None:
    """Of what was held back, the folder with the most files that can be moved in with one rename: there is none yet."""

    def files_in(folder: Path) -> int:
        return sum(path.is_file() for path in folder.rglob("*"))

    folders = [p for p in held_back.rglob("*") if p.is_dir() and not (home / p.relative_to(held_back)).exists()]
    return max(folders, key=lambda folder: (files_in(folder), -len(folder.parts)), default=None)


def _write_slowly(path: Path, target: Path) -> None:
    data = path.read_bytes()
    size = -(-len(data) // _PIECES)
    with target.open("wb") as file:
        for start in range(0, len(data), size):
            file.write(data[start : start + size])
            file.flush()
            time.sleep(_SLOWLY_S)
    path.unlink()


def _link(path: Path, target: Path) -> None:
    target.hardlink_to(path)
    path.unlink()
