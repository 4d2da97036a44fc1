"""`metahuman rebuild`: what it says before it does anything, and what it refuses. (What it makes: `tests/tiny`.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_up_root import MadeUpRoot
from striking import Ended, Stand

from metahuman_core.durable import remove
from metahuman_core.layout import cycle_lock_path
from metahuman_core.locks import cycle_lock
from metahuman_core.versions.archive import archive_folder, put_away

MakeUp = Callable[..., MadeUpRoot]
Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with Stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture
def command(stand: Stand) -> Command:
    """`command(root, "rebuild", "3")`."""
    return lambda root, *words: stand.run(root.folder, *words)


def archive(root: MadeUpRoot, number: int) -> None:
    remove(root.parts(number).model)
    remove(root.parts(number).gguf)
    root.edit(number, storage="archived")


def test_where_all_is_here_nothing_is_made(made_up: MakeUp, command: Command) -> None:
    root = made_up(2)
    before = root.files()
    ended = command(root, "rebuild", "1")
    assert ended.code == 0
    assert "version 1 is here: there is nothing to make" in ended.said
    assert root.files() == before


def test_what_was_made_before_a_kill_is_entered(made_up: MakeUp, command: Command) -> None:
    root = made_up(2)
    root.edit(1, storage="archived")
    assert command(root, "rebuild", "1").code == 0
    assert root.version(1).storage == "full"


def test_a_dry_run_says_what_would_be_made_and_changes_nothing(made_up: MakeUp, command: Command) -> None:
    root = made_up(3, chained=True)
    for number, gib in ((1, 2), (2, 2)):
        archive(root, number)
        root.edit(number, model_bytes=gib << 30, gguf_bytes=1 << 30)
    before = root.files()
    ended = command(root, "rebuild", "2", "--to", "serving", "--dry-run")
    assert ended.code == 0
    assert ended.said.splitlines() == [
        "version 1: model/ is made again, for version 2's",
        "version 2: the GGUF is made again",
        "version 2: 4.00 GiB are read and 3.00 GiB written, at most 3.00 GiB of the disk are taken at a time",
    ]
    assert root.files() == before


def test_a_disk_that_is_too_small_is_told_before_anything_is_made(made_up: MakeUp, command: Command) -> None:
    root = made_up(2)
    archive(root, 1)
    root.edit(1, model_bytes=1 << 60)
    ended = command(root, "rebuild", "1")
    assert ended.code == 1
    assert "metahuman: rebuilding version 1 takes " in ended.said
    assert "metahuman prune --dry-run" in ended.said
    assert root.version(1).storage == "archived"


def test_an_adapter_in_the_archive_comes_back_first(made_up: MakeUp, command: Command, tmp_path: Path) -> None:
    root = made_up(2)
    archive(root, 1)
    (tmp_path / "cold").mkdir()
    root.set("retention", 'archive_dir = "../cold"')
    cold = archive_folder(root.settings)
    assert cold
    put_away(root.version(1), root.paths, cold)
    remove(root.parts(1).adapter)
    root.edit(1, in_archive=True, model_bytes=1 << 60)
    ended = command(root, "rebuild", "1")
    assert "version 1's adapter comes back from" in ended.said
    assert "rebuilding version 1 takes" in ended.said
    assert root.parts(1).has_adapter()


@pytest.mark.parametrize("words", [("rebuild", "2"), ("chat", "2", "--ask", "Who?"), ("rebuild", "2", "--dry-run")])
def test_without_an_adapter_it_is_told_in_a_line(made_up: MakeUp, command: Command, words: tuple[str, ...]) -> None:
    root = made_up(3)
    archive(root, 2)
    remove(root.parts(2).adapter)
    ended = command(root, *words)
    assert ended.code == 1
    assert "metahuman: version 2 cannot be rebuilt: its adapter is not in" in ended.said


def test_there_is_no_such_version(made_up: MakeUp, command: Command) -> None:
    ended = command(made_up(1), "rebuild", "7")
    assert (ended.code, ended.said) == (1, "metahuman: there is no version 7\n  see `metahuman history`\n")


def test_while_a_cycle_runs_it_is_busy(made_up: MakeUp, command: Command) -> None:
    root = made_up(2)
    archive(root, 1)
    with cycle_lock(cycle_lock_path(root.folder), "another run"):
        ended = command(root, "rebuild", "1")
    assert ended.code == 75
    assert "a cycle is running (another run" in ended.said
