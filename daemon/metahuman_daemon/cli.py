"""The command line: `metahuman COMMAND`. Errors are one line of what, which, and what to do, never a traceback."""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import signal
import sqlite3
import sys
from typing import Annotated

import typer

from metahuman_core.errors import MetahumanError
from metahuman_daemon.command_table import OnDemand

app = typer.Typer(
    name="metahuman",
    cls=OnDemand,
    help="A person's own language model that learns from their memories.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(importlib.metadata.version("metahuman-continuous-learning"))
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What comes before every command."""


def main() -> None:
    """Run the command line; the one place on this side where errors are caught."""
    os.umask(0o077)
    # We have no plugin for pydantic, and to look for one it would read the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # What ends with the process anyway is not looked through for garbage: that is a tenth of what `status` takes.
    atexit.register(gc.freeze)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no arrows gets question marks, and not an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # To be told to end is to be asked to stop, like Ctrl-C: the child makes a checkpoint.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except MetahumanError as error:
        sys.stderr.write(f"metahuman: {error.message}\n" + (f"  {error.hint}\n" if error.hint else ""))
        sys.exit(error.exit_code)
    except sqlite3.Error as error:
        sys.stderr.write(f"metahuman: the ledger cannot be used: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read us (`| head`) has gone: nothing is wrong, and Python must not complain at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        hint = "\n  check its owner and mode" if isinstance(error, PermissionError) else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "\n  make room, and run the same command again"
        sys.stderr.write(f"metahuman: {error.strerror or error}{where}{hint}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
