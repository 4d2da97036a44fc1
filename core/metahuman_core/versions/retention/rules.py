"""Which versions the rules of one state name, and in which words. Pure.

Invariant: days, weeks (ISO), months and years are natural ones of the given time zone: what counts is the date on the
user's wall when the version was made, whatever the clocks were put to since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, tzinfo

from metahuman_core.versions.retention.policy import Rules


def named_by(rules: Rules, made: Sequence[tuple[int, datetime]], zone: tzinfo) -> Mapping[int, tuple[str, ...]]:
    """The versions (number, when it was made; newest first) that `rules` name, each with its reasons.

    Of each of the last so many days (weeks, months, years) that have any version, the newest one is named.
    """
    found: dict[int, tuple[str, ...]] = {}
    for number, _ in made[: rules.keep_last]:
        found[number] = (f"one of the last {rules.keep_last}" if rules.keep_last > 1 else "the last one",)
    for count, name in _periods(rules):
        last = ""
        for number, at in made:
            period = name(at.astimezone(zone).date())
            if period == last:
                continue
            if count == 0:
                break
            last, count = period, count - 1  # noqa: PLW2901  # so many are still to be found
            found[number] = (*found.get(number, ()), f"the last of {period}")
    return found


def _periods(rules: Rules) -> tuple[tuple[int, Callable[[date], str]], ...]:
    return (
        (rules.keep_daily, lambda day: f"{day:%Y-%m-%d}"),
        (rules.keep_weekly, lambda day: "week {}-W{:02}".format(*day.isocalendar())),
        (rules.keep_monthly, lambda day: f"month {day:%Y-%m}"),
        (rules.keep_yearly, lambda day: f"year {day:%Y}"),
    )
