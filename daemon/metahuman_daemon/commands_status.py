"""`status`: what is going on, and what it waits for: from the daemon if one runs, else by a look of our own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import typer

from metahuman_core.config import load_settings
from metahuman_core.layout import ProfilePaths
from metahuman_core.settings import Settings
from metahuman_core.versions.sizes import Shelf
from metahuman_daemon.clock import now
from metahuman_daemon.in_words import size, versions_named
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, known_profiles, print_json, profile_of
from metahuman_daemon.service.pausing import paused_since
from metahuman_daemon.service.seeing import Eyes, Seen
from metahuman_daemon.service.status_file import DaemonStatus, JobStatus, ProfileStatus, as_json, is_alive, read_status
from metahuman_daemon.visible import visible

_GIB = 1 << 30
_SHOWN_SKIPPED = 20
_MINUTE_S = 60


def status(username: UserOption = None, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """What is going on, what is due, what was set aside and why."""
    settings = load_settings(config)
    names = [profile_of(settings, username)] if username else known_profiles(settings) or [profile_of(settings, None)]
    known = [_known(settings, name) for name in names]
    if as_json:
        print_json({"profiles": [_plain_values(one) for one in known]})
        return
    for one in known:
        _print(one, settings)


def _known(settings: Settings, name: str) -> ProfileStatus:
    """What the daemon wrote, or what we see ourselves where none runs."""
    found = read_status(ProfilePaths(settings.root, name))
    if found:
        return found
    eyes = Eyes(settings, name)
    try:
        return ProfileStatus(eyes.see(), None)
    finally:
        eyes.close()


def _plain_values(status: ProfileStatus) -> dict[str, Any]:
    """One object: what is known of the profile, and under `daemon` what the daemon does (null where none runs)."""
    value = json.loads(as_json(status))
    plain: dict[str, Any] = {**value["seen"], "daemon": value["daemon"]}
    return plain


def _print(status: ProfileStatus, settings: Settings) -> None:
    seen, daemon = status.seen, status.daemon
    typer.echo(seen.profile)
    for line in _told(daemon) if daemon else [_of_no_daemon(settings, seen.profile)]:
        typer.echo(line)
    if not daemon or daemon.state != "paused":  # which it says itself
        for missing in seen.missing:
            typer.echo(f"  paused      {visible(missing)}")
    live = f"version {seen.live_version} of {seen.last_success}" if seen.live_version else "none yet"
    typer.echo(f"  live        {live}")
    typer.echo(f"  next base   {seen.base}")
    _print_counts(seen)
    for line in _set_aside(seen):
        typer.echo(line)
    if seen.unfinished_run and not (daemon and daemon.job):
        typer.echo(
            f"  unfinished  {seen.unfinished_run}: " + ("it goes on" if daemon else "`metahuman fine-tune` goes on")
        )
    if seen.consolidation:
        due = "is due" if seen.consolidation_is_due else "is what the next run is"
        typer.echo(f"  a consolidation {due}: {seen.consolidation}")
        if seen.consolidation_in_vain:
            waits = "it waits until a run is due for new memories (or: metahuman fine-tune)"
            typer.echo(f"    {seen.consolidation_in_vain}: {waits}")
    if seen.publications_due and seen.publishes:
        typer.echo(f"  waits for Ollama: {versions_named(seen.publications_due)}")
    if seen.versions:
        typer.echo(f"  versions    {_of_versions(seen.versions)}")
    needed = f", the next version needs {seen.disk_needed_bytes / _GIB:.1f}" if seen.disk_needed_bytes else ""
    short = "; `metahuman prune --dry-run` says what could go" if seen.disk_needed_bytes > seen.disk_free_bytes else ""
    typer.echo(f"  disk        {seen.disk_free_bytes / _GIB:.1f} GiB free{needed}{short}")


def _print_counts(seen: Seen) -> None:
    counts = seen.memories
    typer.echo(
        f"  memories    {counts.known} known in {seen.files} files: {counts.trained} trained, "
        f"{counts.due} due, {counts.settled} settled, {counts.superseded} superseded"
    )
    if counts.deleted:
        typer.echo(f"    deleted   {counts.deleted} whose files are gone: they stay what they were")
    if counts.erased:
        typer.echo(f"    erased    {counts.erased}" + _who_knows(seen))
    if counts.held:
        typer.echo(f"    held      {counts.held} that a version rolled back has trained: `metahuman resume` frees them")


def _who_knows(seen: Seen) -> str:
    return f"; {versions_named(seen.stale_versions)} still know what was erased" if seen.stale_versions else ""


def _set_aside(seen: Seen) -> Iterator[str]:
    """What is not trained, and why."""
    for reason, count in sorted(seen.settled.items()):
        yield f"    settled   {count} {reason}"
    for item in seen.skipped[:_SHOWN_SKIPPED]:
        yield f"    set aside {visible(item.source)}{' ' + visible(item.unit) if item.unit else ''}: {item.reason}"
    rest = Counter(item.reason for item in seen.skipped[_SHOWN_SKIPPED:])
    for reason, count in rest.most_common():
        yield f"    set aside {count} more: {reason}"
    if more := seen.skipped_total - len(seen.skipped):
        yield f"    set aside {more} more"


def _of_versions(versions: tuple[Shelf, ...]) -> str:
    """How many there are of each storage, and what they take."""
    return ", ".join(
        f"{shelf.versions} {shelf.storage}" + (f" ({size(shelf.size_bytes)})" if shelf.size_bytes else "")
        for shelf in versions
    )


def _of_no_daemon(settings: Settings, profile: str) -> str:
    """Why a daemon says nothing: one that runs has not looked yet, or cannot."""
    since = paused_since(ProfilePaths(settings.root, profile))
    runs = "it runs, its first look is not done" if is_alive(settings.root) else "none runs"
    return f"  daemon      {runs}" + (f"; paused since {since}" if since else "")


def _told(daemon: DaemonStatus) -> list[str]:
    """What the daemon is doing, in lines."""
    lines = [f"  daemon      {daemon.state} (pid {daemon.pid}): {visible(daemon.why)}"]
    if daemon.job:
        lines.append(f"  job         {_job(daemon.job, now())}")
    if daemon.next_at:
        lines.append(f"  until       {daemon.next_at.astimezone():%a %Y-%m-%d %H:%M}, or until something comes")
    lines.append(f"  watching    {daemon.watching}")
    if error := daemon.last_error:
        hint = f" ({visible(error.hint)})" if error.hint else ""
        lines.append(f"  last error  {error.at.astimezone():%Y-%m-%d %H:%M} {visible(error.what)}{hint}")
    return lines


def _job(job: JobStatus, at: datetime) -> str:
    minutes = (at - job.began_at).total_seconds() / _MINUTE_S
    share = f" {job.done:.0f} of {job.total:.0f} {job.unit}".rstrip() if job.total else ""
    loss = f", loss {job.loss:.3f}" if job.loss is not None else ""
    left = f", about {job.eta_s / _MINUTE_S:.0f} min left in this step" if job.eta_s else ""
    return f"{job.kind} for {minutes:.0f} min: {job.step or 'beginning'}{share}{loss}{left}"
