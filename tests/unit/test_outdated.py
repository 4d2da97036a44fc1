"""A fact that was corrected in another memory is not trained again by replay, and is not asked for its old answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from metahuman_core.dataset.build import build_dataset
from metahuman_core.dataset.outdated import outdated_in
from metahuman_core.dataset.samples import DATASET, read_samples
from metahuman_core.gate.exam import exam
from metahuman_core.memories.model import Memory
from metahuman_core.plan import memory_lines, write_memories
from metahuman_core.settings import DatasetSettings

Note = Callable[..., Memory]
SETTINGS = DatasetSettings(general_share=0, unknown_share=0)
OLD, NEW = "I live at 4 Harbour Row in Penmor.", "I live at 9 Lantern Hill in Penmor."
BOAT = "My boat is called Marram. She is a yellow dinghy with a red sail."


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Makes a run's folder: what it chose, and the dataset made of that."""

    def make(name: str, new: list[Memory], replay: list[Memory], ancestors: list[Path]) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_memories(folder, memory_lines(new, replay))
        old = [ancestor / DATASET for ancestor in ancestors]
        outdated = outdated_in(ancestors[::-1]).includes
        build_dataset(new, replay, old, SETTINGS, "", folder / DATASET, is_outdated=outdated)
        return folder

    return make


def said(folder: Path) -> set[str]:
    return {sample.turns[-1].text for sample in read_samples(folder / DATASET) if sample.split == "train"}


def test_it_does_not_come_back_where_only_the_old_memory_is_replayed(run: Callable[..., Path], note: Note) -> None:
    old, new, boat = note(OLD, day=1), note(NEW, day=9), note(BOAT, day=2)
    first = run("a", [old, boat], [], [])
    second = run("b", [new], [], [first])
    third = run("c", [note("I sold my car to Livia.", day=12)], [old, boat], [second, first])
    assert any("Harbour Row" in answer for answer in said(first))
    assert not any("Harbour Row" in answer for answer in said(third))
    assert any("Marram" in answer for answer in said(third))
    asked = [prompt.wanted for prompt in exam(third, [second, first], frozenset(), "", 32) if prompt.set == "old"]
    assert any("Lantern Hill" in wanted for wanted in asked)
    assert not any("Harbour Row" in wanted for wanted in asked)


def test_an_old_diary_that_was_found_later_corrects_nothing(run: Callable[..., Path], note: Note) -> None:
    new, diary = note(NEW, day=9), note(OLD, day=1)
    first = run("a", [new], [], [])
    second = run("b", [diary], [], [first])
    third = run("c", [note("I sold my car to Livia.", day=12)], [new, diary], [second, first])
    assert any("Lantern Hill" in answer for answer in said(third))
    assert not any("Harbour Row" in answer for answer in said(third))
