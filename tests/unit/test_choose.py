"""What a run trains: new memories the oldest first, and of the old ones a fair share of each batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from metahuman_core.dataset.choose import choose_new, choose_replay
from metahuman_core.memories.model import Memory, Trained

Note = Callable[..., Memory]


def test_a_limit_takes_the_oldest_and_leaves_the_rest(note: Note) -> None:
    due = [note(f"day {day}", day=day) for day in range(1, 6)]
    assert choose_new(due, "all", 2) == tuple(due[:2])
    assert choose_new(due, "all", 0) == tuple(due)
    assert choose_new(due, "all", 99) == tuple(due)


def test_a_mode_takes_its_own_and_the_limit_counts_those(note: Note) -> None:
    due = [note(f"day {day}", day=day, mode="dual" if day % 2 else "agent") for day in range(1, 7)]
    assert [m.text for m in choose_new(due, "agent", 2)] == ["day 2", "day 4"]
    assert choose_new(due, "emulation", 0) == ()


def trained(note: Note) -> list[Trained]:
    """Two runs: the first trained 60 journals and 6 dreams, the second 12 journals."""
    first = [note(f"first {number}", day=number % 28 + 1) for number in range(60)]
    dreams = [note(f"dream {number}", kind="dream") for number in range(6)]
    second = [note(f"second {number}") for number in range(12)]
    of_first = [Trained("run-1", "run-1", memory) for memory in (*first, *dreams)]
    return [*of_first, *(Trained("run-2", "run-2", memory) for memory in second)]


def test_replay_is_spread_over_runs_and_types_by_their_size(note: Note) -> None:
    chosen = choose_replay(trained(note), 26, 20, "all")
    assert len(chosen) == len({m.digest for m in chosen}) == 26
    assert Counter((m.kind, m.text.split()[0]) for m in chosen) == {
        ("journal", "first"): 20,
        ("journal", "second"): 4,
        ("dream", "dream"): 2,
    }


def test_even_a_small_replay_leaves_no_batch_out(note: Note) -> None:
    assert {m.text.split()[0] for m in choose_replay(trained(note), 3, 20, "all")} == {"first", "second", "dream"}


def test_the_same_seed_chooses_the_same_in_whatever_order_and_under_whatever_labels(note: Note) -> None:
    old = trained(note)
    chosen = choose_replay(old, 20, 20, "all")
    relabelled = [
        Trained(*(label.replace("run", "2025") for label in (o.first, o.last)), o.memory) for o in reversed(old)
    ]
    assert choose_replay(relabelled, 20, 20, "all") == chosen
    assert choose_replay(old, 20, 21, "all") != chosen


def test_there_is_no_more_replay_than_there_are_memories(note: Note) -> None:
    assert len(choose_replay(trained(note), 10_000, 20, "all")) == 78
    assert choose_replay(trained(note), 0, 20, "all") == ()
    assert choose_replay([], 5, 20, "all") == ()


def test_replay_keeps_to_the_mode(note: Note) -> None:
    old = [Trained("run-1", "run-1", note(f"{mode} one", mode=mode)) for mode in ("dual", "agent", "emulation")]
    assert [m.text for m in choose_replay(old, 3, 20, "dual")] == ["dual one"]


def test_what_was_forgotten_comes_first_and_takes_half_at_most(note: Note) -> None:
    old = trained(note)
    lost = {one.memory.digest for one in old if one.memory.text.startswith("first")}
    chosen = choose_replay(old, 20, 20, "all", lost)
    assert len({m.digest for m in chosen}) == 20
    assert sum(m.digest in lost for m in choose_replay(old, 20, 20, "all", set(list(lost)[:3]))) >= 3
    assert {m.text.split()[0] for m in chosen} == {"first", "second", "dream"}


def test_what_is_forgotten_and_not_trained_by_this_line_is_not_replayed(note: Note) -> None:
    assert choose_replay(trained(note), 5, 20, "all", {"of another branch"}) == choose_replay(
        trained(note), 5, 20, "all"
    )


def test_each_memory_has_its_turn_before_any_has_a_second(note: Note) -> None:
    old, seen = trained(note), Counter[str]()
    for run in range(3, 6):
        again = {memory.digest for memory in choose_replay(old, 26, 20, "all")}
        seen.update(again)
        old = [Trained(o.first, f"run-{run}", o.memory) if o.memory.digest in again else o for o in old]
    assert set(seen.values()) == {1}
    assert len(seen) == 78


def test_where_there_are_more_runs_than_room_the_newest_have_their_turn_too(note: Note) -> None:
    old = [Trained(f"run-{at:02}", f"run-{at:02}", note(f"{at} {n}")) for at in range(10) for n in range(2)]
    turns = []
    for run in range(10, 16):
        again = {memory.digest for memory in choose_replay(old, 4, 20, "all")}
        turns.append({o.first for o in old if o.memory.digest in again})
        old = [Trained(o.first, f"run-{run}", o.memory) if o.memory.digest in again else o for o in old]
    assert all(len(runs) == 4 for runs in turns)
    assert len(set.union(*turns[:5])) == 10
    assert all(o.last >= "run-10" for o in old)
