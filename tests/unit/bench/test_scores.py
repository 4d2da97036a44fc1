"""The measures, on matrices and answers made by hand."""

from __future__ import annotations

import pytest

from lifelong.kept import Answered, Measured
from lifelong.scores import (
    backward_transfer,
    corrected,
    correction_cycle,
    difference,
    facts_of,
    forgetting,
    forward_transfer,
    general_change,
    interval,
    last_of,
    matrix_of,
    prose_change,
    transfer_of,
)
from lifelong.summaries import goals_of, summary_of, unmeasured

# Rows: the base, then versions 1 to 3. Columns: batches 1 to 3.
R = [[0.0, 0.1, 0.0], [0.9, 0.1, 0.2], [0.5, 0.8, 0.1], [0.6, 0.4, 1.0]]


def measured(
    cycle: int,
    recalled: dict[str, list[bool]],
    *,
    seed: int = 1,
    bits: tuple[float, ...] = (8.0, 8.0),
    nats: float = 3.0,
) -> Measured:
    """A version's result; a fact's name ends with its batch, and `old-` and `new-` are a correction's answers."""
    answers = []
    for about, given in recalled.items():
        batch = int(about[-1])
        for place, value in enumerate(given):
            if about.startswith("correction"):
                answers.append(Answered(batch, about, f"{place}", "k", "", value, correction=True, outdated=not value))
            else:
                answers.append(Answered(batch, about, f"{place}", "k", "", value))
    return Measured(
        "", "s", seed, cycle, tuple(answers), (), bits, (8, 8), nats, 8, 1, 2.0, 1.0, went_on=False, version_bytes=8
    )


def line(seed: int, *versions: dict[str, list[bool]]) -> list[Measured]:
    return [measured(number, recalled, seed=seed) for number, recalled in enumerate(versions)]


NOTHING = {"a1": [False, False], "b1": [False, False], "c2": [False, False]}
TWO = [
    line(
        1,
        NOTHING,
        {**NOTHING, "a1": [True, True], "b1": [True, False]},
        {**NOTHING, "b1": [True, True], "c2": [True, True]},
    ),
    line(
        2,
        NOTHING,
        {**NOTHING, "a1": [True, True], "b1": [True, True]},
        {**NOTHING, "a1": [True, True], "c2": [True, False]},
    ),
]


def test_backward_transfer_is_what_old_batches_lost_since_their_own_version() -> None:
    assert backward_transfer(R) == pytest.approx(((0.6 - 0.9) + (0.4 - 0.8)) / 2)


def test_forgetting_is_what_old_batches_lost_since_their_best() -> None:
    best_later = [[0.0, 0.0], [0.5, 0.0], [0.4, 0.9]]
    assert forgetting(R) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.4)) / 2)
    assert forgetting(best_later) == pytest.approx(0.1)


def test_forward_transfer_is_what_a_batch_gained_before_it_was_trained() -> None:
    assert forward_transfer(R) == pytest.approx(((0.1 - 0.1) + (0.1 - 0.0)) / 2)


def test_one_batch_has_nothing_to_transfer() -> None:
    assert (backward_transfer([[0.0], [1.0]]), forgetting([[0.0], [1.0]]), forward_transfer([[0.0], [1.0]])) == (
        0,
        0,
        0,
    )


def test_the_matrix_is_the_mean_over_facts_and_seeds() -> None:
    facts = facts_of(TWO[0]) | facts_of(TWO[1])
    assert matrix_of(facts) == [[0, 0], [pytest.approx(0.875), 0], [pytest.approx(0.5), pytest.approx(0.75)]]


def test_the_mean_of_the_facts_transfer_is_the_matrix_backward_transfer() -> None:
    facts = facts_of(TWO[0]) | facts_of(TWO[1])
    told = interval(transfer_of(facts), facts)
    assert told.mean == pytest.approx(backward_transfer(matrix_of(facts)))
    assert told.low <= told.mean <= told.high


def test_batches_of_unlike_size_weigh_alike() -> None:
    facts = facts_of(line(1, {"a1": [True], "b1": [False], "c1": [False], "d2": [True]}))
    assert interval(last_of(facts), facts).mean == pytest.approx((1 / 3 + 1) / 2)


def test_two_ways_are_compared_on_the_facts_that_both_have() -> None:
    ours, other = last_of(facts_of(TWO[0]) | facts_of(TWO[1])), last_of(facts_of(TWO[0]))
    assert difference(ours, other) == dict.fromkeys(other, 0.0)


def test_an_interval_of_what_is_always_the_same_is_a_point_and_of_nothing_is_zero() -> None:
    facts = facts_of(TWO[0])
    told = interval(dict.fromkeys(facts, 0.5), facts)
    assert (told.low, told.mean, told.high) == (0.5, 0.5, 0.5)
    assert interval({}, facts).high == 0


def test_corrections_are_no_facts_and_are_told_by_their_own() -> None:
    base, first, second = line(
        1,
        {"a1": [True], "correction b2": [False, False]},
        {"a1": [True], "correction b2": [False, False]},
        {"a1": [True], "correction b2": [True, False]},
    )
    assert [about for _, about in facts_of([base, first, second])] == ["a1"]
    assert correction_cycle([second]) == 2
    told = corrected([second])
    assert (told.facts, told.new, told.old) == (1, 0.5, 0.5)
    assert corrected([first]).facts == 0


def test_the_general_change_is_a_share_of_all_bits() -> None:
    told = general_change([measured(0, {}, bits=(10.0, 30.0))], [measured(2, {}, bits=(12.0, 30.0))])
    assert told.mean == pytest.approx(0.05)
    assert (told.low, told.high) == (pytest.approx(0.0), pytest.approx(0.2))


def test_the_change_on_prose_is_each_seeds_own() -> None:
    before, after = [measured(0, {}, nats=2.0), measured(0, {}, nats=4.0)], [measured(2, {}, nats=3.0)] * 2
    assert prose_change(before, after) == pytest.approx((0.5 - 0.25) / 2)


def test_ours_is_held_against_the_naive_chain_fact_by_fact() -> None:
    kept = line(
        1, NOTHING, {**NOTHING, "a1": [True, True], "b1": [True, True]}, {about: [True, True] for about in NOTHING}
    )
    lost = line(1, NOTHING, {**NOTHING, "a1": [True, True], "b1": [True, True]}, {**NOTHING, "c2": [True, True]})
    summaries = {"anchor+replay": summary_of("anchor+replay", [kept]), "naive": summary_of("naive", [lost])}
    goals = {goal.name: goal for goal in goals_of(summaries)}
    assert goals["naive_less_ours_points"].worst == -100
    assert {goal.verdict for goal in goals.values()} == {"met"}
    assert unmeasured(list(goals.values()), ("anchor+replay", "naive", "cumulative")) == {"behind_cumulative_points": 3}


def test_a_goal_that_only_the_mean_reaches_is_not_shown() -> None:
    recalled = [{f"{name}1": [at > 1] for at, name in enumerate("abcdefghij")} for _ in range(3)]
    told = summary_of("anchor+replay", [line(1, *recalled[:2])])
    (goal,) = [goal for goal in goals_of({"anchor+replay": told}) if goal.name == "not_recalled"]
    assert (goal.mean, goal.verdict) == (pytest.approx(0.2), "met on average, not shown")
