"""Waiting for an answer that is long in coming, so that a Ctrl-C or a time limit is heard meanwhile.

Invariant: no wait is longer than `LOOK_EVERY_S`. Python hears of a Ctrl-C in the instant before a read that blocks only
when that ends.
"""

from __future__ import annotations

import math
import select
from typing import Any

LOOK_EVERY_S = 1.0
_MADE = ("connection.connect_tcp.complete", "connection.start_tls.complete")
_AWAITED = "http11.receive_response_headers.started"


class Patience:
    """httpx's `trace` for one request on a connection of its own: raises `late` where no answer begins in time."""

    def __init__(self, within_s: float, late: Exception) -> None:
        self._within_s = within_s
        self._late = late
        self._socket: Any = None

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Told what httpx is about to do, or has done."""
        if event in _MADE:
            self._socket = info["return_value"].get_extra_info("socket")
        elif event == _AWAITED and self._socket is not None:
            self._wait()

    def _wait(self) -> None:
        for _ in range(math.ceil(self._within_s / LOOK_EVERY_S)):
            if select.select([self._socket], [], [], min(LOOK_EVERY_S, self._within_s))[0]:
                return
        raise self._late
