"""When something happened, from whatever says so.

Invariant: every time is aware and lies between 1900 and 2200, so that nothing that is done with it can overflow; what
cannot be read is None, never an error. A time without a zone is taken as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

_YEARS = range(1900, 2201)
_MILLISECONDS_FROM = 1e11  # as seconds that would be the year 5138

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s{1,3})?"

_DATES = tuple(
    re.compile(rf"{_WEEKDAY}{form}(?!\w)", re.IGNORECASE | re.ASCII)
    for form in (
        r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})",
        rf"{_DAY}\.?\s{{1,3}}{_MONTH},?\s{{1,3}}(?P<year>\d{{4}})",
        rf"{_MONTH}\s{{1,3}}{_DAY},?\s{{1,3}}(?P<year>\d{{4}})",
    )
)
_COMPACT_DATE = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?!\d)", re.ASCII)
_EVENT_ID = re.compile(r"evt-(\d{14})", re.ASCII)
_DAY_FOLDER = re.compile(r"(?:^|/)(?P<year>\d{4})/(?P<month>\d{2})/(?P<day>\d{2})/", re.ASCII)


def moment(value: Any) -> datetime | None:
    """The time in a field: ISO 8601, a date in words, or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            return _sane(datetime.fromisoformat(value.strip()))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
            return _sane(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return leading_date(value) if isinstance(value, str) else None
    return None


def first_moment(*values: Any) -> datetime | None:
    """The first of `values` that is a time."""
    return next((at for value in values if (at := moment(value))), None)


def leading_date(text: str) -> datetime | None:
    """The date that `text` begins with: "2025-03-01 …", "Saturday, March 1st, 2025", "1 March 2025". Midnight, UTC."""
    start = text.lstrip()[:80]
    return next((at for form in _DATES if (match := form.match(start)) and (at := _date(match))), None)


def id_moment(value: Any) -> datetime | None:
    """The time in an event's id, `evt-YYYYMMDDhhmmss…`."""
    match = _EVENT_ID.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        return _sane(datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC))
    except ValueError:
        return None


def path_moment(source: str) -> datetime | None:
    """The time in a path: an event's id as the file's name, a date before the name's rest, or YYYY/MM/DD folders."""
    name = source.rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    compact, folder = _COMPACT_DATE.match(stem), _DAY_FOLDER.search(source)
    return id_moment(stem) or leading_date(stem) or (compact and _date(compact)) or (folder and _date(folder)) or None


def _date(match: re.Match[str]) -> datetime | None:
    month = match["month"]
    number = int(month) if month.isdecimal() else _MONTHS.index(month[:3].lower()) + 1
    try:
        return _sane(datetime(int(match["year"]), number, int(match["day"]), tzinfo=UTC))
    except ValueError:
        return None


def _sane(at: datetime) -> datetime | None:
    if at.year not in _YEARS:
        return None
    return at if at.utcoffset() is not None else at.replace(tzinfo=UTC)
