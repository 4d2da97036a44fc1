"""`unit`: prints what systemd needs, for who has nothing but the installed package."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from metahuman_core.shipped import shipped
from metahuman_daemon.options import say

_SHIPPED_PROGRAM = "/opt/metahuman/bin/metahuman"


class Which(StrEnum):
    """What can be printed."""

    SERVICE = "service"
    USER = "user"
    GPU = "gpu"
    MEMORIES = "memories"
    SYSUSERS = "sysusers"
    TMPFILES = "tmpfiles"


_FILES = {
    Which.SERVICE: "metahuman.service",
    Which.USER: "user/metahuman.service",
    Which.GPU: "metahuman.service.d/gpu.conf",
    Which.MEMORIES: "metahuman.service.d/memories.conf",
    Which.SYSUSERS: "sysusers.d/metahuman.conf",
    Which.TMPFILES: "tmpfiles.d/metahuman.conf",
}


def unit(
    which: Annotated[
        Which,
        typer.Argument(
            help="service: the system's unit. user: one person's own. gpu, memories: drop-ins for the system's unit. "
            "sysusers, tmpfiles: its user and its folders."
        ),
    ] = Which.SERVICE,
) -> None:
    """Print a unit for systemd that starts this metahuman, or what goes with it (docs/install.md says where to)."""
    from metahuman_daemon.doctor.unit import HOMES

    program = running_program()
    typer.echo(unit_text(which, program), nl=False)
    homes = [home for home in HOMES for path in (program, Path(sys.executable).resolve()) if path.is_relative_to(home)]
    if which is Which.SERVICE and homes:
        say(f"metahuman: this one leans on {homes[0]}, which the service does not see: it will not start")
        say("  make its environment in /opt/metahuman with /usr/bin/python3: docs/install.md")


def unit_text(which: Which, program: Path) -> str:
    """A shipped file, with `program` as what is started."""
    text = shipped(f"systemd/{_FILES[which]}").read_text(encoding="utf-8")
    return text.replace(f"ExecStart={_SHIPPED_PROGRAM} ", f"ExecStart={_quoted(program)} ")


def running_program() -> Path:
    """The `metahuman` of this environment."""
    return Path(sys.prefix, "bin", "metahuman")


def _quoted(program: Path) -> str:
    """A path as a word of ExecStart= (systemd.service(5), "Command lines"): % and $ mean something there."""
    text = str(program).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(char in text for char in " \t\"'\\;") else text
