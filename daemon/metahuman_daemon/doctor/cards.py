"""Whether we may open the cards that are there."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

from metahuman_core.settings import Settings
from metahuman_daemon.doctor.finding import Finding


def _may_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def cards(
    settings: Settings, dev: Path = Path("/dev"), may_open: Callable[[Path], bool] = _may_open
) -> Iterator[Finding]:
    """The device nodes that CUDA and ROCm open. A render node alone is a desktop's graphics, of no use to torch."""
    if settings.training.device == "cpu":
        return
    nvidia = sorted(dev.glob("nvidia[0-9]*"))
    amd = [dev / "kfd", *sorted(dev.glob("dri/renderD*"))] if (dev / "kfd").exists() else []
    for node in (*nvidia, *amd):
        if not may_open(node):
            group, user = _named(grp.getgrgid, node.stat().st_gid), _named(pwd.getpwuid, os.geteuid())
            yield Finding(
                "warning",
                f"{user} may not open {node}: it belongs to the group {group}",
                f"usermod -aG {group} {user}; for the service: `metahuman unit gpu`",
            )
    if nvidia and not (dev / "nvidia-uvm").exists():
        yield Finding(
            "warning",
            f"{dev / 'nvidia-uvm'} is not there, and the service may not make it",
            "nvidia-modprobe -c 0 -u, which `metahuman unit gpu` has done at each start",
        )


def _named(look_up: Callable[[int], tuple[object, ...]], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)
