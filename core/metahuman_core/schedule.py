"""The calendar of the daemon: cron times with the names of days, and the hours in which a cycle may run. Pure.

Invariant: hours and schedules are meant by the clock on the wall of their time zone. Where it is put forward, a time
that it leaves out comes with the hour after it; where it is put back, an hour that it shows twice counts once for the
schedule, and both times for the hours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

_SPAN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)")
_FIELDS = 5
_NAMES = re.compile(r"[a-z]+(-[a-z]+)?", re.IGNORECASE)  # APScheduler takes a step behind names, and passes over it
_TICK = timedelta(microseconds=1)
_LONGEST_CHANGE = timedelta(hours=2)
_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Hours:
    """Spans of a day, each from (inclusive) and to (exclusive) in minutes after midnight.

    Where `to` comes before `from`, the span goes over midnight. No span at all: every hour.
    """

    spans: tuple[tuple[int, int], ...]

    def hold(self, local: datetime) -> bool:
        """Whether they hold this moment, given in their time zone."""
        minute = local.hour * 60 + local.minute
        return not self.spans or any(
            start <= minute < end if start < end else minute >= start or minute < end for start, end in self.spans
        )

    def opens(self, local: datetime) -> datetime:
        """The moment itself if they hold it, else the next that they hold."""
        return local if self.hold(local) else next(edge for edge in self._edges_after(local) if self.hold(edge))

    def closes(self, local: datetime) -> datetime | None:
        """The next moment that they no longer hold; None where they always hold."""
        return next((edge for edge in self._edges_after(local) if not self.hold(edge)), None)

    def _edges_after(self, local: datetime) -> Iterator[datetime]:
        """The beginnings and ends of spans after a moment, and where the clock is changed; of three days, in order."""
        zone = local.tzinfo
        now = local.astimezone(UTC)
        edges = {
            _at(local, days, minute, zone, fold)
            for days in (0, 1, 2)
            for span in self.spans
            for minute in span
            for fold in (0, 1)
        }
        edges |= _changes(now, zone)
        yield from (edge.astimezone(zone) for edge in sorted(edges) if edge > now)


def _at(local: datetime, days: int, minute: int, zone: tzinfo | None, fold: int) -> datetime:
    """So many days later at that minute, in UTC, in which moments can be compared."""
    day = (local + timedelta(days=days + minute // 1440)).date()
    clock = time(minute % 1440 // 60, minute % 60, fold=fold)
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


def _changes(now: datetime, zone: tzinfo | None) -> set[datetime]:
    """When a zone's clock is changed within three days, in UTC: always at a quarter of an hour."""
    first = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    quarters = [first + n * _QUARTER for n in range(3 * 96)]
    offsets = [quarter.astimezone(zone).utcoffset() for quarter in quarters]
    return {quarters[n] for n in range(1, len(quarters)) if offsets[n] != offsets[n - 1]}


def parse_hours(text: str) -> Hours:
    """`01:00-07:00`, several with commas; empty: always. Raises ValueError."""
    spans = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _SPAN.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} are no hours: write them like 01:00-07:00")
        start, end = (int(found[n]) * 60 + int(found[n + 1]) for n in (1, 3))
        if end > 24 * 60 or start == end:
            raise ValueError(f"{part!r} are no hours: they are over before they begin")
        spans.append((start, end))
    return Hours(tuple(spans))


class Schedule:
    """The times of a cron expression in a time zone, each later by `offset`."""

    def __init__(self, expression: str, zone: tzinfo, offset: timedelta = timedelta()) -> None:
        """Raises ValueError for an expression that cannot be understood, or that numbers the days of the week."""
        from apscheduler.triggers.cron import CronTrigger  # where a schedule is met: the command line need not wait

        fields = expression.split()
        if len(fields) != _FIELDS:
            raise ValueError(f'{expression!r} is no schedule: five fields, like "0 3 * * sun"')
        if fields[4] != "*" and not all(map(_NAMES.fullmatch, fields[4].split(","))):
            # Sunday is 0 in cron and Monday is 0 in APScheduler: no number, and no step, is right for everybody.
            raise ValueError(f"{expression!r}: name the days of the week (mon, tue, … or mon-fri), do not number them")
        if any(part.strip("*/-0123456789") and not _NAMES.fullmatch(part) for part in fields[3].split(",")):
            raise ValueError(f"{expression!r}: months are 1-12 or jan-dec, and names take no step")
        # In UTC, for what a clock on a wall would show: in a zone that changes its clocks APScheduler 3.11 passes over
        # the first hour of the day, week or month behind a change forward, and what follows an hour shown twice.
        self._cron = CronTrigger.from_crontab(expression, timezone=UTC)
        self._zone = zone
        self._offset = offset
        self._never_comes = False

    def after(self, moment: datetime) -> datetime | None:
        """The next time after a moment; None where there is none (a 30th of February)."""
        at = moment.astimezone(UTC) - self._offset  # in UTC: a sum of local times forgets which of two it is
        if self._never_comes:
            return None
        # What a clock that was just put forward has left out is still to come: it is looked for from before the change.
        wall = min(_shown(at, self._zone), _shown(at - _LONGEST_CHANGE, self._zone) + _LONGEST_CHANGE)
        while wall := self._cron.get_next_fire_time(None, wall + _TICK):
            slot: datetime = wall.replace(tzinfo=self._zone).astimezone(UTC)
            if slot > at:  # else it is shown a second time
                return (slot + self._offset).astimezone(self._zone)
        self._never_comes = True  # to find that out takes a fifth of a second
        return None


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    """What a clock on the wall shows, as if it were UTC."""
    return moment.astimezone(zone).replace(tzinfo=UTC, fold=0)


def steady_offset(name: str, within: timedelta) -> timedelta:
    """A part of `within` that is the same for a name each time: profiles (and servers) do not all begin at once."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 0x1_0000_0000
    return timedelta(seconds=int(within.total_seconds() * share))
