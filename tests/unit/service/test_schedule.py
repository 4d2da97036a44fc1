"""Hours and schedules are meant by the clock on the wall, whatever is done to it twice a year."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metahuman_core.schedule import Hours, Schedule, parse_hours, steady_offset

BERLIN, NEW_YORK, SANTIAGO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("America/Santiago")
ZONES = (BERLIN, NEW_YORK, SANTIAGO, ZoneInfo("Australia/Sydney"), ZoneInfo("Asia/Kathmandu"))
MINUTE = timedelta(minutes=1)
CHANGES = (
    datetime(2025, 3, 30, 1, tzinfo=UTC),
    datetime(2025, 10, 26, 1, tzinfo=UTC),
    datetime(2025, 3, 9, 7, tzinfo=UTC),
    datetime(2025, 11, 2, 6, tzinfo=UTC),
    datetime(2025, 9, 7, 4, tzinfo=UTC),
    datetime(2025, 4, 6, 3, tzinfo=UTC),
    datetime(2025, 4, 5, 16, tzinfo=UTC),
    datetime(2025, 10, 4, 16, tzinfo=UTC),
)


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def same(one: datetime | None, other: datetime) -> bool:
    """Whether both are the same moment (Python compares times of one zone by what the wall shows)."""
    return one is not None and one.astimezone(UTC) == other.astimezone(UTC)


def walk(start: datetime, zone: ZoneInfo, minutes: int) -> Iterator[datetime]:
    """Each full minute after a moment (in UTC), as the wall shows it."""
    full = start.replace(second=0, microsecond=0)
    return ((full + n * MINUTE).astimezone(zone) for n in range(1, minutes + 1))


near_a_change = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-30 * 3600, 30 * 3600),
)
minutes_of_day = st.one_of(st.integers(0, 1439), st.sampled_from([60, 90, 120, 150, 179, 180, 0, 30]))
spans = st.tuples(minutes_of_day, st.one_of(minutes_of_day, st.just(1440))).filter(lambda span: span[0] != span[1])


@given(st.lists(spans, min_size=1, max_size=3), near_a_change, st.sampled_from(ZONES))
@example([(150, 420)], datetime(2025, 3, 30, 0, tzinfo=UTC), BERLIN)
@example([(1320, 150)], datetime(2025, 10, 26, 0, 40, tzinfo=UTC), BERLIN)
def test_hours_open_at_the_first_moment_that_they_hold(
    several: list[tuple[int, int]], moment: datetime, zone: ZoneInfo
) -> None:
    hours = Hours(tuple(several))
    local = moment.astimezone(zone)
    opens = hours.opens(local)
    assert hours.hold(opens)
    if hours.hold(local):
        assert opens == local
    else:
        assert same(opens, next(minute for minute in walk(moment, zone, 2900) if hours.hold(minute)))


@given(st.lists(spans, min_size=1, max_size=3), near_a_change, st.sampled_from(ZONES))
@example([(60, 150)], datetime(2025, 3, 30, 0, 30, tzinfo=UTC), BERLIN)
@example([(150, 420)], datetime(2025, 10, 26, 0, 40, tzinfo=UTC), BERLIN)
def test_hours_close_at_the_first_moment_that_they_no_longer_hold(
    several: list[tuple[int, int]], moment: datetime, zone: ZoneInfo
) -> None:
    hours = Hours(tuple(several))
    local = hours.opens(moment.astimezone(zone))
    moment = local.astimezone(UTC)
    closes = hours.closes(local)
    if closes is None:
        assert all(hours.hold(minute) for minute in walk(moment, zone, 2900))
    else:
        assert same(closes, next(minute for minute in walk(moment, zone, 2900) if not hours.hold(minute)))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("01:00-07:00", ["01:00", "06:59"], ["00:59", "07:00"]),
        ("22:30-06:00", ["22:30", "00:00", "05:59"], ["06:00", "22:29"]),
        ("1:00-3:00, 20:00-24:00", ["01:00", "02:59", "20:00", "23:59"], ["03:00", "19:59", "00:00"]),
        ("22:00-00:00", ["22:00", "23:59"], ["00:00", "21:59"]),
        ("00:00-24:00", ["00:00", "12:00", "23:59"], []),
        ("", ["00:00", "12:00", "23:59"], []),
        ("01:00-07:00,", ["01:00"], ["07:00"]),
    ],
)
def test_hours_hold_from_their_beginning_up_to_their_end(text: str, inside: list[str], outside: list[str]) -> None:
    hours = parse_hours(text)
    assert all(hours.hold(at(f"2025-06-01 {clock}")) for clock in inside)
    assert not any(hours.hold(at(f"2025-06-01 {clock}")) for clock in outside)


def test_hours_that_always_hold_never_close() -> None:
    for text in ("", "00:00-24:00", "00:00-12:00,12:00-24:00", "07:00-06:00,06:00-07:00"):
        assert parse_hours(text).closes(at("2025-06-01 06:30")) is None


@pytest.mark.parametrize("text", ["7-9", "01:00", "01:00-01:00", "01:00-24:30", "25:00-26:00", "01:60-02:00", "always"])
def test_what_are_no_hours_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="are no hours"):
        parse_hours(text)


# --- schedules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "days", ["0", "7", "1-5", "mon,3", "mon/2,3", "*/2,0", "*/2", "mon-5", "sun-tue", "someday", "mon-fri/2", "sun!"]
)
def test_numbered_weekdays_and_other_nonsense_are_refused(days: str) -> None:
    with pytest.raises(ValueError):
        Schedule(f"0 3 * * {days}", BERLIN)


@pytest.mark.parametrize(
    "expression", ["", "0 3 * *", "0 3 * * sun 7", "0 25 * * *", "@weekly", "x 3 * * *", "0 3 * jan-dec/2 *"]
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        Schedule(expression, BERLIN)


def test_days_have_names() -> None:
    start = at("2025-06-04 12:00")  # a Wednesday
    firsts = {days: Schedule(f"0 3 * * {days}", BERLIN).after(start) for days in ("sun", "MON", "mon,sat", "tue-thu")}
    assert {days: f"{first:%a %d}" for days, first in firsts.items() if first} == {
        "sun": "Sun 08", "MON": "Mon 09", "mon,sat": "Sat 07", "tue-thu": "Thu 05",
    }  # fmt: skip


def test_a_schedule_that_never_comes_says_so_each_time() -> None:
    never = Schedule("0 3 30 2 *", BERLIN)
    assert never.after(at("2025-06-01")) is None
    assert never.after(at("2026-06-01")) is None


def test_a_time_that_the_spring_leaves_out_comes_with_the_hour_after_it() -> None:
    nightly = Schedule("30 2 * * *", BERLIN)
    assert same(nightly.after(at("2025-03-29 12:00")), at("2025-03-30 03:30"))
    assert same(nightly.after(at("2025-03-30 03:10")), at("2025-03-30 03:30"))
    assert same(nightly.after(at("2025-03-30 03:30")), at("2025-03-31 02:30"))


def test_an_hour_that_the_autumn_shows_twice_counts_once() -> None:
    nightly = Schedule("30 2 * * *", BERLIN)
    assert same(nightly.after(at("2025-10-25 12:00")), at("2025-10-26 02:30"))
    assert same(nightly.after(at("2025-10-26 02:30")), at("2025-10-27 02:30"))
    assert same(nightly.after(at("2025-10-26 02:10", fold=1)), at("2025-10-27 02:30"))


def test_what_comes_behind_an_hour_that_is_shown_twice_is_not_passed_over() -> None:
    weekly = Schedule("0 3 * * sun", BERLIN)
    assert same(weekly.after(at("2025-10-26 02:10", fold=1)), at("2025-10-26 03:00"))


@pytest.mark.parametrize("expression", ["30 0 * * *", "30 0 * * mon", "30 0 31 3 *"])
def test_the_first_hour_behind_the_day_of_a_change_is_not_passed_over(expression: str) -> None:
    assert same(Schedule(expression, BERLIN).after(at("2025-03-30 00:30")), at("2025-03-31 00:30"))


def test_the_first_of_a_month_comes_though_the_clock_was_changed_in_the_last() -> None:
    assert same(Schedule("0 0 1 * *", BERLIN).after(at("2025-03-05 12:00")), at("2025-04-01 00:00"))


EXPRESSIONS = ("0 3 * * sun", "30 2 * * *", "*/30 * * * *", "15 0,2,5 * * *", "0 0 1 * *", "0 0 * * mon", "50 23 * * *")


def is_slot(local: datetime, expression: str, zone: ZoneInfo) -> bool:
    """Whether a full minute is a time of the expression, by its fields alone and without a look at the next one."""
    walls = [local.replace(tzinfo=None)] if not local.fold else []
    skipped = local.replace(tzinfo=None) - timedelta(hours=1)
    if skipped.replace(tzinfo=zone).astimezone(UTC) == local.astimezone(UTC):
        walls.append(skipped)  # the spring leaves this hour out
    return any(_fits(wall, expression) for wall in walls)


def _fits(wall: datetime, expression: str) -> bool:
    minute, hour, day, _, week_day = expression.split()
    fields = ((minute, wall.minute, 60), (hour, wall.hour, 24), (day, wall.day, 32))
    names = [f"{wall:%a}".lower()]
    return all(value in _values(field, top) for field, value, top in fields) and week_day in ("*", *names)


def _values(field: str, top: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, top, int(field[2:] or 1)))
    return {int(part) for part in field.split(",")}


@given(st.sampled_from(EXPRESSIONS), near_a_change, st.sampled_from(ZONES))
def test_the_next_time_is_the_first_that_fits(expression: str, moment: datetime, zone: ZoneInfo) -> None:
    found = Schedule(expression, zone).after(moment)
    assert found is not None
    assert found > moment
    reached = timedelta(days=1)
    first = next((minute for minute in walk(moment, zone, 1440) if is_slot(minute, expression, zone)), None)
    assert same(found, first) if first else found - moment > reached - MINUTE


@given(st.sampled_from(EXPRESSIONS), near_a_change, st.sampled_from(ZONES), st.integers(0, 720))
def test_an_offset_moves_each_time_and_changes_none(
    expression: str, moment: datetime, zone: ZoneInfo, minutes: int
) -> None:
    offset = minutes * MINUTE
    moved = Schedule(expression, zone, offset).after(moment + offset)
    plain = Schedule(expression, zone).after(moment)
    assert moved is not None
    assert plain is not None
    assert same(moved, plain.astimezone(UTC) + offset)
    assert moved > moment + offset


# --- jitter ---------------------------------------------------------------------------------------------------------


@given(st.text(max_size=40), st.integers(0, 720))
def test_jitter_is_steady_and_within_its_bounds(name: str, minutes: int) -> None:
    offset = steady_offset(name, minutes * MINUTE)
    assert offset == steady_offset(name, minutes * MINUTE)
    assert timedelta() <= offset <= minutes * MINUTE


def test_jitter_sets_profiles_apart() -> None:
    assert len({steady_offset(f"profile-{n}", timedelta(minutes=10)) for n in range(50)}) > 25
