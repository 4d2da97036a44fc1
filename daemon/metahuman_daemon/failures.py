"""What an exception in a process of ours comes to: an error of the one tree, with a way out."""

from __future__ import annotations

import errno
import sqlite3
import traceback

from metahuman_core.errors import MetahumanError, PassingError

FAULT_OF_OURS = "this is a fault of ours; its log has the whole of it"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# A drive or a network that is away, descriptors or memory that are short: none of it is the run's fault.
_PASSING = (
    errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.ETIMEDOUT, errno.EMFILE, errno.ENFILE, errno.ENOMEM,
    errno.EAGAIN, errno.EROFS,
)  # fmt: skip
# What an error of another kind quotes may be a memory, and it would go into logs, the registry and messages.
_QUOTE_NOTHING = (RuntimeError, ImportError, MemoryError, AttributeError, NameError)


def as_failure(error: Exception) -> MetahumanError:
    """The error as one of ours; of one that nobody foresaw, its place in the code goes to stderr, which is a log."""
    if isinstance(error, MetahumanError):
        return error
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        if error.errno in _FULL:
            return PassingError(f"{error.strerror}{where}", "make room and run the same command again")
        kind = PassingError if error.errno in _PASSING else MetahumanError
        return kind(f"{error.strerror}{where}", "the same command goes on")
    if isinstance(error, sqlite3.OperationalError):
        return PassingError(f"the ledger cannot be used: {error}", "it is tried again; is the disk full?")
    if "No space left" in str(error):
        # safetensors tells of a full disk in words alone.
        return PassingError("No space left on device", "make room and run the same command again")
    traceback.print_tb(error.__traceback__)  # without the words, which may quote a memory
    told = f": {error}" if isinstance(error, _QUOTE_NOTHING) else ""
    return MetahumanError(f"{type(error).__name__}{told}", FAULT_OF_OURS)
