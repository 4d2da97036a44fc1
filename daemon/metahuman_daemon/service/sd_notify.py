"""Tells systemd how we are (sd_notify(3)), where it asked to be told; a dozen lines, the PyPI packages are stale."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

_MICRO = 1_000_000


class Systemd:
    """The socket that systemd named in the environment; without one, every call does nothing."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        meant = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        usec = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / _MICRO if meant and usec.isdigit() else 0.0
        """How often systemd wants a sign of life at least, in seconds (0: never)."""

    def ready(self) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1")

    def status(self, line: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={line}".replace("\n", " "))

    def alive(self) -> None:
        """A sign of life; from the main loop alone, so that it means something."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The config is read again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def more_time(self, seconds: float) -> None:
        """Starting or stopping takes longer: wait so long from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * _MICRO)}")

    def _send(self, message: str) -> None:
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)  # a systemd that does not read must not hang us
                sock.sendto(message.encode(errors="replace"), self._address)  # a file's name may be no text
