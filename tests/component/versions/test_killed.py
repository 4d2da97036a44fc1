"""SIGKILL at every moment of what changes versions, and at any time: nothing is lost, and the next start ends it.

Each command is first run undisturbed, and its moments are counted: whatever changes the disk, or calls a server. Then
it is killed before each of them, in a house of its own. What was killed must leave the registry true and nothing
missing (`after_a_strike`), and the next start must bring the house to the very files that the undisturbed one came to.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from after_a_strike import wrongs, wrongs_in_ollama
from commands_to_strike import COMMANDS, Command, House
from striking import Stand, copied
from taught import where_it_stands

_SEED = 7
_AT_TIMES = 12  # kills at any time, for each command
_AGAIN_AND_AGAIN = 8
_IN_DEFAULT = 4  # kills that the default run takes of all of them, for each command


@dataclass(frozen=True)
class Struck:
    """A command, the house before it, and what an undisturbed one came to."""

    command: Command
    before: House
    moments: tuple[str, ...]
    took_s: float
    files: dict[str, str]
    tags: dict[str, str]

    def strikes(self) -> list[dict[str, float]]:
        """Every moment, and some times between them."""
        any_time = random.Random(_SEED)  # noqa: S311
        return [
            *({"at": number} for number in range(len(self.moments))),
            *({"after_s": any_time.uniform(0, self.took_s)} for _ in range(_AT_TIMES)),
        ]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Where commands are struck."""
    with Stand(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture(scope="module", params=list(COMMANDS))
def struck(request: pytest.FixtureRequest, stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Struck:
    """A command, and what it does undisturbed."""
    folder, command = tmp_path_factory.mktemp("undisturbed"), COMMANDS[request.param]
    before, after, log = House(folder / "before"), House(folder / "after"), folder / "moments"
    command.prepare(before, stand)
    copied(before.folder, after.folder)
    with after.ollama() as ollama:
        ended = command.run(stand, after, ollama, log=log)
        assert ended.code == 0, ended.said
        assert wrongs(after.root) == wrongs_in_ollama(after.root, ollama) == []
        tags = {name: manifest.digest for name, manifest in ollama.store.manifests.items()}
    files = after.files()
    assert files != before.files()
    moments = tuple(log.read_text(encoding="utf-8").splitlines())
    return Struck(command, before, moments, ended.took_s, files, tags)


def strike(
    stand: Stand,
    struck: Struck,
    folder: Path,
    *,
    at: int = -1,
    after_s: float | None = None,
    then: tuple[int, ...] = (),
) -> None:
    """Kill it there, look, kill the next starts too (at their moments `then`), and let the last one finish."""
    where = f"after {after_s} s" if at < 0 else f"at moment {at}, {struck.moments[at]}"
    house, command = House(copied(struck.before.folder, folder / "struck")), struck.command
    with house.ollama() as ollama:
        ended = command.run(stand, house, ollama, at=at, after_s=after_s)
        assert ended.was_killed or after_s is not None, f"{where}: {ended}"
        assert wrongs(house.root) + wrongs_in_ollama(house.root, ollama) == [], where
        for moment in then:
            command.run_again(stand, house, ollama, at=moment)
            assert wrongs(house.root) + wrongs_in_ollama(house.root, ollama) == [], f"{where}, then {then}"
        again = command.run_again(stand, house, ollama)
        assert again.code == 0, f"{where}: {again.said}"
        assert wrongs(house.root) + wrongs_in_ollama(house.root, ollama) == [], where
        assert {name: manifest.digest for name, manifest in ollama.store.manifests.items()} == struck.tags, where
        verified = command.run(stand, house, ollama, words=("verify",))
        assert verified.code == 0, f"{where}: {verified.said}"
    files = house.files()
    others = {name for name in files.keys() | struck.files.keys() if files.get(name) != struck.files.get(name)}
    assert others == set(), where


def strike_and_prune(stand: Stand, struck: Struck, folder: Path, *, at: int = -1, after_s: float | None = None) -> None:
    """Kill a rebuilding that nobody repeats: what has its name by then is entered, the rest is cleared away."""
    where = f"after {after_s} s" if at < 0 else f"at moment {at}, {struck.moments[at]}"
    house, command = House(copied(struck.before.folder, folder / "struck")), struck.command
    with house.ollama() as ollama:
        command.run(stand, house, ollama, at=at, after_s=after_s)
        for words in (("prune",), ("verify",)):
            ended = command.run(stand, house, ollama, words=words)
            assert ended.code == 0, f"{where}: {ended.said}"
    assert wrongs(house.root) == [], where
    assert not list(house.root.paths.runs.rglob("*.partial")), where


def test_killed_at_some_moments_it_comes_to_the_same_end(stand: Stand, struck: Struck, tmp_path: Path) -> None:
    for how in random.Random(_SEED).sample(struck.strikes(), _IN_DEFAULT):  # noqa: S311
        strike(stand, struck, tmp_path, **how)


@pytest.mark.parametrize("struck", ["forget", "erase"], indirect=True)
def test_of_what_was_erased_no_word_is_left_whenever_it_was_killed(
    stand: Stand, struck: Struck, tmp_path: Path
) -> None:
    for number in range(0, len(struck.moments), max(1, len(struck.moments) // _IN_DEFAULT)):
        house = House(copied(struck.before.folder, tmp_path / "struck"))
        with house.ollama() as ollama:
            assert struck.command.run(stand, house, ollama, at=number).was_killed
            assert struck.command.run(stand, house, ollama).code == 0
        there = where_it_stands(house.folder)
        its_own = [name for name in there if name.startswith("root/profiles/ines/memory/")]
        versions = [name for name in there if "/out/" in name]
        assert versions == ([] if struck.command is COMMANDS["erase"] else _texts_of(house, 1))
        assert there == sorted(its_own + versions), struck.moments[number]


def _texts_of(house: House, number: int) -> list[str]:
    """What a version that stays holds of texts."""
    run_dir = house.root.parts(number).run_dir
    return [f"{run_dir.relative_to(house.folder)}/{name}" for name in where_it_stands(run_dir)]


_REBUILDS = [name for name, command in COMMANDS.items() if command.remakes]


@pytest.mark.parametrize("struck", ["rebuild"], indirect=True)
def test_a_killed_rebuilding_that_nobody_repeats_leaves_nothing_that_is_not_counted(
    stand: Stand, struck: Struck, tmp_path: Path
) -> None:
    for at in (len(struck.moments) - 1, len(struck.moments) // 2):  # all has its name; the GGUF is being made
        strike_and_prune(stand, struck, tmp_path, at=at)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("struck", _REBUILDS, indirect=True)
def test_a_rebuilding_killed_at_any_moment_that_nobody_repeats_leaves_nothing_that_is_not_counted(
    stand: Stand, struck: Struck, tmp_path: Path
) -> None:
    for how in struck.strikes():
        strike_and_prune(stand, struck, tmp_path, **how)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_every_moment_it_comes_to_the_same_end(stand: Stand, struck: Struck, tmp_path: Path) -> None:
    for how in struck.strikes():
        strike(stand, struck, tmp_path, **how)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_again_and_again_it_comes_to_the_same_end(stand: Stand, struck: Struck, tmp_path: Path) -> None:
    chance, last = random.Random(_SEED), len(struck.moments) - 1  # noqa: S311
    for _ in range(_AGAIN_AND_AGAIN):
        then = chance.randint(0, last), chance.randint(0, last)
        strike(stand, struck, tmp_path, at=chance.randint(0, last), then=then)
