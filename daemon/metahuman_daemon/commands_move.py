"""The commands that move between versions: rollback, promote, pin, unpin, reset."""

from __future__ import annotations

from typing import Annotated

import typer

from metahuman_core.errors import MetahumanError
from metahuman_core.registry import load_registry, reset_to_original, update_registry
from metahuman_core.unfinished import discard_unfinished
from metahuman_core.versions.moving import pinned, unpinned
from metahuman_daemon.clock import now
from metahuman_daemon.locking import take_lock
from metahuman_daemon.options import ConfigOption, UserOption, say, settings_for

_Number = Annotated[int, typer.Argument(help="The version's number.")]


def rollback(
    version: Annotated[
        int | None, typer.Argument(help="The version to go back to (else the one before the live one).")
    ] = None,
    username: UserOption = None,
    config: ConfigOption = None,
) -> None:
    """Go back to an older version: NAME:latest and the next run's base. What came after it is kept, as a branch."""
    from metahuman_daemon.moving import roll_back
    from metahuman_daemon.view import ProgressView

    settings, profile = settings_for(config, username)
    with ProgressView() as view:
        roll_back(settings, profile, version, view, say)


def promote(
    version: _Number,
    force: Annotated[bool, typer.Option("--force", help="Even one that was rejected.")] = False,
    username: UserOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a version live again, on whatever branch it stands; with --force past the tests that it failed."""
    from metahuman_daemon import moving
    from metahuman_daemon.view import ProgressView

    settings, profile = settings_for(config, username)
    with ProgressView() as view:
        moving.promote(settings, profile, version, view, say, force=force)


def pin(version: _Number, username: UserOption = None, config: ConfigOption = None) -> None:
    """Keep a version as it is: retention leaves it alone."""
    _set_pin(version, username, config, to=True)


def unpin(version: _Number, username: UserOption = None, config: ConfigOption = None) -> None:
    """Let retention decide on a version again."""
    _set_pin(version, username, config, to=False)


def _set_pin(number: int, username: str | None, config: ConfigOption, *, to: bool) -> None:
    settings, profile = settings_for(config, username)
    path = settings.registry_path(profile)
    if load_registry(path) is None:
        raise MetahumanError(f"there is no version {number}", "`metahuman fine-tune` makes the first")
    change = pinned if to else unpinned
    update_registry(path, lambda registry: change(registry, number))
    say(f"version {number} is {'pinned: it stays as it is' if to else 'not pinned: retention decides on it'}")


def reset(username: UserOption = None, config: ConfigOption = None) -> None:
    """Let the next run start from the original base again. No version is deleted."""
    settings, profile = settings_for(config, username)
    # A run that is under way would end on the old base, and make it the next run's again.
    with take_lock(settings, f"reset of profile {profile}", say):
        for label in discard_unfinished(settings, profile, now):
            say(f"run {label} is thrown away; its memories are due again")
        registry = reset_to_original(settings.registry_path(profile), settings.root)
    say(f"the next run starts from {registry.original_base_model}, and trains all memories again")
    if any(version.held for version in registry.training_history):
        say("what was rolled back is held all the same until `metahuman resume`")
    if live := registry.live():
        say(f"version {live.version} stays live until then; --base-model {live.output_model_path} goes on from it")
