"""Writes down whom a process calls: PYTHONPATH brings this in, CALLS names the file."""

from __future__ import annotations

import os
import sys
from typing import Any

_CALLS = os.environ["CALLS"]


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host, port = arguments[1][:2]
        with open(_CALLS, "a", encoding="utf-8") as calls:  # noqa: PTH123  # this early, no more than is needed
            calls.write(f"{host}:{port}\n")


sys.addaudithook(_watch)
