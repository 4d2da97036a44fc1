"""What is kept of older versions, as values that can be trusted.

Invariant: a policy that names nothing is none: whoever asks for it gets an error, and nothing is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from metahuman_core.errors import ConfigError
from metahuman_core.settings import KeepSettings, RetentionSettings

_GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Which versions keep a state: the last so many, and the last one of so many natural days, weeks, months, years."""

    keep_last: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0

    @property
    def names_something(self) -> bool:
        """Whether any version is kept by it."""
        return any((self.keep_last, self.keep_daily, self.keep_weekly, self.keep_monthly, self.keep_yearly))


@dataclass(frozen=True, slots=True)
class Policy:
    """Who keeps `model/`, GGUF and adapter; who GGUF and adapter; who the adapter. `max_total_bytes` 0: no limit."""

    full: Rules = Rules()
    serving: Rules = Rules()
    archived: Rules = Rules()
    max_total_bytes: int = 0


def policy_of(retention: RetentionSettings) -> Policy:
    """The policy of `[retention]`. Raises ConfigError where it names no version at all to keep."""
    full, serving, archived = (_rules(keep) for keep in (retention.full, retention.serving, retention.archived))
    if not any(rules.names_something for rules in (full, serving, archived)):
        raise ConfigError(
            "[retention] names no version to keep, so nothing is cleared away",
            "set full.keep_last or serving.keep_last to 1 or more",
        )
    return Policy(full, serving, archived, round(retention.max_total_gb * _GB))


def _rules(keep: KeepSettings) -> Rules:
    return Rules(keep.keep_last, keep.keep_daily, keep.keep_weekly, keep.keep_monthly, keep.keep_yearly)
