"""What every command shares: the config, the profile, and how a person is spoken to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from metahuman_core.config import load_settings, refuse_clashes
from metahuman_core.errors import ConfigError, UsageError
from metahuman_core.settings import Settings, check_profile_name
from metahuman_core.shipped import shipped

ConfigOption = Annotated[
    Path | None,
    # Whether it can be read is for load_settings to say: a config error, and not one of usage.
    typer.Option(
        "--config",
        readable=False,
        help="The config (else METAHUMAN_CONFIG, ./config.toml, /etc/metahuman/config.toml).",
    ),
]
UserOption = Annotated[str | None, typer.Option("--username", "-u", help="The profile, where there are several.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable, on stdout.")]


def say(line: str) -> None:
    """A line for people: stdout is for data."""
    sys.stderr.write(line + "\n")


def print_json(value: Any) -> None:
    """What `--json` asks for, on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def known_profiles(settings: Settings) -> list[str]:
    """The configured profiles, or else the folders under `profiles/` that have memories, or had them once.

    Raises OSError where the system refuses.
    """
    return sorted(settings.profiles) or homes(settings)


def homes(settings: Settings) -> list[str]:
    """The folders under `profiles/` that have memories, or had them once. Raises OSError where the system refuses."""
    folder = settings.root / "profiles"
    if not folder.is_dir():
        return []
    # A clone brings the example along: it is nobody's profile, unless it is named.
    example = shipped("profiles/example")
    return sorted(
        home.name
        for home in folder.iterdir()
        # One whose memories are missing (a drive that is not there) is still served: it waits for them.
        if ((home / "memory").is_dir() or (home / "state" / "ledger.sqlite3").is_file())
        and home.resolve() != example.resolve()
    )


def profile_of(settings: Settings, username: str | None) -> str:
    """The profile that is meant. Raises ConfigError or UsageError where that is not clear or not allowed."""
    if username is not None:
        check_profile_name(username)
        if username not in settings.profiles and not (settings.root / "profiles" / username).is_dir():
            known = ", ".join(known_profiles(settings)) or "none yet"
            raise ConfigError(f"there is no profile {username} under {settings.root / 'profiles'}", f"known: {known}")
        refuse_clashes(settings, sorted({*known_profiles(settings), username}))
        return username
    names = known_profiles(settings)
    if len(names) == 1:
        return check_profile_name(names[0])
    if not names:
        raise ConfigError(
            f"there is no profile under {settings.root / 'profiles'}", "put memories into profiles/NAME/memory"
        )
    raise UsageError("which profile?", f"--username {' | '.join(names)}")


def settings_for(config: Path | None, username: str | None) -> tuple[Settings, str]:
    """The settings, and the profile that is meant."""
    settings = load_settings(config)
    return settings, profile_of(settings, username)
