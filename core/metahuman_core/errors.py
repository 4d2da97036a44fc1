"""The one error tree. An error says what failed and, as its hint, the way out.

Errors are for what stops a command. Expected bad input (a memory file that cannot be read) is a value,
`memories.Skipped`, and never raised.
"""

from __future__ import annotations


class MetahumanError(Exception):
    """Something failed that a person can do something about.

    `message` is one line: what and which. `hint` is one line: what to do. `exit_code` is what the command line
    returns (0 done, 1 failed, 2 usage, 75 busy, 78 config).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(MetahumanError):
    """The words of the command do not fit (exit 2)."""

    exit_code = 2


class BusyError(MetahumanError):
    """Another cycle holds the lock (exit 75, EX_TEMPFAIL)."""

    exit_code = 75


class ConfigError(MetahumanError):
    """The configuration cannot be used (exit 78, EX_CONFIG)."""

    exit_code = 78


class PassingError(MetahumanError):
    """What may pass by itself (a network, a server that is down, a full disk): the daemon tries again."""


class KilledError(MetahumanError):
    """A process of ours was ended by somebody else: the kernel for want of memory, or a person."""


class DivergedError(MetahumanError):
    """Training came to numbers that are none: a gentler recipe may do."""


class StoppedError(MetahumanError):
    """Somebody asked the cycle to stop; what was finished is kept and the same command goes on (exit 75)."""

    exit_code = 75
