"""`metahuman` in a fork of the tests' own process: what all commands import is imported once."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

from metahuman_daemon.cli import main

DONE, FAILED = 0, 1


def forked(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a command in `folder`. Gives its exit code, stdout and stderr."""
    with TemporaryFile("w+", encoding="utf-8") as out, TemporaryFile("w+", encoding="utf-8") as err:
        child = os.fork()
        if not child:
            become_command(arguments, folder, environment, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read()


def become_command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int
) -> NoReturn:
    """Turn this forked process into `metahuman ARGUMENTS`, and end it."""
    code: Any = FAILED
    try:
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        for fd, place in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
            os.dup2(place, fd)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(fd, mode, encoding=environment.get("PYTHONIOENCODING")) for fd, mode in enumerate("rww")
        )
        sys.argv = ["metahuman", *arguments]
        main()
        code = DONE
    except SystemExit as ended:
        code = ended.code or DONE
    except BaseException:  # noqa: BLE001  # as the interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
