"""A version goes live only after the gate said yes, and a no has its reasons."""

from __future__ import annotations

import math

import pytest

from metahuman_core.gate import Evaluation, Measure, judge

BETTER, SAME, NONE = Measure(20, 3.0, 1.0), Measure(20, 2.0, 2.0), Measure(0, 0.0, 0.0)


def test_what_learned_and_lost_nothing_passes() -> None:
    verdict = judge(Evaluation(new=BETTER, old=SAME, general=SAME))
    assert verdict.passed
    assert verdict.reasons == ()


def test_a_first_version_has_no_old_memories_to_lose() -> None:
    assert judge(Evaluation(new=BETTER, old=NONE, general=SAME)).passed


@pytest.mark.parametrize(
    ("evaluation", "reason"),
    [
        (Evaluation(new=SAME, old=SAME, general=SAME), "new memories"),
        (Evaluation(new=Measure(20, 1.0, 3.0), old=SAME, general=SAME), "new memories"),
        (Evaluation(new=BETTER, old=Measure(20, 1.0, 3.0), general=SAME), "old memories"),
        (Evaluation(new=BETTER, old=SAME, general=Measure(20, 1.0, 3.0)), "general ability"),
    ],
)
def test_each_harm_is_a_reason_with_both_numbers(evaluation: Evaluation, reason: str) -> None:
    verdict = judge(evaluation)
    assert not verdict.passed
    (said,) = verdict.reasons
    assert reason in said
    assert "bits per byte" in said


def test_all_reasons_are_given() -> None:
    worse = Measure(20, 1.0, 9.0)
    assert len(judge(Evaluation(worse, worse, worse)).reasons) == 3


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_model_that_gives_no_numbers_never_passes(broken: float) -> None:
    ill = Measure(20, 1.0, broken)
    assert not judge(Evaluation(new=ill, old=NONE, general=NONE)).passed
    assert not judge(Evaluation(new=BETTER, old=ill, general=SAME)).passed
    assert not judge(Evaluation(new=BETTER, old=SAME, general=ill)).passed


def test_a_handful_of_prompts_decides_nothing() -> None:
    assert judge(Evaluation(new=Measure(2, 1.0, 1.1), old=Measure(2, 1.0, 9.0), general=SAME)).passed
