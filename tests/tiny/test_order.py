"""Which samples an epoch has: most are in each, some in every second or fifth; and all epochs are as long."""

from __future__ import annotations

from collections import Counter

from metahuman_core.steps.order import Order

LENGTHS = [5 + index % 7 for index in range(50)]
IN_EACH = [(1, 0)] * 20


def epochs(order: Order, count: int) -> list[list[int]]:
    taken = []
    for epoch in range(count):
        order.set_epoch(epoch)
        taken.append(list(order))
    return taken


def test_what_has_its_turn_in_every_fifth_epoch_comes_once_in_five() -> None:
    order = Order(LENGTHS, [*IN_EACH, *((5, index % 5) for index in range(30))], 5, 8, 20)
    taken = epochs(order, 5)
    assert {len(epoch) for epoch in taken} == {len(order)} == {26}
    counted = Counter(index for epoch in taken for index in epoch)
    assert [counted[index] for index in range(50)] == [5] * 20 + [1] * 30


def test_turns_of_two_lengths_go_on_side_by_side() -> None:
    order = Order(
        LENGTHS, [*IN_EACH, *((2, index % 2) for index in range(10)), *((3, i % 3) for i in range(18))], 6, 8, 20
    )
    counted = Counter(index for epoch in epochs(order, 6) for index in epoch)
    assert [counted[index] for index in (0, 19, 20, 29, 30, 47)] == [6, 6, 3, 3, 2, 2]
    assert len(order) == 20 + 5 + 6


def test_where_turns_do_not_come_out_even_a_shorter_epoch_has_some_twice() -> None:
    order = Order(LENGTHS[:24], [*IN_EACH, *((5, index % 5) for index in range(4))], 5, 8, 20)
    taken = epochs(order, 5)
    assert {len(epoch) for epoch in taken} == {len(order)} == {21}
    assert all(set(range(20)) <= set(epoch) for epoch in taken)


def test_an_epoch_is_the_same_each_time_and_another_one_is_in_another_order() -> None:
    one, again, other = (epochs(Order(LENGTHS[:20], IN_EACH, 2, 8, seed), 2) for seed in (20, 20, 21))
    assert one == again
    assert one[0] != other[0]
    assert one[0] != one[1]
    assert [sorted(epoch) for epoch in one] == [list(range(20))] * 2


def test_where_turns_of_two_lengths_meet_in_a_late_epoch_nothing_is_left_out() -> None:
    order = Order(LENGTHS[:22], [*IN_EACH, (2, 1), (3, 2)], 6, 8, 20)
    taken = epochs(order, 6)
    assert {len(epoch) for epoch in taken} == {len(order)} == {22}
    assert set(taken[5]) == set(range(22))
