"""What the daemon does next: fair between profiles, patient with what fails, and never spinning."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahuman_core.schedule import Schedule, parse_hours
from metahuman_daemon.service.agenda import Agenda, End, Job, Kind, Outcome
from metahuman_daemon.service.due import Policy
from metahuman_daemon.service.known import Facts, Kept

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2025, 6, 4, 2, tzinfo=BERLIN)  # a Wednesday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COOL_DOWN = 6 * HOUR
POLICY = Policy(200, 20, Schedule("0 3 * * sun", BERLIN), parse_hours(""), 2.0, yield_to_ollama=True)
QUIET = Facts(
    pending=0,
    unfinished="",
    held_up="",
    disk_free_bytes=100,
    disk_needed_bytes=1,
    publications_due=False,
    publishes=True,
    load=0.1,
    ollama_in_use=False,
)
FULL = replace(QUIET, pending=200)


def agenda(*names: str, kept: dict[str, Kept] | None = None, **policy: Any) -> Agenda:
    policies = {name: replace(POLICY, **policy) for name in names or ("anna",)}
    return Agenda(policies, COOL_DOWN, kept or {}, NIGHT)


def settled(*names: str) -> Agenda:
    """One that has verified and tidied since it started."""
    made = agenda(*names)
    for name in names or ("anna",):
        made.ended(Job("verify", name, ""), Outcome("done"), NIGHT)
        made.ended(Job("tidy", name, ""), Outcome("done"), NIGHT)
    return made


def cycle_ended(made: Agenda, end: End, now: datetime = NIGHT, name: str = "anna", **result: Any) -> datetime | None:
    """End a cycle so; gives until when it cools down."""
    made.ended(Job("cycle", name, ""), Outcome(end, "why", result=result), now)
    return made.kept[name].cool_until


def errand(made: Agenda, known: Facts = QUIET, now: datetime = NIGHT, *, cycle_runs: bool = False) -> Kind | None:
    found = made.next_errand(now, {"anna": known}, cycle_runs=cycle_runs)
    return found.kind if found else None


# --- cycles ---------------------------------------------------------------------------------------------------------


def test_a_cycle_that_is_due_begins_and_says_why() -> None:
    assert agenda().next_cycle(NIGHT, {"anna": FULL}) == Job("cycle", "anna", "200 new memories, the threshold is 200")
    assert agenda().next_cycle(NIGHT, {"anna": QUIET}) is None
    assert agenda().next_cycle(NIGHT, {}) is None


def test_two_that_are_due_take_turns() -> None:
    made = agenda("anna", "ben")
    turns = []
    for n in range(6):
        job = made.next_cycle(NIGHT + n * HOUR, {"anna": FULL, "ben": FULL})
        assert job is not None
        turns.append(job.profile)
        made.began(job, NIGHT + n * HOUR)
        made.ended(job, Outcome("done"), NIGHT + (n + 1) * HOUR)
    assert turns == ["anna", "ben"] * 3


def test_one_that_always_has_to_make_way_does_not_starve_the_other() -> None:
    made = agenda("anna", "ben")
    turns = []
    for n in range(6):
        job = made.next_cycle(NIGHT + n * HOUR, {"anna": FULL, "ben": FULL})
        assert job is not None
        turns.append(job.profile)
        made.began(job, NIGHT + n * HOUR)
        made.ended(job, Outcome("stopped"), NIGHT + n * HOUR + HOUR / 2)
    assert turns == ["anna", "ben"] * 3


def test_one_whose_cycles_never_come_to_an_end_does_not_starve_the_other() -> None:
    """The power goes each time: no end is ever noted."""
    kept: dict[str, Kept] = {}
    turns = []
    for n in range(4):
        made = agenda("anna", "ben", kept=kept)
        job = made.next_cycle(NIGHT + n * HOUR, {"anna": FULL, "ben": FULL})
        assert job is not None
        made.began(job, NIGHT + n * HOUR)
        turns.append(job.profile)
        kept = {name: replace(own) for name, own in made.kept.items()}
    assert turns == ["anna", "ben"] * 2


def test_one_that_fails_does_not_hold_up_the_other() -> None:
    made = agenda("anna", "ben")
    cycle_ended(made, "failed")
    for n in range(1, 4):
        job = made.next_cycle(NIGHT + n * HOUR, {"anna": FULL, "ben": FULL})
        assert job is not None
        assert job.profile == "ben"
        made.ended(job, Outcome("done"), NIGHT + n * HOUR)


def test_a_last_cycle_that_is_to_come_was_noted_by_a_wrong_clock_and_starves_nobody() -> None:
    kept = {"anna": Kept(NIGHT, last_cycle_at=NIGHT + 3650 * DAY), "ben": Kept(NIGHT, last_cycle_at=NIGHT - HOUR)}
    made = agenda("anna", "ben", kept=kept)
    made.next_cycle(NIGHT, {"anna": FULL, "ben": FULL})
    made.began(Job("cycle", "ben", ""), NIGHT + HOUR)
    job = made.next_cycle(NIGHT + 2 * HOUR, {"anna": FULL, "ben": FULL})
    assert job is not None
    assert job.profile == "anna"


def test_what_may_pass_is_tried_again_soon_then_seldom() -> None:
    made, now, pauses = agenda(), NIGHT.astimezone(UTC), []
    for _ in range(10):
        until = cycle_ended(made, "passing", now)
        assert until is not None
        pauses.append(until - now)
        assert made.next_cycle(until - timedelta(seconds=1), {"anna": FULL}) is None
        assert made.next_cycle(until, {"anna": FULL}) is not None
        now = until
    assert pauses == [min(5 * MINUTE * 2**n, 6 * HOUR) for n in range(10)]


@pytest.mark.parametrize("end", ["rejected", "failed", "killed"])
def test_what_will_not_pass_cools_down_longer_each_time_up_to_a_week(end: End) -> None:
    made, now, pauses = agenda(), NIGHT.astimezone(UTC), []
    for _ in range(7):
        until = cycle_ended(made, end, now)
        assert until is not None
        pauses.append(until - now)
        now = until
    assert pauses == [min(COOL_DOWN * 2**n, 7 * DAY) for n in range(7)]
    made.next_cycle(now - HOUR, {"anna": FULL})
    how = "the last one was rejected: why" if end == "rejected" else "the last attempt failed: why"
    assert made.decisions["anna"].why.endswith(how)


def test_a_cool_down_of_a_month_is_one() -> None:
    made = Agenda({"anna": POLICY}, 30 * DAY, {}, NIGHT)
    assert cycle_ended(made, "rejected") == NIGHT + 30 * DAY


def test_no_cool_down_is_none() -> None:
    made = Agenda({"anna": POLICY}, timedelta(), {}, NIGHT)
    assert cycle_ended(made, "rejected") == NIGHT
    assert made.next_cycle(NIGHT, {"anna": FULL}) is not None


def test_days_without_a_network_do_not_make_a_rejected_version_wait_a_week() -> None:
    made = agenda()
    for _ in range(12):
        cycle_ended(made, "passing")
    assert cycle_ended(made, "rejected") == NIGHT + COOL_DOWN
    assert cycle_ended(made, "rejected") == NIGHT + 2 * COOL_DOWN
    assert cycle_ended(made, "passing") == NIGHT + 5 * MINUTE


def test_a_cool_down_across_a_change_of_clocks_is_as_long_as_it_says() -> None:
    eve = datetime(2025, 10, 26, 1, tzinfo=BERLIN)
    until = cycle_ended(agenda(), "failed", eve)
    assert until is not None
    assert until - eve.astimezone(UTC) == COOL_DOWN


def recovery_after(*ends: End) -> str:
    made = settled()
    for end in ends:
        cycle_ended(made, end)
    job = made.next_cycle(NIGHT + 300 * DAY, {"anna": replace(FULL, unfinished="2025-06-04-020000-abcdef")})
    assert job is not None
    return job.recovery


def test_an_unfinished_run_goes_on_whatever_stopped_it() -> None:
    assert recovery_after("stopped") == recovery_after("passing", "passing", "passing", "passing") == "go on"


def test_one_that_was_killed_or_failed_makes_way_for_a_config_that_was_mended() -> None:
    assert recovery_after("killed", "killed", "killed", "killed") == recovery_after("failed", "failed") == "replace"


def test_one_that_fails_for_the_third_time_is_given_up_and_its_memories_stay_due() -> None:
    assert recovery_after("failed", "passing", "failed", "failed") == "throw away"
    assert recovery_after("failed", "failed", "failed", "done") == "go on"
    assert recovery_after("failed", "failed", "rejected", "failed") == "replace"


def test_a_success_ends_all_waiting() -> None:
    made = agenda()
    cycle_ended(made, "failed")
    assert cycle_ended(made, "done") is None
    assert made.kept["anna"].attempts == 0
    assert cycle_ended(made, "failed") == NIGHT + COOL_DOWN


def test_another_command_is_waited_for_and_counts_as_no_attempt() -> None:
    made = agenda("anna")
    assert cycle_ended(made, "busy") == NIGHT + MINUTE
    assert made.kept["anna"].attempts == 0


def test_a_cycle_that_was_stopped_goes_on_when_it_may() -> None:
    made = agenda()
    assert cycle_ended(made, "stopped") == NIGHT + timedelta(seconds=10)
    assert made.kept["anna"].attempts == 0
    job = made.next_cycle(NIGHT + MINUTE, {"anna": replace(QUIET, unfinished="a run")})
    assert job is not None
    assert job.why == "run a run is unfinished"


def test_after_a_rejection_the_time_of_the_schedule_stays_undealt_with() -> None:
    sunday = datetime(2025, 6, 8, 3, tzinfo=BERLIN)
    made, some = agenda(), {"anna": replace(QUIET, pending=30)}
    assert made.next_cycle(sunday, some) is not None
    cycle_ended(made, "rejected", sunday + HOUR)
    assert made.next_cycle(sunday + 2 * HOUR, some) is None
    assert made.next_cycle(sunday + 7 * HOUR, some) is not None


def test_a_cycle_deals_with_the_schedule_up_to_when_its_run_was_begun() -> None:
    sunday = datetime(2025, 6, 8, 3, tzinfo=BERLIN)
    some = {"anna": replace(QUIET, pending=30)}
    made = agenda()
    cycle_ended(made, "done", sunday + HOUR, run="2025-06-08-010000-abcdef")  # at three, in Berlin
    assert made.next_cycle(sunday + HOUR, some) is None
    before = agenda()
    cycle_ended(before, "done", sunday + HOUR, run="2025-06-06-010000-abcdef")
    assert before.next_cycle(sunday + HOUR, some) is not None, "these memories came after it was begun"
    odd = agenda()
    cycle_ended(odd, "done", sunday + HOUR, run="of another name")
    assert odd.next_cycle(sunday + HOUR, some) is None


# --- wishes ---------------------------------------------------------------------------------------------------------


def test_a_wish_holds_until_a_cycle_has_ended() -> None:
    made, one = agenda(), {"anna": replace(QUIET, pending=1)}
    made.want("anna", NIGHT)
    for end in ("busy", "stopped"):
        job = made.next_cycle(NIGHT, one)
        assert job is not None
        assert job.by_hand
        made.ended(job, Outcome(end), NIGHT)  # type: ignore[arg-type]
    assert made.next_cycle(NIGHT, one) is not None
    cycle_ended(made, "failed")
    assert made.next_cycle(NIGHT + DAY, one) is None


def test_a_wish_that_finds_nothing_new_is_forgotten() -> None:
    made = agenda()
    made.want("anna", NIGHT)
    made.next_cycle(NIGHT, {"anna": QUIET})
    assert made.next_cycle(NIGHT + 9 * MINUTE, {"anna": replace(QUIET, pending=1)}) is not None, "just being read"
    made.next_cycle(NIGHT + HOUR, {"anna": QUIET})
    assert made.next_cycle(NIGHT + 2 * HOUR, {"anna": replace(QUIET, pending=1)}) is None


def test_a_wish_waits_for_disk_however_long() -> None:
    made, tight = agenda(), replace(QUIET, pending=1, disk_free_bytes=0)
    made.want("anna", NIGHT)
    for n in range(20):
        assert made.next_cycle(NIGHT + n * HOUR, {"anna": tight}) is None
    assert made.next_cycle(NIGHT + DAY, {"anna": replace(tight, disk_free_bytes=9)}) is not None


# --- errands --------------------------------------------------------------------------------------------------------


def test_at_the_start_ollama_is_verified_once_and_it_is_tidied() -> None:
    made = agenda()
    kinds = []
    while kind := errand(made):
        kinds.append(kind)
        made.ended(Job(kind, "anna", ""), Outcome("done"), NIGHT)
    assert kinds == ["verify", "tidy"]
    assert errand(made, now=NIGHT + 23 * MINUTE) is None


def test_without_ollama_nothing_is_asked_of_it() -> None:
    assert errand(agenda(), replace(QUIET, publishes=False, publications_due=True)) == "tidy"


def test_a_server_that_is_down_is_asked_ever_more_seldom_and_then_publishes_at_once() -> None:
    made, due, now, pauses = agenda(), replace(QUIET, publications_due=True), NIGHT.astimezone(UTC), []
    made.ended(Job("tidy", "anna", ""), Outcome("done"), now)
    for _ in range(8):
        assert errand(made, due, now) == "verify"
        made.ended(Job("verify", "anna", ""), Outcome("passing"), now)
        assert errand(made, due, now) is None
        at = made.next_at(now, {"anna": due})
        assert at is not None
        pauses.append(at - now)
        now = at
    assert pauses == [min(MINUTE * 2**n, HOUR) for n in range(8)]
    made.ended(Job("verify", "anna", ""), Outcome("done"), now)
    assert errand(made, due, now) == "publish"


def test_what_a_server_refuses_is_tried_seldom() -> None:
    made, due, now, pauses = settled(), replace(QUIET, publications_due=True), NIGHT.astimezone(UTC), []
    for _ in range(7):
        assert errand(made, due, now) == "publish"
        made.ended(Job("publish", "anna", ""), Outcome("failed"), now)
        at = made.next_at(now, {"anna": due})
        assert at is not None
        pauses.append(at - now)
        now = at
    assert pauses == [min(HOUR * 2**n, DAY) for n in range(7)]


def test_a_new_version_is_published_at_once_whatever_became_of_the_last() -> None:
    made, due = settled(), replace(QUIET, publications_due=True)
    for _ in range(5):
        made.ended(Job("publish", "anna", ""), Outcome("failed"), NIGHT)
    assert errand(made, due) is None
    cycle_ended(made, "done")
    assert errand(made, due) == "publish"


def test_nothing_runs_for_a_profile_that_is_held_up() -> None:
    held = replace(FULL, held_up="paused since noon", publications_due=True)
    made = agenda()
    assert made.next_cycle(NIGHT, {"anna": held}) is None
    assert errand(made, held) is None


def test_one_profiles_server_does_not_hold_up_anothers_errands() -> None:
    made, due = settled("anna", "ben"), replace(QUIET, publications_due=True)
    made.ended(Job("publish", "anna", ""), Outcome("passing"), NIGHT)
    job = made.next_errand(NIGHT, {"anna": due, "ben": due}, cycle_runs=True)
    assert job == Job("publish", "ben", "a version waits for Ollama")


def test_it_is_tidied_once_a_day_within_the_hours_and_never_beside_a_cycle() -> None:
    made = agenda(hours=parse_hours("01:00-07:00"))
    for kind in ("verify", "tidy"):
        made.ended(Job(kind, "anna", ""), Outcome("done"), NIGHT)  # type: ignore[arg-type]
    times = []
    for n in range(4 * 48):
        now = NIGHT + n * HOUR / 4
        if errand(made, now=now, cycle_runs=n % 4 != 0):
            times.append(now)
            made.ended(Job("tidy", "anna", ""), Outcome("done" if len(times) == 1 else "passing"), now)
    assert [f"{time:%a %H:%M}" for time in times] == ["Thu 01:00", "Fri 01:00"]


@pytest.mark.parametrize("end", ["done", "rejected"])
def test_it_is_tidied_after_a_new_version(end: End) -> None:
    """Of a rejected one the adapter is kept, and the rest takes the room that the next one needs."""
    made = settled()
    cycle_ended(made, "failed")
    assert errand(made) is None
    cycle_ended(made, end)
    assert errand(made) == "tidy"


def test_tidying_that_fails_is_tried_the_next_day_and_holds_up_no_training() -> None:
    made = settled()
    cycle_ended(made, "done")
    assert errand(made) == "tidy"
    made.ended(Job("tidy", "anna", ""), Outcome("failed", "the registry contradicts itself"), NIGHT)
    assert errand(made) is None
    assert made.next_cycle(NIGHT + COOL_DOWN, {"anna": FULL}) is not None
    assert errand(made, now=NIGHT + DAY) == "tidy"


@pytest.mark.parametrize("end", ["busy", "stopped"])
def test_tidying_that_made_way_is_tried_a_minute_later(end: End) -> None:
    made = settled()
    cycle_ended(made, "done")
    made.ended(Job("tidy", "anna", ""), Outcome(end), NIGHT)
    assert errand(made) is None
    assert made.next_at(NIGHT, {"anna": QUIET}) == NIGHT + MINUTE
    assert errand(made, now=NIGHT + MINUTE) == "tidy"


# --- restarts and clocks --------------------------------------------------------------------------------------------


def test_what_is_kept_outlasts_a_restart() -> None:
    made = agenda("anna", "ben")
    cycle_ended(made, "failed", NIGHT, "anna")
    cycle_ended(made, "done", NIGHT + HOUR, "ben")
    again = Agenda(
        {"anna": POLICY, "ben": POLICY}, COOL_DOWN, {n: replace(k) for n, k in made.kept.items()}, NIGHT + 2 * HOUR
    )
    assert again.kept == made.kept
    assert again.next_cycle(NIGHT + 2 * HOUR, {"anna": FULL}) is None
    assert again.next_cycle(NIGHT + COOL_DOWN, {"anna": FULL, "ben": FULL}) is not None


def test_a_profile_that_is_new_has_its_schedule_before_it() -> None:
    made = agenda("anna", kept={"ben": Kept(NIGHT - 30 * DAY)})
    assert made.kept["anna"].schedule_until == NIGHT
    assert made.next_cycle(NIGHT, {"anna": replace(QUIET, pending=30)}) is None


def test_waiting_that_a_wrong_clock_began_ends_with_it() -> None:
    wrong = NIGHT + 3650 * DAY
    made, due = settled(), replace(FULL, publications_due=True)
    cycle_ended(made, "failed", wrong)
    made.ended(Job("publish", "anna", ""), Outcome("failed"), wrong)
    made.ended(Job("tidy", "anna", ""), Outcome("done"), wrong)
    made.next_cycle(NIGHT, {"anna": due})
    assert errand(made, due) == "publish"
    made.ended(Job("publish", "anna", ""), Outcome("done"), NIGHT)
    assert made.next_cycle(NIGHT + COOL_DOWN, {"anna": due}) is not None
    assert errand(made, now=NIGHT + DAY) == "tidy"


ends = st.sampled_from(["done", "nothing", "rejected", "stopped", "busy", "passing", "failed", "killed"])


@given(st.lists(ends, min_size=1, max_size=30))
def test_whatever_happens_a_cycle_is_tried_again_and_never_spins(sequence: list[End]) -> None:
    made, now = agenda(), NIGHT.astimezone(UTC)
    for end in sequence:
        job = made.next_cycle(now, {"anna": FULL})
        assert job is not None, "its time has come"
        made.ended(job, Outcome(end, "why"), now)
        if end != "done":
            assert made.next_cycle(now, {"anna": FULL}) is None
            at = made.next_at(now, {"anna": FULL})
            assert at is not None
            assert timedelta(seconds=10) <= at - now <= 7 * DAY
            now = at


def test_a_consolidation_begins_though_nothing_is_new_and_a_wish_for_it_is_not_idle() -> None:
    made = agenda()
    made.want("anna", NIGHT)
    known = replace(QUIET, consolidation="version 3 knows what was erased")
    job = made.next_cycle(NIGHT + timedelta(hours=1), {"anna": known})
    assert job is not None
    assert (job.by_hand, job.why) == (True, "a consolidation is due: version 3 knows what was erased")
