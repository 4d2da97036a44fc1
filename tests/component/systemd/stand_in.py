"""Stands in for the daemon where only the unit is tested: `stand_in.py [SECONDS]`, how long it takes to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

stopping_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
system = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
system.connect(os.environ["NOTIFY_SOCKET"])
asked: list[int] = []
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda got, _: asked.append(got))


def tell(words: str) -> None:
    system.send(words.encode())


tell("READY=1\nSTATUS=standing in")
while signal.SIGTERM not in asked:
    tell("WATCHDOG=1")
    time.sleep(0.05)
    if signal.SIGHUP in asked:
        asked.clear()
        tell("STATUS=standing in, reloaded")
tell("STOPPING=1")
until = time.monotonic() + stopping_s
while time.monotonic() < until:
    tell("EXTEND_TIMEOUT_USEC=1000000")
    time.sleep(0.3)
