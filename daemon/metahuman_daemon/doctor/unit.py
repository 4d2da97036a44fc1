"""Whether an installed unit sees what it needs: its program, its memories, its root.

Invariant: without a unit there is nothing to say. A Python in a home is what a checkout has.
"""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.looking import sources
from metahuman_core.settings import Settings
from metahuman_daemon.doctor.finding import Finding
from metahuman_daemon.options import known_profiles

UNIT = "metahuman.service"
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_FOLDERS = {"%S": "/var/lib", "%C": "/var/cache", "%E": "/etc", "%%": "%"}
_LISTS = ("BindReadOnlyPaths", "BindPaths", "ReadWritePaths", "Environment", "StateDirectory", "CacheDirectory")


@dataclass(frozen=True, slots=True)
class _Unit:
    """What of a unit and its drop-ins decides what it sees. `hidden`, `lent` and `written` are folders."""

    program: Path
    hidden: tuple[Path, ...]
    is_strict: bool
    lent: tuple[Path, ...]
    written: tuple[Path, ...]
    config: Path | None

    def sees(self, path: Path) -> bool:
        """Whether a path is there for the service."""
        is_hidden = any(path.is_relative_to(home) for home in self.hidden)
        return not is_hidden or any(path.is_relative_to(lent) for lent in self.lent)

    def may_write(self, path: Path) -> bool:
        """Whether the service may write below a path, as far as the unit goes."""
        return not self.is_strict or any(path.is_relative_to(written) for written in self.written)


def system_unit(
    settings: Settings,
    config: Path | None,
    folder: Path = Path("/etc/systemd/system"),
    homes: tuple[Path, ...] = HOMES,
) -> Iterator[Finding]:
    """What an installed system unit would not find. `config`: the file that the settings came from."""
    unit = _read(folder, homes)
    if unit is None:
        return
    faults = [*_program_faults(unit)]
    # Other settings are another house: somebody's checkout beside the installed service.
    if config is not None and unit.config is not None and config.absolute() == unit.config:
        faults += _house_faults(unit, settings)
    yield from faults or [Finding("ok", f"{folder / UNIT} starts {unit.program}")]


def user_unit(
    _: Settings, folder: Path | None = None, lingering: Path = Path("/var/lib/systemd/linger")
) -> Iterator[Finding]:
    """A person's own unit, which ends when they log out unless they linger."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "systemd/user"
    if not ((folder or own) / UNIT).is_file():
        return
    user = pwd.getpwuid(os.geteuid()).pw_name
    if not (lingering / user).exists():
        yield Finding(
            "warning", f"{UNIT} of {user} runs only while {user} is logged in", f"loginctl enable-linger {user}"
        )


def _program_faults(unit: _Unit) -> Iterator[Finding]:
    interpreter = Path(os.path.realpath(unit.program.with_name("python")))
    for path in dict.fromkeys((unit.program, Path(os.path.realpath(unit.program)), interpreter)):
        if not unit.sees(path):
            yield Finding(
                "error",
                f"{UNIT} cannot start: it needs {path}, and does not see homes (ProtectHome)",
                "make its environment in /opt/metahuman with /usr/bin/python3: docs/install.md",
            )
            return
    if not unit.program.exists():
        yield Finding(
            "error", f"{UNIT} starts {unit.program}, which is not there", "docs/install.md says how to make it"
        )


def _house_faults(unit: _Unit, settings: Settings) -> Iterator[Finding]:
    if not unit.may_write(settings.root):
        yield Finding(
            "error",
            f"{UNIT} may not write to the root {settings.root}",
            'set root = "/var/lib/metahuman", or add a drop-in: [Service] ReadWritePaths=' + str(settings.root),
        )
    for name in known_profiles(settings):
        try:
            folders = [folder for _, folder in sources(settings, name)]
        except MetahumanError:
            continue  # the profile's own finding
        for folder in folders:
            if not unit.sees(Path(os.path.realpath(folder))):
                yield Finding(
                    "error",
                    f"{UNIT} does not see {folder}: homes are hidden from it",
                    "lend it that folder: `metahuman unit memories` prints the drop-in",
                )


def _read(folder: Path, homes: tuple[Path, ...]) -> _Unit | None:
    if not (folder / UNIT).is_file():
        return None
    single: dict[str, str] = {}
    lists: dict[str, list[str]] = {name: [] for name in _LISTS}
    for file in (folder / UNIT, *sorted((folder / f"{UNIT}.d").glob("*.conf"))):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            name, found, value = line.strip().partition("=")
            if not found or name.startswith(("#", ";")):
                continue
            if name not in lists:
                single[name] = _plain(value)
            elif value:
                lists[name] += [_plain(word) for word in shlex.split(value)]
            else:
                lists[name].clear()  # as systemd has it: an empty one forgets those before
    config = next((w.partition("=")[2] for w in lists["Environment"] if w.startswith("METAHUMAN_CONFIG=")), "")
    command = shlex.split(single.get("ExecStart", "").lstrip("@-:+!"))
    return _Unit(
        program=Path(command[0] if command else "/"),
        hidden=homes if single.get("ProtectHome", "no") in ("yes", "true", "1", "on", "tmpfs") else (),
        is_strict=single.get("ProtectSystem", "no") == "strict",
        lent=tuple(_inside(word) for word in (*lists["BindReadOnlyPaths"], *lists["BindPaths"])),
        written=(
            *(_inside(word) for word in (*lists["ReadWritePaths"], *lists["BindPaths"])),
            *(Path("/var/lib", word) for word in lists["StateDirectory"]),
            *(Path("/var/cache", word) for word in lists["CacheDirectory"]),
        ),
        config=Path(config) if config else None,
    )


def _inside(word: str) -> Path:
    """Where a lent folder is seen: `-/home/anna/memories`, or `/source:/seen/here:rbind`."""
    source, _, rest = word.lstrip("-+").partition(":")
    return Path(rest.partition(":")[0] or source)


def _plain(value: str) -> str:
    """With the specifiers that stand for folders replaced; of a system unit, and only those that ours uses."""
    for specifier, folder in _FOLDERS.items():
        value = value.replace(specifier, folder)
    return value
