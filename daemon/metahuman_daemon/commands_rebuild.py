"""`rebuild`: a version's model/ and GGUF again, from its base and its adapter."""

from __future__ import annotations

from typing import Annotated

import typer

from metahuman_core.versions.rebuilding.planning import To
from metahuman_daemon.options import ConfigOption, UserOption, say, settings_for


def rebuild(
    version: Annotated[int, typer.Argument(help="The version's number.")],
    to: Annotated[To, typer.Option("--to", help="full: model/ and GGUF; serving: the GGUF alone.")] = "full",
    accept: Annotated[
        bool, typer.Option("--accept", help="Take it as it comes out, with the hashes that it has then.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and what it costs.")] = False,
    username: UserOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a version's model/ and GGUF again, from its base and its adapter, and check them by their hashes."""
    from metahuman_daemon import having
    from metahuman_daemon.locking import take_lock
    from metahuman_daemon.view import ProgressView

    settings, profile = settings_for(config, username)
    if dry_run:
        for line in having.look_ahead(settings, profile, version, to):
            typer.echo(line)
        return
    if having.is_here(settings, profile, version, to):
        say(f"version {version} is here: there is nothing to make")
    with take_lock(settings, f"rebuilding version {version} of profile {profile}", say) as fd, ProgressView() as view:
        had = having.have(settings, profile, version, to, view, say, fd, accept=accept)
    stays = had.pinned or had.outcome == "live"
    say(f"version {version} is {had.storage}" + ("" if stays else f"; `metahuman pin {version}` keeps it so"))
