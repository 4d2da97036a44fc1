"""The commands of the daemon: run it, and pause, resume and train-now for one that runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import structlog
import typer

from metahuman_core.config import load_settings
from metahuman_core.errors import MetahumanError
from metahuman_core.layout import ProfilePaths
from metahuman_core.parent_death import die_with_parent, has_named_parent
from metahuman_core.qlora import require_qlora
from metahuman_core.settings import Settings
from metahuman_daemon.clock import now
from metahuman_daemon.options import ConfigOption, UserOption, known_profiles, profile_of, say
from metahuman_daemon.service.control import ask
from metahuman_daemon.service.pausing import pause as pause_profile
from metahuman_daemon.service.pausing import paused_since
from metahuman_daemon.service.pausing import resume as resume_profile


def run(config: ConfigOption = None) -> None:
    """The daemon, in the foreground: watches, trains when it is due, publishes. Ctrl-C ends it at a checkpoint."""
    from metahuman_daemon.service.logs import is_journal, set_up_logs
    from metahuman_daemon.service.service import Service

    settings = _trainable(config)
    set_up_logs(sys.stderr, journal=is_journal())
    if has_named_parent():
        die_with_parent()  # the demo's: it must not go on alone
    try:
        Service(settings, lambda: _trainable(config), now).run()
    except MetahumanError:
        raise
    except Exception as error:
        # One entry in the journal, and not one for each line of the traceback.
        structlog.get_logger().critical("the daemon failed: this is a fault of ours", exc_info=True)
        raise typer.Exit(1) from error


def _trainable(config: Path | None) -> Settings:
    """The settings, where what they want of training is installed."""
    settings = load_settings(config)
    require_qlora(settings.training)
    return settings


def pause(username: UserOption = None, config: ConfigOption = None) -> None:
    """Let nothing run by itself until `resume`; a cycle that runs stops at a checkpoint. It outlasts restarts."""
    settings, names = _chosen(config, username)
    if _asked(settings, "pause", username) is None:
        for name in names:
            pause_profile(ProfilePaths(settings.root, name), now())
        say("no daemon runs; one that is started is paused")
    say(f"paused: {', '.join(names)}; go on with `metahuman resume`")


def resume(username: UserOption = None, config: ConfigOption = None) -> None:
    """Go on after `pause`; what versions that were rolled back have trained is due again."""
    settings, names = _chosen(config, username)
    for name in names:
        _release(settings, name)
    if _asked(settings, "resume", username) is None:
        paused = [name for name in names if resume_profile(ProfilePaths(settings.root, name))]
        say(f"no daemon runs; one that is started goes on with {', '.join(paused or names)}")
        return
    say(f"going on: {', '.join(names)}")


def _release(settings: Settings, profile: str) -> None:
    """Let no memory of a profile be held any more; the daemon that runs notices that the registry has changed."""
    from metahuman_daemon.holding import memories_are, release_held

    try:
        count = release_held(settings, profile)
    except MetahumanError as error:
        # What is paused must go on all the same; the daemon says this too.
        say(f"{profile}: {error.message}")
        return
    if count:
        say(f"{profile}: {memories_are(count)} due again, which a version that was rolled back had trained")


def train_now(username: UserOption = None, config: ConfigOption = None) -> None:
    """Have the running daemon begin a cycle now, whatever the threshold, the schedule and the hours say."""
    settings, names = _chosen(config, username)
    answer = _asked(settings, "train-now", username)
    if answer is None:
        raise MetahumanError(
            "no daemon runs", "`metahuman run` starts it; `metahuman fine-tune` runs one cycle without it"
        )
    if not answer["done"]:
        say(f"nothing new to train: {', '.join(names)}")
        return
    for name in answer["done"]:
        paused = paused_since(ProfilePaths(settings.root, name))
        say(f"asked for: {name}" + ("; it is paused: `metahuman resume` lets it begin" if paused else ""))


def _chosen(config: ConfigOption, username: str | None) -> tuple[Settings, list[str]]:
    settings = load_settings(config)
    if username:
        return settings, [profile_of(settings, username)]
    return settings, known_profiles(settings) or [profile_of(settings, None)]


def _asked(settings: Settings, do: str, username: str | None) -> dict[str, Any] | None:
    """The daemon's answer; None where none runs."""
    answer = ask(settings.root, do=do, profile=username)
    if answer and "error" in answer:
        unknown = str(answer["error"]).startswith("it knows no profile")
        hint = "has its config been read since? systemctl reload metahuman" if unknown else ""
        raise MetahumanError(f"the daemon: {answer['error']}", hint)
    return answer
