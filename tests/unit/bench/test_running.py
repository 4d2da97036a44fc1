"""Lines of versions: what each trains, what tells it from others, and going on wherever it was broken off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lifelong.invented import Counts, invent
from lifelong.kept import Kept, Measured, Watched
from lifelong.planning import Cell, Line, base_cell, passes_ahead
from lifelong.running import Pace, run, walked
from lifelong.strategies import CUMULATIVE, NAIVE, OURS, STRATEGIES, Strategy, chosen
from metahuman_core.errors import UsageError
from metahuman_core.settings import TrainingSettings

CYCLES = 3
MATERIAL = invent(1, CYCLES, Counts(facts=3, corrected=1))
RECIPE = TrainingSettings()
# Nothing beside memories: choosing that takes most of a plan's time, and test_invented.py has it.
ALONE = (("general_share", 0.0), ("unknown_share", 0.0))
BY_NAME = {s.name: replace(s, changes=(*s.changes, *ALONE)) for s in STRATEGIES}


def line(strategy: str | Strategy, seed: int = 1) -> Line:
    found = BY_NAME[strategy] if isinstance(strategy, str) else strategy
    return Line(found, seed, MATERIAL, RECIPE, "base")


def result(cell: Cell, *, recalled: bool = True) -> Measured:
    watched = tuple(Watched(sample.memory, recalled) for sample in cell.watched)
    return Measured(cell.key, cell.strategy, cell.seed, cell.cycle, (), watched, (), (), 1.0, 0, 0, 1.0, 0.5, False, 0)


def cells(strategy: str | Strategy, *, recalled: bool = True) -> list[Cell]:
    going = line(strategy)
    while (cell := going.next()) is not None:
        going = going.then(cell, result(cell, recalled=recalled))
    return list(going.cells)


def trained(cell: Cell) -> set[str]:
    return {sample.memory for sample in cell.samples if sample.split == "train" and sample.memory}


class Stub:
    """Makes versions as a trainer would: of the folders that it needs, into one of its own. Ends after so many."""

    def __init__(self, kept: Kept, most: int = 1000) -> None:
        self.kept, self.most = kept, most
        self.made: list[str] = []

    def __call__(self, cell: Cell, known: Mapping[str, Cell]) -> Measured:
        if len(self.made) == self.most:
            raise KeyboardInterrupt
        for key in cell.needs:
            assert key in known
            assert (self.kept.work(key) / "adapter").is_dir()
        if cell.samples:
            (self.kept.work(cell.key) / "adapter").mkdir(parents=True)
        self.made.append(cell.key)
        return result(cell)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


@pytest.fixture
def everything() -> Callable[[Kept, Stub], None]:
    bases = [base_cell(seed, MATERIAL, RECIPE, "base") for seed in (1, 2)]
    lines = [line(name, seed) for name in BY_NAME for seed in (1, 2)]
    return lambda kept, stub: run(bases, lines, kept, stub)


def test_a_bench_that_is_broken_off_again_and_again_makes_each_version_once(
    kept: Kept, everything: Callable[[Kept, Stub], None]
) -> None:
    made: list[str] = []
    while True:
        stub = Stub(kept, most=3)
        try:
            everything(kept, stub)
        except KeyboardInterrupt:
            made += stub.made
            continue
        break
    assert len(made) == len(set(made)) > CYCLES * len(STRATEGIES)
    untouched = Stub(kept, most=0)
    everything(kept, untouched)


def test_folders_that_nobody_needs_any_more_are_let_go(kept: Kept, everything: Callable[[Kept, Stub], None]) -> None:
    everything(kept, Stub(kept))
    assert not list((kept.folder / "work").iterdir())
    assert list(kept.folder.glob("*.json"))


def test_what_other_lines_left_is_not_touched(kept: Kept, everything: Callable[[Kept, Stub], None]) -> None:
    others = kept.work("of another bench") / "adapter"
    others.mkdir(parents=True)
    everything(kept, Stub(kept))
    assert others.is_dir()


def test_strategies_that_begin_alike_share_their_first_version(kept: Kept) -> None:
    stub = Stub(kept)
    run([], [line(OURS), line(CUMULATIVE)], kept, stub)
    assert len(stub.made) == 2 * CYCLES - 1


def test_a_result_that_is_half_there_is_none(kept: Kept) -> None:
    cell = cells(OURS)[0]
    kept.put(result(cell))
    (file,) = kept.folder.glob("*.json")
    assert kept.get(cell.key) == result(cell)
    file.write_text(file.read_text(encoding="utf-8")[:40], encoding="utf-8")
    assert kept.get(cell.key) is None


def test_a_line_is_walked_as_far_as_its_results_are_kept(kept: Kept) -> None:
    for cell in cells(OURS)[:2]:
        kept.put(result(cell))
    assert len(walked(line(OURS), kept).cells) == 2


@pytest.mark.parametrize(
    "other",
    [
        Line(BY_NAME[OURS], 1, MATERIAL, RECIPE, "another base"),
        Line(BY_NAME[OURS], 1, MATERIAL, RECIPE.model_copy(update={"epochs": 2.0}), "base"),
        Line(BY_NAME[OURS], 1, invent(2, CYCLES, Counts(facts=3, corrected=1)), RECIPE, "base"),
        Line(replace(BY_NAME[OURS], changes=(("general_share", 0.1),)), 1, MATERIAL, RECIPE, "base"),
    ],
)
def test_another_base_recipe_material_or_setting_makes_other_cells(other: Line) -> None:
    first, own = other.next(), line(OURS).next()
    assert first is not None
    assert own is not None
    assert first.key != own.key


def test_the_device_and_how_often_a_checkpoint_is_written_make_none() -> None:
    moved = replace(line(OURS), recipe=RECIPE.model_copy(update={"device": "cpu", "checkpoint_every_steps": 7}))
    first, own = moved.next(), line(OURS).next()
    assert first is not None
    assert own is not None
    assert first.key == own.key


def test_the_naive_chain_merges_each_version_and_trains_new_memories_alone() -> None:
    first, second, _ = cells(NAIVE)
    assert (second.anchor, second.warm, second.merges) == (first.key, "", True)
    assert trained(second) == {memory.digest for memory in MATERIAL.batches[1].memories}
    assert not [sample for sample in second.samples if sample.role == "general"]


def test_ours_goes_on_in_one_adapter_and_replays() -> None:
    first, second, third = cells(OURS)
    assert (second.anchor, second.warm, third.warm, third.merges) == ("", first.key, second.key, False)
    assert trained(second) & trained(first)


def test_the_cumulative_line_trains_all_that_is_current_from_the_base_each_time() -> None:
    *_, last = cells(CUMULATIVE)
    assert (last.anchor, last.warm) == ("", "")
    superseded = {m.source for m in MATERIAL.batches[0].memories} & {m.source for m in MATERIAL.batches[-1].memories}
    told = {m.digest: m.source for batch in MATERIAL.batches[:-1] for m in batch.memories}
    expected = {digest for digest, source in told.items() if source not in superseded}
    assert trained(last) == expected | {m.digest for m in MATERIAL.batches[-1].memories}
    assert superseded


def test_a_corrected_fact_is_not_replayed() -> None:
    every = Strategy("all", changes=(("replay_ratio", 2.5), *ALONE))
    last = cells(every)[-1]
    new = {memory.source for memory in MATERIAL.batches[-1].memories}
    outdated = {memory.digest for memory in MATERIAL.batches[0].memories if memory.source in new}
    assert outdated
    assert not trained(last) & outdated
    assert not {sample.memory for sample in last.watched} & outdated


def test_what_the_last_version_did_not_recall_is_replayed_first() -> None:
    two = line(Strategy("two", changes=(("replay_ratio", 0.17), *ALONE)))
    first = two.next()
    assert first is not None
    learned = two.then(first, result(first)).next()
    assert learned is not None
    (left_out, *_) = sorted(trained(first) - trained(learned))
    watched = tuple(Watched(memory, memory != left_out) for memory in trained(first))
    missed = two.then(first, replace(result(first), watched=watched)).next()
    assert missed is not None
    assert left_out in trained(missed)
    assert len(trained(missed)) == len(trained(learned))


def test_a_line_that_reanchors_every_second_version_stands_on_its_merged_model() -> None:
    material = invent(1, 4, Counts(facts=3, corrected=1))
    going = Line(Strategy("second", reanchor_every=2, changes=ALONE), 1, material, RECIPE, "base")
    while (cell := going.next()) is not None:
        going = going.then(cell, result(cell))
    first, second, third, fourth = going.cells
    assert [c.merges for c in going.cells] == [False, True, False, True]
    assert (second.anchor, second.warm) == ("", first.key)
    assert (third.anchor, third.warm, fourth.anchor, fourth.warm) == (second.key, "", second.key, third.key)


def test_what_is_to_come_is_counted_once_for_those_that_share_it() -> None:
    own, both = passes_ahead([line(OURS)]), passes_ahead([line(OURS), line(CUMULATIVE)])
    assert (len(own), len(both)) == (CYCLES, 2 * CYCLES - 1)
    assert sum(own.values()) == sum(cell.passes for cell in cells(OURS))


def test_the_pace_goes_by_what_was_made() -> None:
    first, second, third = cells(OURS)
    pace = Pace({cell.key: cell.passes for cell in (first, second, third)}, assumed_s=60)
    assert str(pace) == f"about {first.passes + second.passes + third.passes:.0f} min left for 3 versions"
    for cell in (first, second):
        pace.add(cell, replace(result(cell), train_s=cell.passes * 120, measure_s=0.0))
    assert str(pace) == f"about {2 * third.passes:.0f} min left for 1 versions"
    pace.add(third, result(third))
    assert str(pace) == "all made"


def test_strategies_are_named_and_a_sweep_changes_one_thing() -> None:
    assert [one.name for one in chosen("naive, anchor+replay", "")] == [NAIVE, OURS]
    swept = chosen(OURS, "epochs,rank")
    assert [one.name.partition("=")[0] for one in swept] == [OURS, "epochs", "epochs", "rank", "rank"]
    assert len({one.name for one in chosen("", "all")}) == len(chosen("", "all")) > 15
    for wrong in (("anchr", ""), ("", "epoch")):
        with pytest.raises(UsageError, match="there is no"):
            chosen(*wrong)
