"""Whether a cycle is due: each reason, what stands against it, and when to ask again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahuman_core.schedule import Schedule, parse_hours
from metahuman_daemon.service.due import Decision, Policy, Situation, decide, must_stop, told

BERLIN = ZoneInfo("Europe/Berlin")
WEEKLY = Schedule("0 3 * * sun", BERLIN)
GIB = 1 << 30
POLICY = Policy(
    threshold=200, min_new=20, schedule=WEEKLY, hours=parse_hours("01:00-07:00"), max_load=2.0, yield_to_ollama=True
)
NIGHT = datetime(2025, 6, 4, 2, tzinfo=BERLIN)  # a Wednesday
NOON = NIGHT.replace(hour=12)
SUNDAY = datetime(2025, 6, 8, 3, tzinfo=BERLIN)


def situation(**fields: Any) -> Situation:
    own: dict[str, Any] = {
        "pending": 0,
        "unfinished": "",
        "wanted": False,
        "held_up": "",
        "schedule_until": NIGHT - timedelta(days=1),
        "cool_until": None,
        "cool_reason": "",
        "disk_free_bytes": 100 * GIB,
        "disk_needed_bytes": GIB,
        "load": 0.1,
        "ollama_in_use": False,
    }
    return Situation(**{**own, **fields})


def decided(now: datetime = NIGHT, policy: Policy = POLICY, **fields: Any) -> Decision:
    return decide(policy, now, situation(**fields))


# --- what makes it due ----------------------------------------------------------------------------------------------


def test_with_nothing_new_it_waits_for_memories_and_says_how_many_are_enough() -> None:
    decision = decided()
    assert (decision.due, decision.next_at) == (False, SUNDAY)
    assert decision.why == (
        "waits for memories: 0 new memories; 20 are enough on Sun 2025-06-08 03:00, 200 in its hours"
    )


def test_one_memory_is_one_memory() -> None:
    assert decided(pending=1).why.startswith("waits for memories: 1 new memory;")


def test_with_enough_for_the_schedule_it_waits_for_its_time() -> None:
    decision = decided(pending=20)
    assert (decision.due, decision.next_at) == (False, SUNDAY)
    assert decision.why.startswith("waits for Sun 2025-06-08 03:00, or for memories: 20 new memories")


@pytest.mark.parametrize(("pending", "due"), [(199, False), (200, True), (2000, True)])
def test_the_threshold_makes_it_due(pending: int, due: bool) -> None:
    decision = decided(pending=pending)
    assert decision.due is due
    if due:
        assert decision.why == f"{pending} new memories, the threshold is 200"


@pytest.mark.parametrize(("pending", "due"), [(0, False), (19, False), (20, True)])
def test_the_schedule_makes_it_due_where_enough_are_new(pending: int, due: bool) -> None:
    decision = decided(SUNDAY, pending=pending)
    assert decision.due is due
    assert decision.schedule_until == (NIGHT - timedelta(days=1) if due else SUNDAY)


def test_a_time_that_came_too_early_is_dealt_with() -> None:
    looked = decided(SUNDAY, pending=19)
    later = decided(SUNDAY + timedelta(hours=1), pending=25, schedule_until=looked.schedule_until)
    assert (later.due, later.next_at) == (False, SUNDAY + timedelta(days=7))


def test_times_that_passed_without_power_are_made_up_once() -> None:
    away_since = SUNDAY - timedelta(days=30)
    made_up = decided(NIGHT, pending=30, schedule_until=away_since)
    assert made_up.due
    assert not decided(NIGHT + timedelta(hours=3), pending=30, schedule_until=NIGHT).due


def test_a_schedule_of_every_minute_is_made_up_once_and_quickly() -> None:
    policy = replace(POLICY, schedule=Schedule("* * * * *", BERLIN))
    assert decided(policy=policy, pending=30, schedule_until=NIGHT - timedelta(days=365)).due


def test_an_unfinished_run_goes_on_without_a_new_memory() -> None:
    decision = decided(unfinished="2025-06-01-030000-abcdef")
    assert (decision.due, decision.why) == (True, "run 2025-06-01-030000-abcdef is unfinished")


def test_a_wish_needs_but_one_memory_and_no_hour() -> None:
    assert decided(NOON, wanted=True, pending=1).why == "asked for, with 1 new memories"
    assert decided(NOON, wanted=True, pending=1).due
    assert not decided(NOON, wanted=True).due


def test_without_a_schedule_only_the_threshold_counts() -> None:
    policy = replace(POLICY, schedule=None)
    decision = decided(policy=policy, pending=199, schedule_until=NIGHT - timedelta(days=300))
    assert (decision.due, decision.next_at) == (False, None)
    assert decision.why == "waits for memories: 199 new memories, the threshold is 200"
    assert decision.schedule_until == NIGHT, "a schedule that is set tomorrow is not overdue"
    assert decided(policy=policy, pending=200).due


def test_a_schedule_that_never_comes_waits_for_the_threshold() -> None:
    policy = replace(POLICY, schedule=Schedule("0 3 30 2 *", BERLIN))
    assert decided(policy=policy, pending=20).next_at is None
    assert decided(policy=policy, pending=200).due


def test_a_schedule_that_was_dealt_with_by_a_wrong_clock_begins_again_now() -> None:
    decision = decided(pending=20, schedule_until=NIGHT + timedelta(days=3650))
    assert decision.schedule_until == NIGHT
    assert decision.next_at == SUNDAY


def test_in_the_hour_that_is_shown_twice_what_came_in_the_first_has_come() -> None:
    policy = replace(POLICY, schedule=Schedule("30 2 * * *", BERLIN))
    second = datetime(2025, 10, 26, 2, 10, tzinfo=BERLIN, fold=1)
    assert decided(second, policy, pending=30, schedule_until=second.astimezone(UTC) - timedelta(hours=2)).due


# --- what stands against it -----------------------------------------------------------------------------------------


def test_what_holds_it_up_is_the_answer_and_leaves_the_schedule() -> None:
    decision = decided(SUNDAY, pending=500, held_up="paused since noon", wanted=True)
    assert decision == Decision(False, "paused since noon", None, NIGHT - timedelta(days=1))


def test_outside_its_hours_it_waits_until_they_open() -> None:
    decision = decided(NOON, pending=200)
    assert (decision.due, decision.next_at) == (False, NOON.replace(day=5, hour=1))
    assert decision.why.endswith("waits for its hours, until Thu 2025-06-05 01:00")


def test_it_waits_for_disk_even_if_a_person_wants_it() -> None:
    decision = decided(pending=200, wanted=True, disk_needed_bytes=101 * GIB)
    assert (decision.due, decision.next_at) == (False, NIGHT + timedelta(minutes=10))
    assert decision.why.endswith("waits for disk: needs 101.0 GiB, 100.0 GiB are free")


def test_exactly_enough_disk_is_enough() -> None:
    assert decided(pending=200, disk_needed_bytes=100 * GIB).due


def test_a_cool_down_is_waited_for_up_to_its_end() -> None:
    until = NIGHT + timedelta(hours=2)
    decision = decided(pending=200, cool_until=until, cool_reason="the last one was rejected: worse")
    assert (decision.due, decision.next_at) == (False, until)
    assert decision.why.endswith("waits until 04:00: the last one was rejected: worse")
    assert decided(until, pending=200, cool_until=until).due


def test_it_makes_way_for_ollama_and_for_a_busy_machine() -> None:
    soon = NIGHT + timedelta(minutes=1)
    used = decided(pending=200, ollama_in_use=True)
    assert (used.due, used.next_at) == (False, soon)
    assert used.why.endswith("waits while Ollama is used")
    busy = decided(pending=200, load=2.1)
    assert (busy.due, busy.next_at) == (False, soon)
    assert "busy (load 2.1" in busy.why
    assert decided(pending=200, load=2.0).due


def test_it_makes_way_only_where_that_was_asked_for() -> None:
    policy = replace(POLICY, max_load=0.0, yield_to_ollama=False)
    assert decided(policy=policy, pending=200, load=99.0, ollama_in_use=True).due


def test_a_persons_wish_is_above_all_but_the_disk() -> None:
    assert decided(NOON, pending=1, wanted=True, cool_until=NOON + timedelta(hours=1), load=9.0, ollama_in_use=True).due


# --- the time to ask again ------------------------------------------------------------------------------------------

moments = st.builds(
    lambda minutes, seconds: datetime(2025, 3, 28, tzinfo=UTC) + timedelta(minutes=minutes, seconds=seconds),
    st.one_of(st.integers(0, 4 * 1440), st.integers(210 * 1440, 214 * 1440)),  # about both changes of Berlin's clocks
    st.integers(0, 59),
)
policies = st.builds(
    Policy,
    threshold=st.just(200),
    min_new=st.just(20),
    schedule=st.sampled_from(
        [None, WEEKLY, Schedule("30 2 * * *", BERLIN), Schedule("0 3 * * sun", BERLIN, timedelta(minutes=7))]
    ),
    hours=st.sampled_from(
        [parse_hours(text) for text in ("", "01:00-07:00", "22:00-02:30", "02:15-02:45,12:00-13:00")]
    ),
    max_load=st.sampled_from([0.0, 2.0]),
    yield_to_ollama=st.booleans(),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[datetime, Situation]:
    now = draw(moments)
    until = now - timedelta(minutes=draw(st.sampled_from([0, 1, 50, 300, 1500, 9000])))
    cool = draw(st.sampled_from([None, -5, 1, 30, 90, 600]))
    known = situation(
        pending=draw(st.sampled_from([0, 19, 20, 199, 200])),
        unfinished=draw(st.sampled_from(["", "a run"])),
        wanted=draw(st.booleans()),
        held_up=draw(st.sampled_from(["", "", "", "paused"])),
        schedule_until=until,
        cool_until=None if cool is None else now + timedelta(minutes=cool),
        disk_free_bytes=draw(st.sampled_from([0, 2 * GIB])),
        load=draw(st.sampled_from([0.0, 3.0])),
        ollama_in_use=draw(st.booleans()),
    )
    return now, known


@given(policies, situations(), st.floats(0, 1, exclude_max=True))
def test_nothing_changes_by_itself_before_the_time_to_ask_again(
    policy: Policy, moment_and_known: tuple[datetime, Situation], share: float
) -> None:
    now, known = moment_and_known
    first = decide(policy, now.astimezone(BERLIN), known)
    horizon = first.next_at.astimezone(UTC) if first.next_at else now + timedelta(days=400)
    assert horizon > now or first.due
    later = now + (horizon - now) * share
    if first.due:
        return
    again = decide(policy, later.astimezone(BERLIN), replace(known, schedule_until=first.schedule_until))
    assert not again.due
    assert again.next_at is None or again.next_at.astimezone(UTC) >= horizon or not first.next_at


@given(policies, situations())
def test_what_is_due_had_a_cause_and_nothing_against_it(
    policy: Policy, moment_and_known: tuple[datetime, Situation]
) -> None:
    now, known = moment_and_known
    decision = decide(policy, now.astimezone(BERLIN), known)
    assert decision.why
    if not decision.due:
        return
    assert decision.next_at is None
    assert not known.held_up
    assert known.disk_free_bytes >= known.disk_needed_bytes
    assert known.unfinished or (known.wanted and known.pending) or known.pending >= policy.min_new
    if not known.wanted:
        assert policy.hours.hold(now.astimezone(BERLIN))
        assert known.cool_until is None or known.cool_until <= now


@given(policies, situations())
def test_the_schedule_is_never_dealt_with_beyond_now_nor_undone(
    policy: Policy, moment_and_known: tuple[datetime, Situation]
) -> None:
    now, known = moment_and_known
    decision = decide(policy, now.astimezone(BERLIN), known)
    assert known.schedule_until <= decision.schedule_until <= now


# --- stopping -------------------------------------------------------------------------------------------------------


def stopped(now: datetime = NIGHT, **facts: Any) -> str:
    return must_stop(POLICY, now, **{"by_hand": False, "paused": "", "ollama_in_use": False, **facts})


def test_a_cycle_goes_on_within_its_hours_and_stops_with_them() -> None:
    assert stopped() == ""
    assert stopped(NIGHT.replace(hour=6, minute=59, second=59)) == ""
    assert stopped(NIGHT.replace(hour=7)) == "its hours are over"


def test_a_cycle_stops_for_ollama_where_it_is_to_make_way() -> None:
    assert stopped(ollama_in_use=True) == "Ollama is used"
    policy = replace(POLICY, yield_to_ollama=False)
    assert must_stop(policy, NIGHT, by_hand=False, paused="", ollama_in_use=True) == ""


def test_a_cycle_that_a_person_asked_for_stops_only_where_nothing_may_run() -> None:
    assert stopped(NOON, by_hand=True, ollama_in_use=True) == ""
    assert stopped(NOON, by_hand=True, paused="paused") == "paused"


def test_a_moment_is_told_with_its_day_unless_that_is_today() -> None:
    assert told(NIGHT.astimezone(UTC), NOON) == "02:00"
    assert told(NIGHT, NOON + timedelta(days=1)) == "Wed 2025-06-04 02:00"


# --- a consolidation ------------------------------------------------------------------------------------------------

ERASED = "version 3 knows what was erased"


def test_a_consolidation_is_due_with_nothing_new_and_says_why() -> None:
    decision = decided(consolidation=ERASED)
    assert (decision.due, decision.why) == (True, f"a consolidation is due: {ERASED}")


def test_a_consolidation_waits_for_its_hours_and_after_one_that_failed() -> None:
    decision = decided(NOON, consolidation=ERASED)
    assert not decision.due
    assert decision.why.startswith(f"a consolidation is due: {ERASED}; waits for its hours")
    cooling = decided(
        consolidation=ERASED, cool_until=NIGHT + timedelta(hours=1), cool_reason="the last one was rejected"
    )
    assert (cooling.due, cooling.next_at) == (False, NIGHT + timedelta(hours=1))


def test_a_consolidation_that_a_person_asks_for_waits_for_neither() -> None:
    assert decided(NOON, consolidation=ERASED, wanted=True).due
