"""The time of day, and where on earth it is meant; the core is handed both."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from metahuman_core.errors import ConfigError
from metahuman_core.settings import Settings


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def zone_of(settings: Settings) -> ZoneInfo:
    """The user's time zone: `daemon.timezone`, else the machine's. Raises ConfigError where that cannot be told."""
    if settings.daemon.timezone:
        return ZoneInfo(settings.daemon.timezone)
    import tzlocal

    try:
        return tzlocal.get_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            "the machine's time zone cannot be told", "set timezone in [daemon]: like Europe/Berlin"
        ) from error
