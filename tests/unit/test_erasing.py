"""What the ledger knows of memories that were erased, and of files that were deleted."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from metahuman_core.dataset.judge import judge, judging_sha256
from metahuman_core.forgetting.anything import is_anything_erased
from metahuman_core.forgetting.deleted import erase_deleted
from metahuman_core.ledger import Ledger, ScanReport
from metahuman_core.memories.origin import Limits
from metahuman_core.plan import memory_lines
from metahuman_core.settings import DatasetSettings, ForgetSettings, Settings

NOON = datetime(2031, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOAT = "My boat is called Marram, and she is a yellow dinghy with a red sail that my uncle sewed."
NEARLY = "My boat is called Marram, and she is a yellow dinghy with a red sail that my uncle sewed!"
STOVE = "The stove in the kitchen was lit at six this morning, as it is each day of the winter."


class Home:
    """One profile under a root: its memory folder and its ledger."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "profiles" / "anna" / "memory"
        self.folder.mkdir(parents=True)
        self.path = root / "profiles" / "anna" / "state" / "ledger.sqlite3"
        self.ledger = Ledger(self.path)
        self.wants("forget")

    def wants(self, on_delete: str) -> None:
        self.settings = Settings(root=self.root, forget=ForgetSettings(on_delete=on_delete))  # type: ignore[arg-type]

    def say(self, name: str, text: str) -> Path:
        """Write a file of one memory, each time with another mtime."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        later = path.stat().st_mtime_ns + 1_000_000 if path.exists() else None
        path.write_text(json.dumps({"content": text}) if name.endswith(".json") else text, encoding="utf-8")
        if later is not None:
            os.utime(path, ns=(later, later))
        return path

    def scan(self) -> ScanReport:
        """Look at the folder, and judge."""
        report = self.ledger.scan([("memory", self.folder)], Limits())
        dataset = DatasetSettings()
        self.ledger.judge(
            dataset.near_duplicate, judging_sha256(dataset), lambda fresh, index: judge(fresh, index, dataset)
        )
        return report

    def look(self, at: datetime) -> int:
        """Look, and do what `on_delete` says. Gives how many memories it erased."""
        return erase_deleted(self.settings, "anna", self.ledger, self.scan(), at)

    def look_twice(self) -> int:
        """A look, and another one behind the grace."""
        return self.look(NOON) + self.look(NOON + MINUTE)

    def due(self, *ancestry: str) -> list[str]:
        return [m.text for m in self.ledger.due(ancestry)]

    def train(self, run_label: str) -> None:
        """A run that trained all that is due."""
        file = self.path.with_name(f"{run_label}.jsonl")
        file.write_text(memory_lines(self.ledger.due(()), ()), encoding="utf-8")
        self.ledger.adopt(run_label, file)
        file.unlink()

    def digest_of(self, text: str) -> str:
        return next(m.digest for m in self.ledger.due(()) if m.text == text)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.ledger.close()


# --- erased ---------------------------------------------------------------------------------------------------------


def test_what_is_erased_leaves_its_hash_and_when_and_never_comes_back(home: Home) -> None:
    home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    digest = home.digest_of(BOAT)
    home.train("run-1")
    home.ledger.forgetting.erase([digest], NOON)
    assert home.ledger.forgetting.erased() == {digest: NOON.isoformat()}
    home.say("a.json", BOAT)  # written again
    home.say("c.json", BOAT)
    assert home.scan().new_memories == 0
    assert home.due() == [STOVE]
    counts = home.ledger.counts(["run-1"])
    assert (counts.known, counts.trained, counts.erased) == (1, 1, 1)
    assert home.ledger.trained_digests(["run-1"]) > {digest}
    assert home.ledger.forgetting.runs() == {"run-1"}


def test_no_word_of_it_is_left_in_the_file(home: Home) -> None:
    for number in range(40):
        home.say(f"{number}.json", f"{STOVE} {number} of 40, and Marramgrass grows there.")
    home.say("a.json", BOAT)
    home.scan()
    assert b"Marram, and she" in home.path.read_bytes()
    home.ledger.forgetting.erase([home.digest_of(BOAT)], NOON)
    assert home.ledger.forgetting.overwrite()
    assert b"Marram, and she" not in home.path.read_bytes()
    assert b"Marramgrass" in home.path.read_bytes()
    assert not home.ledger.forgetting.overwrite()


def test_what_an_older_program_left_in_free_pages_goes_too(home: Home) -> None:
    home.ledger.close()
    with sqlite3.connect(home.path) as db:  # without secure_delete
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("CREATE TABLE scrap (text TEXT)")
        db.executemany("INSERT INTO scrap VALUES (?)", [(BOAT,)] * 400)
        db.execute("DROP TABLE scrap")
    db.close()
    assert BOAT.encode() in home.path.read_bytes()
    home.ledger = Ledger(home.path)
    home.ledger.forgetting.erase(["0" * 64], NOON)
    home.ledger.forgetting.overwrite()
    assert BOAT.encode() not in home.path.read_bytes()


def test_a_slot_that_says_now_what_was_erased_says_its_old_memory_no_more(home: Home) -> None:
    home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    home.ledger.forgetting.erase([home.digest_of(BOAT)], NOON)
    home.say("b.json", BOAT)
    home.scan()
    assert home.due() == []
    assert home.ledger.counts(()).superseded == 1


def test_a_duplicate_of_what_was_erased_is_judged_anew(home: Home) -> None:
    home.say("a.json", BOAT)
    home.scan()
    home.say("b.json", NEARLY)
    home.scan()
    assert home.due() == [BOAT]
    home.ledger.forgetting.erase([home.digest_of(BOAT)], NOON)
    home.scan()
    assert home.due() == [NEARLY]


def test_whether_anything_is_erased_is_seen_without_the_ledger(home: Home, tmp_path: Path) -> None:
    assert not is_anything_erased(tmp_path / "none.sqlite3")
    assert not (tmp_path / "none.sqlite3").exists()
    assert not is_anything_erased(home.path)
    home.ledger.forgetting.erase(["0" * 64], NOON)
    assert is_anything_erased(home.path)


# --- found ----------------------------------------------------------------------------------------------------------


def test_memories_are_found_by_hash_by_file_and_by_words(home: Home) -> None:
    home.say("sea/a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    search, digest = home.ledger.search, home.digest_of(BOAT)
    assert [m.text for m in search.by_hash(digest[:8])] == [BOAT]
    assert search.by_hash("f" * 64) == []
    assert [m.text for m in search.of_files(["memory/sea/a.json"])] == [BOAT]
    assert [m.text for m in search.with_words(["MARRAM", "red"])] == [BOAT]
    assert search.with_words(["Marram", "stove"]) == []
    assert search.with_words(["Marr"]) == []  # whole words
    assert search.files_of(digest) == ("memory/sea/a.json",)


def test_where_writing_has_no_gaps_a_piece_is_found(home: Home) -> None:
    home.say("a.json", "我的船叫做海草她是一艘黄色的小船")
    home.scan()
    assert len(home.ledger.search.with_words(["海草"])) == 1


def test_what_a_file_said_before_is_found_by_the_file(home: Home) -> None:
    home.say("a.json", BOAT)
    home.scan()
    home.say("a.json", STOVE)
    home.scan()
    assert sorted(m.text for m in home.ledger.search.of_files(["memory/a.json"])) == sorted([BOAT, STOVE])


@pytest.mark.parametrize("named", [BOAT, NEARLY])
def test_what_says_the_same_is_found_from_either_side(home: Home, named: str) -> None:
    home.say("a.json", BOAT)
    home.say("c.json", STOVE)
    home.scan()
    home.say("b.json", NEARLY)
    home.scan()
    memories = home.ledger.search.with_words(["Marram"])
    one = [m for m in memories if m.text == named]
    assert [m.text for m in home.ledger.search.that_say_the_same(one, 0.8)] == [BOAT if named == NEARLY else NEARLY]


# --- a file that was deleted ----------------------------------------------------------------------------------------


def test_a_memory_whose_file_was_deleted_stays_what_it_was(home: Home) -> None:
    home.wants("keep")
    path = home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    home.train("run-1")
    path.unlink()
    assert home.look(NOON) == home.look(NOON + 5 * MINUTE) == 0
    assert {one.memory.text for one in home.ledger.trained(["run-1"])} == {BOAT, STOVE}
    counts = home.ledger.counts(["run-1"])
    assert (counts.superseded, counts.deleted, counts.trained) == (0, 1, 2)


def test_a_file_that_is_back_is_deleted_no_more(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    path.unlink()
    assert home.look(NOON) == 0
    home.say("a.json", BOAT)
    assert home.look(NOON + 5 * MINUTE) == 0
    assert home.ledger.counts(()).deleted == 0


def test_a_renamed_file_is_neither_deleted_nor_superseded(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    path.rename(home.folder / "z.json")
    assert home.look(NOON) == home.look(NOON + 5 * MINUTE) == 0
    counts = home.ledger.counts(())
    assert (counts.superseded, counts.deleted, counts.due) == (0, 0, 2)


def test_a_renamed_file_that_says_something_else_supersedes_what_it_said_under_its_old_name(home: Home) -> None:
    home.say("a.json", BOAT).rename(home.folder / "z.json")
    home.say("a.json", BOAT)
    home.scan()
    (home.folder / "a.json").unlink()
    home.scan()
    home.say("z.json", STOVE)
    home.scan()
    assert home.due() == [STOVE]
    assert home.ledger.counts(()).superseded == 1


def test_on_forget_it_is_erased_when_it_was_gone_for_a_minute(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    home.train("run-1")
    path.unlink()
    assert home.look(NOON) == 0
    assert home.look(NOON + MINUTE / 2) == 0
    assert home.look(NOON + MINUTE) == 1
    assert home.look(NOON + 2 * MINUTE) == 0
    assert home.ledger.forgetting.runs() == {"run-1"}
    assert (home.ledger.counts(()).known, home.ledger.counts(()).erased) == (1, 1)


def test_many_files_that_go_at_once_are_a_drive_that_is_away(home: Home) -> None:
    home.say("b.json", STOVE)
    paths = [
        home.say(f"phone/{n}.json", f"{BOAT} It is number {n} of the boats that I have ever had.") for n in range(21)
    ]
    home.scan()
    for path in paths:
        path.unlink()
    assert home.look_twice() == 0
    home.say("phone/0.json", STOVE)  # one of them is back, and says something else
    assert home.look(NOON + 3 * MINUTE) == 20


def test_files_that_were_moved_are_not_counted_as_deleted(home: Home) -> None:
    texts = [f"{STOVE} That was day {number} of it, and nothing else happened." for number in range(25)]
    for number, text in enumerate(texts):
        home.say(f"{number}.json", text)
    home.say("boat.json", BOAT)
    home.scan()
    (home.folder / "old").mkdir()
    for number in range(len(texts)):
        (home.folder / f"{number}.json").rename(home.folder / "old" / f"{number}.json")
    assert home.look_twice() == 0
    (home.folder / "boat.json").unlink()
    assert home.look_twice() == 1


def test_what_the_file_had_said_before_goes_with_it(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", "I planted three lemon trees next to the well behind our house.")
    home.scan()
    home.say("a.json", STOVE)
    home.scan()
    path.unlink()
    assert home.look_twice() == 2


def test_what_another_file_says_too_is_kept(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", BOAT)
    home.scan()
    path.unlink()
    assert home.look_twice() == 0
    assert home.due() == [BOAT]


def test_a_folder_that_is_deleted_takes_its_files_along(home: Home) -> None:
    home.say("sea/deep/a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    (home.folder / "sea/deep/a.json").unlink()
    (home.folder / "sea/deep").rmdir()
    (home.folder / "sea").rmdir()
    assert home.look_twice() == 1
    assert home.due() == [STOVE]


def test_a_root_without_a_single_file_is_a_drive_that_is_away(home: Home) -> None:
    for name, text in (("a.json", BOAT), ("b.json", STOVE)):
        home.say(name, text)
    home.scan()
    for name in ("a.json", "b.json"):
        (home.folder / name).unlink()
    assert home.look_twice() == home.look(NOON + 5 * MINUTE) == 0
    assert home.ledger.counts(()).erased == 0


def test_a_file_that_may_not_be_read_any_more_is_not_deleted(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    path.unlink()
    path.symlink_to(home.folder / "b.json")  # a link is set aside
    assert home.look_twice() == 0
    assert sorted(home.due()) == sorted([BOAT, STOVE])


def test_while_files_are_being_written_nothing_counts_as_deleted(home: Home) -> None:
    path = home.say("a.json", BOAT)
    home.say("b.json", STOVE)
    home.scan()
    path.unlink()
    assert home.look(NOON) == 0
    report, later = home.scan(), NOON + MINUTE
    assert erase_deleted(home.settings, "anna", home.ledger, replace(report, unsteady=1), later) == 0
    assert erase_deleted(home.settings, "anna", home.ledger, report, later) == 1


# --- a ledger of before ---------------------------------------------------------------------------------------------


def test_a_ledger_of_before_keeps_what_it_knows_and_sees_what_was_deleted_then(home: Home) -> None:
    home.say("sea/a.json", BOAT)
    home.say("b.json", STOVE)
    home.say("broken.json", "x").write_text("{", encoding="utf-8")
    home.scan()
    home.train("run-1")
    (home.folder / "sea/a.json").unlink()
    home.scan()
    home.ledger.close()
    with sqlite3.connect(home.path) as db:
        db.executescript("DROP TABLE erased; DROP TABLE gone; PRAGMA user_version = 2;")
    db.close()
    home.ledger = Ledger(home.path)
    counts = home.ledger.counts(["run-1"])
    assert (counts.known, counts.trained, counts.superseded, counts.deleted, counts.erased) == (2, 2, 0, 1, 0)
    assert home.scan().files_read == 0
    assert home.look(NOON) == 0
    assert home.look(NOON + MINUTE) == 1
    assert {one.memory.text for one in home.ledger.trained(["run-1"])} == {STOVE}
