"""Runs in the service's place and tells, as JSON, what it can do in there: `probe.py FILE`."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LINUX_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}


def tried(what: Callable[[], Any]) -> str:
    """Empty, or why it did not work."""
    try:
        what()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"
    return ""


def writes(folder: str) -> bool:
    return not tried(lambda: Path(folder, "probe").write_text("x", encoding="utf-8"))


def multiply_with_onednn() -> None:
    """What a training does on a CPU: oneDNN generates its code while it runs (docs/decisions/011)."""
    import torch

    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    _ = torch.ones(180, 576) @ torch.ones(576, 1536)


def be_idle_for_the_disk() -> None:
    number = _LINUX_IOPRIO_SET[os.uname().machine]
    if ctypes.CDLL(None, use_errno=True).syscall(number, 1, 0, 3 << 13):
        raise OSError(ctypes.get_errno(), "ioprio_set")


found = {
    "written": [
        folder
        for folder in (
            ".",
            "/var/cache/metahuman",
            "/etc",
            "/etc/metahuman",
            "/usr",
            "/opt/metahuman",
            tempfile.gettempdir(),
        )
        if writes(folder)
    ],
    "working directory": str(Path.cwd()),
    "homes": sorted(str(path) for path in (*Path("/home").iterdir(), *Path("/home").glob("*/*"))),
    "memory": tried(lambda: Path("/home/anna/memories/a.md").read_text(encoding="utf-8")),
    "memory is written": writes("/home/anna/memories"),
    "oneDNN": tried(multiply_with_onednn),
    "names": tried(lambda: socket.getaddrinfo("localhost", 80, flags=socket.AI_ADDRCONFIG)),
    "IPv4": tried(lambda: socket.create_server(("127.0.0.1", 0)).close()),
    "nicer": tried(lambda: os.nice(1)),
    "idle for the disk": tried(be_idle_for_the_disk),
    "bound to cores": tried(lambda: os.sched_setaffinity(0, os.sched_getaffinity(0))),
    "first to be killed": tried(lambda: Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")),
    "load": tried(os.getloadavg),
    "limits of inotify": tried(lambda: Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii")),
    "core dump bytes": resource.getrlimit(resource.RLIMIT_CORE)[0],
    "umask": os.umask(0o077),
    "environment": {name: os.environ.get(name) for name in ("METAHUMAN_CONFIG", "HF_HOME", "HOME")},
}
Path(sys.argv[1]).write_text(json.dumps(found), encoding="utf-8")
