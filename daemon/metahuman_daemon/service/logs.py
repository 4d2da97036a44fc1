"""Where log lines go, and what they look like: JSON with a priority for systemd's journal, else for people to read.

Invariant: one event is one line in the journal, whatever stands in its values, and no control character of a value
reaches a terminal. Nothing that happens here stops the daemon: a line that cannot be written is lost. Callers log
names, counts and reasons; the text of a memory is never handed to a logger.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import traceback
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, ExcInfo, WrappedLogger

from metahuman_daemon.visible import visible

# sd-daemon(3): systemd reads <N> off the front of a line. Levels in between go with the one below them.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
# journald takes a line apart after 48 KiB (LineMax=), and the second half of a JSON object is of no use to anybody.
_LINE_BYTES = 45_000
_VALUE_CHARS = 4_000
_ITEMS = 50
_DEPTH = 4
_FIRST = ("timestamp", "level", "event", "profile", "run", "step", "logger")
# They say of each request at INFO what we say of each publication in our own words.
_CHATTY = ("httpx", "httpcore")
# It says of an overflow what we say ourselves, and calls it an error that it was stopped.
_SILENT = ("watchdog",)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def is_journal(stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream (stderr) leads into the journal.

    systemd.exec(5): JOURNAL_STREAM names the socket's device and inode. It is inherited by all that is started from a
    service or a session, so that it means nothing until both are those of the stream.
    """
    try:
        found = os.fstat((stream or sys.stderr).fileno())
        device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
        return (found.st_dev, found.st_ino) == (int(device), int(inode))
    except (OSError, ValueError, AttributeError):  # closed, no file, or no such variable
        return False


def set_up_logs(stream: TextIO, *, journal: bool, level: int = logging.INFO) -> None:
    """Send structlog's events and those of the standard library to a stream, in one form. May be called again."""
    colours = not journal and stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    handler = _Lines(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.contextvars.merge_contextvars],
            processors=[*(_for_journal() if journal else _for_people(colours=colours))],
        )
    )
    root = logging.getLogger()
    root.handlers = [*(other for other in root.handlers if not isinstance(other, _Lines)), handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
    structlog.configure(
        # What may go wrong waits for the formatter: there it costs the line, here it would reach the caller.
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


class _Lines(logging.Handler):
    """Writes each line at once and past all buffers.

    What is left in a buffer when the disk is full or the reader gone would fail again at the interpreter's exit, and
    turn its exit status into 120.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        try:
            self._descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._descriptor = -1

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  # a log line is worth less than the work it tells of
            line = f"<3>a log line of {visible(record.name)} could not be written: {type(error).__name__}"
        try:
            self._write(line + "\n")
        except (OSError, ValueError):
            return

    def _write(self, line: str) -> None:
        if self._descriptor < 0:
            self._stream.write(line)
            self._stream.flush()
            return
        left = line.encode(self._stream.encoding or "utf-8", "backslashreplace")
        while left:
            left = left[os.write(self._descriptor, left) :]


def _for_journal() -> list[structlog.types.Processor]:
    return [
        _add_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_traceback),
        _plain_values,
        _render_json,
    ]


def _for_people(*, colours: bool) -> list[structlog.types.Processor]:
    return [
        _add_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.processors.ExceptionRenderer(_traceback),
        _plain_values,
        _spell_out,
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback),
    ]


def _add_level(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    event["level"] = record.levelname.lower()
    if not event["_from_structlog"]:
        event["logger"] = record.name
    return event


def _traceback(exc_info: ExcInfo) -> str:
    """The traceback without the values of variables: a memory may be among them. The end says most, and is kept."""
    text = "".join(traceback.format_exception(*exc_info)).rstrip()
    return text if len(text) <= _VALUE_CHARS else f"…{text[-_VALUE_CHARS:]}"


def _plain_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: value if name.startswith("_") else _plain(value) for name, value in event.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """A value of JSON's, of bounded length; whatever it knows nothing of (a path, a moment) becomes its text."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping) and depth < _DEPTH:
        return {str(name): _plain(part, depth + 1) for name, part in list(value.items())[:_ITEMS]}
    if isinstance(value, list | tuple | AbstractSet) and depth < _DEPTH:
        return [_plain(part, depth + 1) for part in list(value)[:_ITEMS]]
    text = str(value)
    return text if len(text) <= _VALUE_CHARS + 1 else f"{text[:_VALUE_CHARS]}…"


def _spell_out(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Make strings fit for a terminal. Of them, only a traceback has lines."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = (
                "\n".join(map(visible, value.split("\n"))) if name in {"exception", "stack"} else visible(value)
            )
    return event


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    priority = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG_PRIORITY)
    fields = {name: event[name] for name in _FIRST if name in event}
    rest = {name: value for name, value in event.items() if not name.startswith("_") and name not in fields}
    line = _as_json({**fields, **rest})
    if len(line.encode()) > _LINE_BYTES:
        line = _as_json({**fields, "left_out": sorted(rest)[:_ITEMS]})
    return f"<{priority}>{line}"


def _as_json(fields: dict[str, Any]) -> str:
    """JSON in one line: letters of all languages as they are, and what does not print by its number."""
    text = json.dumps(fields, ensure_ascii=False)
    return text if text.isprintable() else _UNPRINTABLE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]
