"""Log lines: in the journal one line each, as JSON with a priority; on a console nothing that a terminal obeys."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from metahuman_daemon.service.logs import is_journal, set_up_logs
from metahuman_daemon.visible import visible

HOSTILE = "a\nb\x1b[31m\x07\u202e\udcff.json"
log = structlog.get_logger("metahuman")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The state of logging is the process's: each test gives it back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def journal() -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(stream, journal=True, level=logging.DEBUG)
    return stream


@pytest.fixture
def console() -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(stream, journal=False)
    return stream


def entries(stream: io.StringIO) -> list[tuple[int, dict[str, Any]]]:
    """The priority and the fields of each line."""
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    return [(int(line[1]), json.loads(line[3:])) for line in lines]


def fails() -> None:
    raise ValueError("no\nsuch thing")


# --- the journal ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_each_level_has_its_priority_in_the_journal(journal: io.StringIO, level: str, priority: int) -> None:
    getattr(log, level)("ours")
    getattr(logging.getLogger("theirs"), level)("%s too", "theirs")
    (ours, first), (theirs, second) = entries(journal)
    assert (ours, theirs) == (priority, priority)
    assert (first["level"], first["event"], second["event"]) == (level, "ours", "theirs too")
    assert second["logger"] == "theirs"


def test_an_event_has_the_time_in_utc_and_what_was_bound(journal: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(profile="anna", run="2025-03-01-120000-abcdef", step="train"):
        log.info("began", memories=3)
        logging.getLogger("theirs").info("too")
    for _, entry in entries(journal):
        assert entry["timestamp"].endswith("Z")
        assert (entry["profile"], entry["run"], entry["step"]) == ("anna", "2025-03-01-120000-abcdef", "train")


def test_a_newline_in_a_file_name_breaks_no_line_of_the_journal(journal: io.StringIO) -> None:
    log.warning("set aside", path=Path(HOSTILE), names=[HOSTILE], of={"file": HOSTILE})
    logging.getLogger("theirs").warning("moved %s", HOSTILE)
    (_, ours), (_, theirs) = entries(journal)
    assert (ours["path"], ours["names"], ours["of"]) == (HOSTILE, [HOSTILE], {"file": HOSTILE})
    assert theirs["event"] == f"moved {HOSTILE}"
    assert journal.getvalue().replace("\n", "").isprintable()


def test_an_exception_is_one_field_of_one_line(journal: io.StringIO) -> None:
    try:
        fails()
    except ValueError:
        log.exception("broke off")
        logging.getLogger("theirs").exception("too")
    for priority, entry in entries(journal):
        assert priority == 3
        assert entry["exception"].startswith("Traceback")
        assert entry["exception"].endswith("no\nsuch thing")


def test_letters_of_all_languages_stay_readable_in_the_journal(journal: io.StringIO) -> None:
    log.info("read", path="Großmutter/Омск 🙂.md")
    assert "Großmutter/Омск 🙂.md" in journal.getvalue()


def test_no_line_is_longer_than_the_journal_takes(journal: io.StringIO) -> None:
    log.info("much", one="ü" * 100_000, **{f"v{i}": "ü" * 3_000 for i in range(20)})
    log.info("many", names=[HOSTILE] * 100_000)
    assert all(len(line.encode()) < 48 * 1024 for line in journal.getvalue().splitlines())
    assert [entry["event"] for _, entry in entries(journal)] == ["much", "many"]


def test_a_value_without_a_text_costs_its_line_and_nothing_else(journal: io.StringIO) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    root = logging.getLogger()  # pytest's own handlers take such a line for a fault of the test
    root.handlers = [handler for handler in root.handlers if not type(handler).__module__.startswith("_pytest")]
    log.info("odd", value=Bad())
    logging.getLogger("theirs").info("%d", "no number")
    log.info("next", value=float("nan"))
    lines = journal.getvalue().splitlines()
    assert [line.startswith("<3>a log line of") for line in lines] == [True, True, False]
    assert '"nan"' in lines[2]


def test_a_warning_of_a_library_is_a_line_too(journal: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # catch_warnings has put its own in between
        warnings.warn("soon\ngone", DeprecationWarning, stacklevel=1)
    ((priority, entry),) = entries(journal)
    assert (priority, entry["logger"]) == (4, "py.warnings")
    assert "soon\ngone" in entry["event"]


# --- the console ----------------------------------------------------------------------------------------------------


def test_a_console_gets_readable_lines_without_colours(console: io.StringIO) -> None:
    log.debug("not shown")
    log.info("a cycle is due", profile="anna", memories=214)
    assert "a cycle is due" in console.getvalue()
    assert "memories=214" in console.getvalue()
    assert len(console.getvalue().splitlines()) == 1
    assert "\x1b" not in console.getvalue()


def test_no_control_character_reaches_a_terminal(console: io.StringIO) -> None:
    log.warning(HOSTILE, path=Path(HOSTILE), names=[HOSTILE], of={HOSTILE: HOSTILE})
    logging.getLogger("theirs").warning("moved %s", HOSTILE)
    assert len(console.getvalue().splitlines()) == 2
    assert console.getvalue().replace("\n", "").isprintable()


def test_a_traceback_on_a_console_has_lines_and_no_values_of_variables(console: io.StringIO) -> None:
    secret = "not to be shown"
    try:
        fails()
    except ValueError:
        log.exception("broke off", length=len(secret))
    said = console.getvalue()
    assert "Traceback" in said
    assert "fails()" in said
    assert said.count("not to be shown") == 0


def test_http_requests_are_not_told_one_by_one(console: io.StringIO) -> None:
    logging.getLogger("httpx").info("HTTP Request: POST http://127.0.0.1/api/chat")
    logging.getLogger("httpx").warning("slow")
    assert "HTTP Request" not in console.getvalue()
    assert "slow" in console.getvalue()


def test_what_does_not_print_is_spelt_out() -> None:
    assert visible("Zoë's notes.md") == "Zoë's notes.md"
    assert visible(HOSTILE) == r"a\nb\x1b[31m\x07\u202e\udcff.json"


# --- where it goes --------------------------------------------------------------------------------------------------


def test_the_journal_is_known_by_device_and_inode() -> None:
    with tempfile.TemporaryFile("w") as stream:
        found = os.fstat(stream.fileno())
        ours = f"{found.st_dev}:{found.st_ino}"
        assert is_journal(stream, {"JOURNAL_STREAM": ours})
        assert not is_journal(stream, {"JOURNAL_STREAM": f"{ours}1"})
        for broken in ("", "8", ":", "a:b"):
            assert not is_journal(stream, {"JOURNAL_STREAM": broken})
        assert not is_journal(stream, {})
        assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": ours})


def test_setting_up_again_doubles_no_line(journal: io.StringIO) -> None:
    set_up_logs(journal, journal=True)
    log.info("once")
    assert len(entries(journal)) == 1


@pytest.mark.parametrize("broken", ["a full disk", "a reader that has gone", "closed"])
def test_a_stderr_that_takes_nothing_stops_nobody(broken: str) -> None:
    program = (
        "import sys, structlog\nfrom metahuman_daemon.service.logs import set_up_logs\n"
        "set_up_logs(sys.stderr, journal=True)\nfor _ in range(9): structlog.get_logger().error('x' * 4000)\n"
        "print('alive')"
    )
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    stderr = {"a full disk": full, "a reader that has gone": writer, "closed": writer}[broken]
    if broken == "closed":
        program = program.replace("for _", "import os; os.close(2)\nfor _")
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=stderr, text=True, check=False
    )
    os.close(writer)
    os.close(full)
    assert (done.stdout, done.returncode) == ("alive\n", 0)
