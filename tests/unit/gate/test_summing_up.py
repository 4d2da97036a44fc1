"""From answers to measures: means over prompts, and transfer over batches."""

from __future__ import annotations

import pytest

from metahuman_core.gate.measures import Asked, Said, SetName
from metahuman_core.gate.summing_up import measure_of, recall_row, transfer_of


def said(recalled: bool, bits: float = 1.0) -> Said:
    return Said("…", bits, exact=False, recalled=recalled, flaw="")


def asked(
    name: SetName,
    batch: str,
    before: bool,
    after: bool,
    then: tuple[bool, ...] = (),
    bits: tuple[float, float] = (1, 1),
) -> Asked:
    return Asked(name, batch, "m", "ask", "wanted", said(before, bits[0]), said(after, bits[1]), then)


def test_a_set_is_the_mean_of_its_prompts_and_of_no_others() -> None:
    answers = [
        asked("new", "b", before=False, after=True, bits=(3.0, 1.0)),
        asked("new", "b", before=False, after=False, bits=(2.0, 1.0)),
        asked("old", "a", before=True, after=True, bits=(9.0, 9.0)),
    ]
    measure = measure_of(answers, "new")
    assert (measure.prompts, measure.bits.before, measure.bits.after) == (2, 2.5, 1.0)
    assert (measure.recall.before, measure.recall.after, measure.recall.difference) == (0.0, 0.5, 0.5)
    assert measure.bits.interval is not None
    assert measure.bits.interval.low < -1.5 < measure.bits.interval.high
    assert measure_of(answers, "general").prompts == 0


def test_the_row_of_the_matrix_is_by_batch_in_their_order() -> None:
    answers = [
        asked("new", "2025-03", before=False, after=True),
        asked("old", "2025-01", before=True, after=False),
        asked("old", "2025-01", before=True, after=True),
        asked("general", "", before=True, after=True),
    ]
    assert list(recall_row(answers).items()) == [("2025-01", 0.5), ("2025-03", 1.0)]


def test_transfer_is_a_mean_over_batches_however_many_prompts_each_has() -> None:
    answers = [
        asked("old", "a", before=True, after=False, then=(True, True)),
        asked("old", "a", before=True, after=True, then=(False, True)),
        asked("old", "a", before=True, after=True, then=(True, True)),
        asked("old", "a", before=True, after=True, then=(True, True)),
        asked("old", "b", before=True, after=False, then=(True,)),
        asked("old", "c", before=True, after=False, then=()),
        asked("new", "d", before=True, after=True),
        asked("new", "d", before=False, after=True),
    ]
    transfer = transfer_of(answers, anchor_recall=0.25)
    # a: one lost and one gained since it was trained, one lost since its best; b: all lost; c: nobody knows.
    assert transfer.backward == pytest.approx((0.0 - 1.0) / 2)
    assert transfer.forgetting == pytest.approx((0.25 + 1.0) / 2)
    assert transfer.forward == pytest.approx(0.25)


def test_where_nothing_can_be_compared_nothing_is_said() -> None:
    transfer = transfer_of([asked("new", "a", before=False, after=True)], anchor_recall=None)
    assert (transfer.backward, transfer.forgetting, transfer.forward) == (None, None, None)
