"""A disk that fills up in mid-archive and in mid-rebuild: one line, nothing is lost, and with room it is finished.

At each moment in turn the saboteur fills the disk with a file named `ballast`, and lets the command go on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from after_a_strike import wrongs
from commands_to_strike import COMMANDS, Command, House
from striking import Stand, copied

_SEED = 11
_IN_DEFAULT = 3
_FULL = ("No space left on device", "disk is full")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Where commands are struck."""
    with Stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    """A disk of 16 MiB."""
    return disk_of("16m")


def fill_at_each(stand: Stand, command: Command, before: House, disk: Path, count: int | None) -> None:
    """Let the disk fill up at `count` moments, or at all; each time in a house anew."""
    log, house = disk.parent / "moments", House(disk / "house")

    def anew() -> None:
        copied(before.folder, house.folder)
        log.write_text("", encoding="utf-8")

    anew()
    with house.ollama() as ollama:
        assert command.run(stand, house, ollama, log=log).code == 0
    finished, moments = house.files(), range(len(log.read_text(encoding="utf-8").splitlines()))
    assert finished != before.files()
    chosen = moments if count is None else random.Random(_SEED).sample(moments, count)  # noqa: S311
    failed = 0
    for at in chosen:
        anew()
        with house.ollama() as ollama:
            ended = command.run(stand, house, ollama, at=at, how="fill")
            assert ended.code == 0 or (ended.code == 1 and any(word in ended.said for word in _FULL)), ended.said
            assert "Traceback" not in ended.said or not command.words, ended.said
            failed += ended.code
            assert wrongs(house.root) == [], f"at moment {at}"
            (house.folder / "ballast").unlink(missing_ok=True)
            again = command.run_again(stand, house, ollama)
            assert again.code == 0, f"at moment {at}: {again.said}"
        assert wrongs(house.root) == [], f"at moment {at}"
        assert house.files() == finished, f"at moment {at}"
    assert failed


@pytest.mark.parametrize("name", ["rebuild", "archive"])
def test_some_moments_at_which_the_disk_is_full_cost_a_line_and_no_more(
    stand: Stand, small_disk: Path, tmp_path: Path, name: str
) -> None:
    before = House(tmp_path / "before")
    COMMANDS[name].prepare(before, stand)
    fill_at_each(stand, COMMANDS[name], before, small_disk, _IN_DEFAULT)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["rebuild", "rebuild in a chain", "archive"])
def test_every_moment_at_which_the_disk_is_full_costs_a_line_and_no_more(
    stand: Stand, small_disk: Path, tmp_path: Path, name: str
) -> None:
    before = House(tmp_path / "before")
    COMMANDS[name].prepare(before, stand)
    fill_at_each(stand, COMMANDS[name], before, small_disk, None)
