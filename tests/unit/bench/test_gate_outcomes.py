"""What was measured is kept, judged by today's bounds, reported, and not measured again."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from gate import choose, left_to_do
from gate_cases import CASES, HONEST, SABOTAGED, Case
from gate_outcome import Outcome, is_right, keep, kept_at, read_kept
from gate_report import bounds_table, cases_table, counted, gate_share
from metahuman_core.gate.measures import Change, Evaluation, Interval, Measure
from metahuman_core.results import Checked
from metahuman_core.settings import GateSettings

GATE = GateSettings()
HONEST_A, HONEST_B = HONEST[:2]
SPOILT_A, SPOILT_B = SABOTAGED[2:4]


def change(before: float, after: float, reach: float = 0.05) -> Change:
    return Change(before, after, Interval(after - before - reach, after - before + reach))


def good() -> Evaluation:
    """A version that learned what is new and kept the rest."""
    new = Measure(12, change(2.0, 0.8), change(0.0, 0.7), flawed=change(0.0, 0.0))
    old = Measure(30, change(0.8, 0.85), change(0.7, 0.7), flawed=change(0.0, 0.0))
    general = Measure(30, change(1.0, 1.02), change(0.5, 0.5), flawed=change(0.0, 0.0))
    return Evaluation(new, old, general, kl_to_anchor=0.4, text_nats=3.0)


def forgetful(recalled: float) -> Evaluation:
    """As good, but for what it still knows."""
    return replace(good(), old=replace(good().old, recall=change(0.7, recalled)))


def broken() -> Evaluation:
    """What cannot be measured."""
    return replace(good(), new=replace(good().new, bits=Change(2.0, math.nan)))


def outcomes() -> dict[str, Outcome]:
    """All as it should be: two honest versions, a broken and a forgetful one."""
    return {
        HONEST_A.name: Outcome(HONEST_A.name, evaluation=good()),
        HONEST_B.name: Outcome(HONEST_B.name, evaluation=good()),
        SPOILT_A.name: Outcome(
            SPOILT_A.name, evaluation=replace(good(), new=replace(good().new, bits=Change(2.0, math.nan)))
        ),
        SPOILT_B.name: Outcome(SPOILT_B.name, evaluation=forgetful(0.1)),
    }


SOME = [SPOILT_A, SPOILT_B, HONEST_A, HONEST_B]


def test_an_outcome_is_read_as_it_was_kept(tmp_path: Path) -> None:
    outcome = Outcome("v1", "", good(), Checked(0.01, 0.97, 400, ()), {"train": 90.5, "evaluate": 20.25})
    keep(kept_at(tmp_path, HONEST_A, "whole"), outcome, [{"ask": "Who?"}])
    assert read_kept(kept_at(tmp_path, HONEST_A, "whole")) == outcome
    assert read_kept(kept_at(tmp_path, HONEST_A, "quick")) is None


def test_what_is_no_number_is_kept_as_such(tmp_path: Path) -> None:
    path = kept_at(tmp_path, SPOILT_A, "whole")
    keep(path, outcomes()[SPOILT_A.name], [])
    kept = read_kept(path)
    assert kept is not None
    assert "no numbers" in kept.reasons(GATE)[0]


def test_what_is_kept_is_not_measured_again_and_half_a_file_is(tmp_path: Path) -> None:
    keep(kept_at(tmp_path, SOME[0], "whole"), Outcome(SOME[0].name, "cut off"), [])
    kept_at(tmp_path, SOME[1], "whole").write_text('{"name": "adap', encoding="utf-8")
    assert left_to_do(SOME, tmp_path, "whole") == SOME[1:]


def test_an_honest_version_must_pass_and_a_sabotaged_one_be_stopped_for_its_own_reason() -> None:
    assert is_right(HONEST_A, ())
    assert not is_right(HONEST_A, ("new memories are not recalled",))
    assert is_right(SPOILT_B, ("it repeats itself", "old memories are forgotten: 9 % recalled"))
    assert not is_right(SPOILT_B, ("it repeats itself",))
    assert not is_right(SPOILT_B, ())


def test_all_is_well_where_the_sabotaged_are_stopped_and_the_honest_are_not() -> None:
    counts = counted(SOME, outcomes(), GATE)
    assert set(counts.values()) == {0}
    assert {"sabotaged_passed", "sabotaged_passed_a", "honest_stopped_b", "wrong_reason"} <= counts.keys()


def test_what_goes_wrong_is_counted_in_its_own_half() -> None:
    wrong = {
        SPOILT_B.name: Outcome(SPOILT_B.name, evaluation=good()),
        HONEST_A.name: Outcome(HONEST_A.name, evaluation=forgetful(0.1)),
        SPOILT_A.name: Outcome(SPOILT_A.name, evaluation=forgetful(0.1)),
    }
    counts = counted(SOME, {**outcomes(), **wrong}, GATE)
    assert (counts["sabotaged_passed"], counts["sabotaged_passed_a"], counts["sabotaged_passed_b"]) == (1, 0, 1)
    assert (counts["honest_stopped"], counts["honest_stopped_a"], counts["honest_stopped_b"]) == (1, 1, 0)
    assert (counts["wrong_reason"], counts["wrong_reason_a"]) == (1, 1)


def test_a_half_that_is_not_whole_is_not_counted() -> None:
    some = outcomes()
    del some[HONEST_B.name]
    counts = counted(SOME, some, GATE)
    assert "honest_stopped_a" in counts
    assert not {"honest_stopped", "honest_stopped_b"} & counts.keys()


def test_bounds_are_judged_anew_and_say_what_lies_nearest() -> None:
    line = next(row for row in bounds_table("b", SOME, outcomes(), GATE).splitlines() if row.startswith("old_recall"))
    assert line.split() == ["old_recall", "0.05", "-0.050", "v2", "0.550", SPOILT_B.name, "1", "1"]
    loose = GateSettings(old_recall=0.6)
    assert SPOILT_B.name not in bounds_table("b", SOME, outcomes(), loose)
    assert counted(SOME, outcomes(), loose)["sabotaged_passed"] == 1


def test_the_table_of_cases_has_a_line_for_each_that_was_put_through() -> None:
    lines = cases_table(SOME, outcomes(), GATE).splitlines()[2:]
    assert [line.split()[:4] for line in lines] == [
        [SPOILT_A.name, "a", "stopped", "yes"],
        [SPOILT_B.name, "b", "stopped", "yes"],
        ["v1", "a", "passed", "yes"],
        ["v2", "b", "passed", "yes"],
    ]


def test_the_gates_share_is_that_of_versions_that_went_through_all() -> None:
    seconds = {"train": 70.0, "evaluate": 20.0, "weights": 5.0, "check": 5.0}
    some = {
        "v1": Outcome("v1", evaluation=good(), seconds=seconds),
        "v2": Outcome("v2", evaluation=good(), seconds={"train": 1.0, "evaluate": 50.0}),
    }
    assert gate_share(SOME, some) == pytest.approx(0.25)
    assert gate_share(SOME, {}) is None


def test_cases_are_chosen_by_name_half_and_size_and_untrained_ones_come_first() -> None:
    assert choose(CASES, [], "", quick=False)[-1].trains
    assert len(choose(CASES, [], "", quick=False)) == 40
    assert {case.half for case in choose(CASES, [], "b", quick=False)} == {"b"}
    assert [case.name for case in choose(CASES, ["v1", "dont-know"], "", quick=True)] == ["v1", "dont-know"]
    quick = choose(CASES, [], "", quick=True)
    assert [case.name for case in quick if case.kind == "honest"] == ["v1", "v2"]
    assert not any(_is_trained(case) for case in quick)


def _is_trained(case: Case) -> bool:
    return case.trains and not case.of_ground
