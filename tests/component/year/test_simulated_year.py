"""A year in a home server's life: nothing is missed, nothing is done twice, whatever befalls it.

The times are real ones of Berlin, from October to October, with both changes of the clocks. See `simulated.House`:
it checks at every step that no cycle runs outside its hours, that none begins without a cause, that nobody starves, and
that the loop does not sleep past what is owed.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from metahuman_core.ledger import Ledger
from metahuman_core.lineage import next_ancestry
from metahuman_core.plan import read_memories
from metahuman_core.schedule import parse_hours
from metahuman_daemon.service.due import Policy

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package

from simulated import DAY, HOUR, MINUTE, Arrival, Fortune, House, Span

START = datetime(2025, 10, 6, 12, tzinfo=UTC)
YEAR, WINTER, QUIET = 365 * DAY, 210 * DAY, 30 * DAY
"""How long a house lives; the winter has both changes of the clocks; in the quiet days at its end it is left alone."""
THRESHOLD, MIN_NEW = 20, 5
_LIVED: dict[tuple[str, str, timedelta, int], House] = {}  # the tests come in any order
FATES = ("done",) * 14 + ("rejected",) * 2 + ("failed", "passing", "passing", "killed", "cut")


def arrivals(dice: random.Random, profile: str, until: datetime) -> Iterator[Arrival]:
    """Some weeks none, some weeks more than any threshold; at last enough for whatever waits for more."""
    week = START
    while week + 7 * DAY < until:
        for _ in range(dice.choice([0, 0, 1, 1, 2, 3])):
            count = dice.choice([1, 2, 4, 5, 6, 10, 25, 40])
            yield Arrival(week + dice.uniform(0, 7) * DAY, profile, count)
        week += 7 * DAY
    yield Arrival(until - HOUR, profile, THRESHOLD)


def spans(
    dice: random.Random, lasts: timedelta, times_a_year: int, shortest: timedelta, longest: timedelta
) -> list[Span]:
    """So many spans before the quiet days."""
    busy = lasts - QUIET - longest
    begins = [START + dice.uniform(0.01, 1) * busy for _ in range(round(times_a_year * (lasts / YEAR)))]
    return [(begin, begin + shortest + dice.random() * (longest - shortest)) for begin in begins]


def fates(dice: random.Random) -> Iterator[str]:
    """How cycles end."""
    while True:
        yield dice.choice(FATES)


def fortune(seed: int, lasts: timedelta = YEAR) -> Fortune:
    dice = random.Random(seed)  # noqa: S311
    on_a_sunday = datetime(2025, 11, 16, 2, 7, tzinfo=UTC)
    at_the_changes = [(datetime(2025, 10, 25, 20, tzinfo=UTC), datetime(2025, 10, 26, 1, 30, tzinfo=UTC))] * (seed % 2)
    return Fortune(
        start=START,
        end=START + lasts,
        arrivals=[arrival for profile in ("anna", "ben") for arrival in arrivals(dice, profile, START + lasts - QUIET)],
        no_power=[
            *spans(dice, lasts, 8, 20 * MINUTE, 2 * DAY),
            *spans(dice, lasts, 2, 5 * DAY, 18 * DAY),
            (on_a_sunday, on_a_sunday + 2 * HOUR),
            *at_the_changes,
        ],
        ollama_down=spans(dice, lasts, 5, 6 * HOUR, 5 * DAY),
        ollama_used=spans(dice, lasts, 400, 5 * MINUTE, 70 * MINUTE),
        disk_full=spans(dice, lasts, 3, 6 * HOUR, 4 * DAY),
        paused=spans(dice, lasts, 1, 10 * DAY, 16 * DAY),
        fates=fates(dice),
    )


@pytest.fixture(
    params=[
        ("0 3 * * sun", "01:00-07:00", YEAR, 1),
        ("0 3 * * sun", "22:30-05:00", WINTER, 2),
        ("", "01:00-07:00", WINTER, 3),
    ],
    ids=["by night", "over midnight", "threshold alone"],
    scope="module",
)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house that has lived through its time."""
    expression, hours, lasts, seed = request.param
    if request.param not in _LIVED:
        policy = Policy(THRESHOLD, MIN_NEW, None, parse_hours(hours), 2.0, yield_to_ollama=True)
        made = House(tmp_path_factory.mktemp("house"), policy, expression, fortune(seed, lasts), seed)
        made.live()
        _LIVED[request.param] = made
    return _LIVED[request.param]


@pytest.mark.parametrize("name", ["anna", "ben"])
def test_each_memory_is_trained_exactly_once_into_the_lineage(house: House, name: str) -> None:
    registry = house.registry(name)
    assert registry is not None
    ancestry = next_ancestry(registry)
    trained = [memory.digest for label in ancestry for memory in read_memories(house.paths(name).run_dir(label))[0]]
    assert len(trained) == len(set(trained))
    with Ledger(house.paths(name).ledger) as ledger:
        counts = ledger.counts(ancestry)
    assert counts.known == house.written[name]
    assert (counts.due, counts.settled, counts.superseded) == (0, 0, 0)
    assert len(trained) == house.written[name]


@pytest.mark.parametrize("name", ["anna", "ben"])
def test_every_version_that_passed_is_published_in_the_end(house: House, name: str) -> None:
    registry = house.registry(name)
    assert registry is not None
    assert {v.publication for v in registry.training_history if v.training_success} == {"done"}
    assert {v.publication for v in registry.training_history if not v.training_success} <= {"off"}
    assert len({v.run_label for v in registry.training_history}) == len(registry.training_history)


def test_no_run_is_left_unfinished(house: House) -> None:
    begun = {past.label for past in house.cycles() if past.fresh}
    ended = [past.label for past in house.cycles() if past.how in ("done", "rejected")]
    assert sorted(begun) == sorted(ended)


def test_neither_profile_starves(house: House) -> None:
    done = Counter(past.job.profile for past in house.cycles() if past.how == "done")
    assert min(done["anna"], done["ben"]) >= 6


def test_cycles_follow_one_another(house: House) -> None:
    cycles = sorted(house.cycles(), key=lambda past: past.began)
    assert all(one.ended <= other.began for one, other in pairwise(cycles))


def test_what_is_broken_is_not_tried_without_end(house: House) -> None:
    kinds = Counter((past.job.kind, past.how) for past in house.past)
    assert kinds["publish", "passing"] + kinds["verify", "passing"] < 2 * 5 * (5 * 24 + 10)
    for how in ("rejected", "failed", "killed", "passing"):
        assert kinds["cycle", how] < 60
    for past in house.cycles():
        day = [p for p in house.cycles(past.job.profile) if past.began <= p.began < past.began + DAY]
        assert len(day) < 25
    assert sum(1 for past in house.past if past.job.kind == "tidy") < 2 * 365 + 200
    assert house.turns < 30_000


def test_the_time_had_what_can_befall(house: House) -> None:
    hows = {past.how for past in house.cycles()}
    assert {"done", "rejected", "failed", "passing", "stopped", "power"} <= hows
