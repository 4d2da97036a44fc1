"""A version goes live only after the gate said yes; a no has its reasons; chance decides nothing."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from metahuman_core.gate.judging import judge
from metahuman_core.gate.measures import Asked, Change, Evaluation, Flaw, Interval, Measure, Said
from metahuman_core.gate.summing_up import measure_of
from metahuman_core.settings import GateSettings

GATE = GateSettings()
NONE = Measure(0)


def measure(
    bits: tuple[float, float], recall: tuple[float, float], flawed: tuple[float, float] = (0.0, 0.0), prompts: int = 32
) -> Measure:
    """A set whose differences are as good as certain."""
    return Measure(prompts, certain(*bits), certain(*recall), certain(*recall), certain(*flawed))


def certain(before: float, after: float) -> Change:
    return Change(before, after, Interval(after - before - 0.01, after - before + 0.01))


LEARNED = measure((3.0, 1.0), (0.0, 0.8))
KEPT = measure((1.0, 1.02), (0.8, 0.8))
GENERAL = measure((0.7, 0.71), (0.5, 0.5))
LESS, LONG_AGO = measure((1.0, 1.02), (0.72, 0.7)), measure((0.0, 0.0), (0.9, 0.7))
GOOD = Evaluation(LEARNED, KEPT, GENERAL, kl_to_anchor=0.1, text_nats=3.0)


def test_what_learned_and_lost_nothing_passes() -> None:
    verdict = judge(GOOD, GATE)
    assert verdict.passed
    assert verdict.reasons == ()


def test_a_first_version_has_no_old_memories_to_lose() -> None:
    assert judge(replace(GOOD, old=NONE), GATE).passed


@pytest.mark.parametrize(
    ("evaluation", "reason"),
    [
        (replace(GOOD, new=measure((3.0, 3.0), (0.5, 0.6))), "new memories are not answered better: 3.00 to 3.00 bits"),
        (replace(GOOD, new=measure((1.0, 3.0), (0.5, 0.6))), "new memories are not answered better"),
        (replace(GOOD, new=measure((3.0, 2.0), (0.0, 0.0))), "new memories are not recalled: 0 of 32"),
        (replace(GOOD, old=measure((1.0, 1.5), (0.8, 0.8))), "old memories are answered worse: 1.00 to 1.50"),
        (replace(GOOD, old=measure((1.0, 1.0), (0.8, 0.6))), "old memories are forgotten: 80% to 60% (-0.21 to -0.19)"),
        (replace(GOOD, general=measure((0.7, 0.9), (0.5, 0.5))), "general ability is damaged: 0.70 to 0.90"),
        (replace(GOOD, old=LESS, since_learned=LONG_AGO), "a few by each version since they were learned: 90% to 70%"),
        (replace(GOOD, since_anchor=certain(0.6, 0.71)), "general ability is damaged since the base: 0.60 to 0.71"),
        (replace(GOOD, kl_to_anchor=5.5), "it has drifted from the base: mean KL 5.50"),
        (replace(GOOD, kl_to_anchor=math.nan), "it has drifted from the base"),
        (replace(GOOD, old=measure((1.0, 1.0), (0.8, 0.8), (0.0, 0.3))), "answers to old prompts are empty, repeat"),
    ],
)
def test_each_harm_is_one_reason_with_its_numbers(evaluation: Evaluation, reason: str) -> None:
    verdict = judge(evaluation, GATE)
    assert not verdict.passed
    (said,) = verdict.reasons
    assert reason in said


def test_what_is_better_than_its_parent_is_not_stopped_for_what_was_lost_before_it() -> None:
    better = measure((1.0, 1.0), (0.6, 0.7))
    assert judge(replace(GOOD, old=better, since_learned=LONG_AGO), GATE).passed
    assert judge(replace(GOOD, general=measure((0.8, 0.75), (0.5, 0.5)), since_anchor=certain(0.6, 0.75)), GATE).passed


def test_all_reasons_are_given() -> None:
    worse = measure((1.0, 9.0), (0.9, 0.0), (0.0, 1.0))
    assert len(judge(Evaluation(worse, worse, worse, kl_to_anchor=9.0), GATE).reasons) == 9


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["new", "old", "general"])
def test_a_model_that_gives_no_numbers_never_passes(name: str, broken: float) -> None:
    ill = replace(KEPT, bits=Change(1.0, broken))
    verdict = judge(replace(GOOD, **{name: ill}), GATE)
    assert verdict.reasons[0] == f"the model gives no numbers for the {name} prompts"


def test_a_handful_of_prompts_decides_nothing() -> None:
    few = measure((1.0, 9.0), (0.9, 0.0), prompts=4)
    assert judge(replace(GOOD, new=few, old=few), GATE).passed
    assert judge(replace(GOOD, old=LESS, since_learned=replace(LONG_AGO, prompts=4)), GATE).passed


def answered(recalled: bool, bits: float, flaw: Flaw = "") -> Said:
    return Said("…", bits, exact=recalled, recalled=recalled, flaw=flaw)


def old_prompts(pairs: list[tuple[Said, Said]]) -> Measure:
    return measure_of([Asked("old", "run", "m", "ask", "wanted", b, a) for b, a in pairs], "old")


def test_a_loss_that_chance_can_explain_stops_nothing() -> None:
    lost_two = [(answered(True, 1.0), answered(n > 1, 1.0)) for n in range(32)]
    assert judge(replace(GOOD, old=old_prompts(lost_two)), GATE).passed


def test_a_loss_beyond_chance_and_margin_stops() -> None:
    lost_ten = [(answered(True, 1.0), answered(n > 9, 1.0)) for n in range(32)]
    (reason,) = judge(replace(GOOD, old=old_prompts(lost_ten)), GATE).reasons
    assert "old memories are forgotten: 100% to 69%" in reason


def test_noise_alone_is_hardly_ever_held_against_a_version() -> None:
    chance = random.Random(20)  # noqa: S311
    stopped = 0
    for _ in range(200):
        pairs = [
            (
                answered(chance.random() < 0.7, chance.gauss(1.0, 0.4)),
                answered(chance.random() < 0.7, chance.gauss(1.0, 0.4)),
            )
            for _ in range(32)
        ]
        stopped += not judge(replace(GOOD, old=old_prompts(pairs)), GATE).passed
    assert stopped <= 4


def test_an_improvement_that_chance_can_explain_is_none() -> None:
    perhaps = Measure(20, bits=Change(1.74, 1.71, Interval(-0.38, 0.31)), recall=Change(0.3, 0.4))
    assert "not answered better" in judge(replace(GOOD, new=perhaps), GATE).reasons[0]


def test_a_few_prompts_need_not_show_that_it_learned_and_may_show_that_it_did_not() -> None:
    perhaps = Measure(8, bits=Change(3.0, 1.0, Interval(-4.2, 0.2)), recall=Change(0.0, 0.5))
    assert judge(replace(GOOD, new=perhaps), GATE).passed
    nothing = Measure(8, bits=Change(3.0, 3.0, Interval(0.0, 0.0)), recall=Change(0.0, 0.0))
    assert "not answered better" in judge(replace(GOOD, new=nothing), GATE).reasons[0]


def test_what_was_known_before_need_not_become_likelier() -> None:
    known = Measure(13, bits=Change(0.1, 0.1, Interval(-0.05, 0.05)), recall=Change(0.9, 0.9))
    assert judge(replace(GOOD, new=known), GATE).passed


def test_without_numbers_to_learn_from_the_recall_still_tells() -> None:
    """Two prompts more than a handful, none recalled: too few to be sure of anything."""
    unsure = Measure(7, bits=Change(3.0, 1.0, Interval(-3.0, -1.0)), recall=Change(0.0, 0.0))
    assert judge(replace(GOOD, new=unsure), GATE).passed
