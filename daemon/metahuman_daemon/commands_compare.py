"""The commands that compare: verify, diff; and import, which takes over what another program left."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from metahuman_daemon.clock import now
from metahuman_daemon.in_words import versions_counted
from metahuman_daemon.options import ConfigOption, JsonOption, UserOption, print_json, say, settings_for
from metahuman_daemon.view import ProgressView
from metahuman_daemon.visible import visible

_GIB = 1 << 30


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Presence and sizes only; nothing is hashed.")] = False,
    username: UserOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Hash every version's parts again, and compare registry, disk and Ollama; nothing is changed (exit 1: a fault)."""
    from metahuman_core.versions.verifying.checking import check_versions

    settings, profile = settings_for(config, username)
    began_s = time.monotonic()
    with ProgressView() as view:
        checked = check_versions(settings, profile, view, now, quick=quick)
    seconds = time.monotonic() - began_s
    if as_json:
        print_json({**asdict(checked), "clean": checked.clean, "quick": quick, "seconds": round(seconds, 3)})
    else:
        for finding in checked.findings:
            mark = finding.kind if finding.fault else "note"
            typer.echo(
                f"{mark:<8}  {visible(f'{finding.which}: {finding.what}')}\n          {visible(finding.way_out)}"
            )
        how = "sizes compared" if quick else f"{checked.read_bytes / _GIB:.2f} GiB hashed"
        faults = sum(finding.fault for finding in checked.findings)
        verdict = "clean" if checked.clean else f"{faults} fault{'s' * (faults > 1)}"
        say(f"{verdict}: {versions_counted(checked.versions)}, {how} in {seconds:.1f} s; Ollama {checked.ollama}")
    if not checked.clean:
        raise typer.Exit(1)


def diff(
    before: Annotated[int, typer.Argument(metavar="A", help="A version.")],
    after: Annotated[int, typer.Argument(metavar="B", help="Another.")],
    username: UserOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Memories, settings, measures and state of version B against those of version A; no memory's text is shown."""
    from metahuman_daemon.differences import between, lines_of

    settings, profile = settings_for(config, username)
    found = between(settings, profile, before, after)
    if as_json:
        print_json(asdict(found))
        return
    for line in lines_of(found):
        typer.echo(line)


def import_(
    registry: Annotated[
        Path, typer.Argument(metavar="REGISTRY", help="As in /home/x/metahuman/etc/model-registry.json.")
    ],
    copy: Annotated[bool, typer.Option("--copy", help="Copy files that lie elsewhere into this root.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be entered; nothing is written.")] = False,
    username: UserOption = None,
    config: ConfigOption = None,
) -> None:
    """Take over a registry of the original MetaHuman; versions whose files are absent are marked."""
    from metahuman_core.versions.importing.taking_over import take_over
    from metahuman_daemon.locking import take_lock

    settings, profile = settings_for(config, username)
    lock: AbstractContextManager[int | None] = (
        nullcontext() if dry_run else take_lock(settings, f"import for profile {profile}", say)
    )
    with lock, ProgressView() as view:
        taken = take_over(settings, profile, registry, view, copy=copy, dry_run=dry_run)
    for line in taken.said:
        typer.echo(visible(line))
    if taken.backup:
        say(f"the registry as it was is {taken.backup.name}, beside it")
    if taken.versions:
        say(f"{versions_counted(taken.versions)} {'would be imported' if dry_run else 'imported: `metahuman history`'}")
