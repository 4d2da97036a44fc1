"""The scan: what is looked at, what is read, and what is remembered of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahuman_core.errors import MetahumanError
from metahuman_core.ledger import Ledger, ScanReport
from metahuman_core.ledger.scan import Steady
from metahuman_core.memories.glance import glance
from metahuman_core.memories.model import content_digest
from metahuman_core.memories.read import Limits
from metahuman_core.memories.walk import FoundFile

NO_TEXT = os.fsdecode(b"caf\xe9")


class Tree:
    """A folder of memories and its ledger."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root = root / "memory"
        self.root.mkdir()
        self.path = root / "state" / "ledger.sqlite3"
        self._stack = stack
        self.ledger = self.opened()

    def opened(self) -> Ledger:
        """The ledger, as another process would open it."""
        return self._stack.enter_context(Ledger(self.path))

    def put(self, name: str, text: str) -> Path:
        """Write a memory (of other types than JSON as it is)."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"content": text}) if name.endswith(".json") else text, encoding="utf-8")
        return path

    def scan(
        self, *, only: Collection[Path] | None = None, steady: Steady | None = None, limits: Limits | None = None
    ) -> ScanReport:
        """Look at the folder, and let every memory count."""
        report = self.ledger.scan([("memory", self.root)], limits or Limits(), only=only, steady=steady)
        self.ledger.settle([(m.digest, "") for m in self.ledger.unsettled_under("s")], "s")
        return report

    def texts(self) -> list[str]:
        """What the memories say."""
        return sorted(m.text for m in self.ledger.due(()))

    def skipped(self) -> dict[str, str]:
        """What was set aside, with its reason."""
        return {item.source: item.reason for item in self.ledger.skipped()}

    def rows(self, sql: str) -> list[str]:
        """One column of the ledger's own tables."""
        return sorted(row[0] for row in self.ledger._db.execute(sql))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with ExitStack() as stack:
        yield Tree(tmp_path, stack)


def _queries(tree: Tree) -> list[str]:
    """What an unchanged scan asks of SQLite."""
    asked: list[str] = []
    tree.ledger._db.set_trace_callback(asked.append)
    assert tree.ledger.scan([("memory", tree.root)], Limits()).files_read == 0
    tree.ledger._db.set_trace_callback(None)
    return asked


def test_an_unchanged_scan_asks_the_ledger_by_folder_and_never_by_file(tree: Tree) -> None:
    tree.put("2025/01/a.json", "The tide was low.")
    tree.scan()
    before = len(_queries(tree))
    for number in range(50):
        tree.put(f"2025/01/{number}.json", f"This is {number}.")
    tree.scan()
    asked = _queries(tree)
    assert len(asked) == before
    assert not [sql for sql in asked if "FROM files" in sql or sql.startswith(("BEGIN", "INSERT", "UPDATE", "DELETE"))]


def test_one_changed_file_is_read_and_its_neighbours_are_not(tree: Tree) -> None:
    for number in range(5):
        tree.put(f"2025/{number}.json", f"This is {number}.")
    tree.scan()
    tree.put("2025/3.json", "This is another.")
    assert tree.scan() == ScanReport(files=5, files_read=1, new_memories=1, skipped=0)
    assert tree.scan().files_read == 0


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (["a\nb.json", "c.json"], ["a", "b.json\nc.json"]),
        ([NO_TEXT + ".json"], [os.fsdecode(b"caf\xea.json")]),
        (["ab", "c"], ["a", "bc"]),
    ],
)
def test_names_with_any_signs_are_told_apart(tmp_path: Path, names: list[str], others: list[str]) -> None:
    origin = tmp_path / "one"
    origin.write_text("{}", encoding="utf-8")
    digests = set()
    for folder, wanted in (("first", names), ("second", others)):
        (tmp_path / folder).mkdir()
        try:
            for name in wanted:
                os.link(origin, tmp_path / folder / name)  # one inode: only the names differ
        except OSError:
            pytest.skip("this file system takes only UTF-8 names")
    for folder in ("first", "second"):
        digests.add(glance(str(tmp_path / folder)).digest)
    assert len(digests) == 2


def test_a_glance_sees_a_time_that_was_set_back(tree: Tree) -> None:
    path = tree.put("a.json", "The tide was low.")
    before, status = glance(str(tree.root)), path.stat()
    os.utime(path, ns=(0, 0))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert glance(str(tree.root)).digest != before.digest


def test_more_entries_than_are_taken_at_a_time_are_all_seen(tree: Tree) -> None:
    for number in range(1500):
        (tree.root / f"{number}.md").touch()
    first = glance(str(tree.root)).digest
    (tree.root / "1499.md").write_text("The tide was low.", encoding="utf-8")
    assert glance(str(tree.root)).digest != first
    assert tree.scan().files == 1500


def test_files_with_names_that_are_not_text_are_set_aside_and_do_not_disturb_the_others(tree: Tree) -> None:
    try:
        (tree.root / NO_TEXT).mkdir()
        (tree.root / NO_TEXT / "a.json").write_text("{}", encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    tree.put("b.json", "The tide was low.")
    for _ in range(2):
        assert tree.scan().files == 1
        assert tree.skipped() == {"memory/caf\ufffd/a.json": "its name is not valid UTF-8"}
    (tree.root / NO_TEXT / "a.json").unlink()
    (tree.root / NO_TEXT).rmdir()
    tree.scan()
    assert tree.skipped() == {}


def test_hidden_and_pruned_folders_are_not_entered(tree: Tree) -> None:
    tree.put("a.json", "The tide was low.")
    tree.put("_pruned/b.json", "This is pruned.")
    tree.put(".trash/c.json", "This is trash.")
    hidden = [tree.root / "_pruned", tree.root / ".trash"]
    assert tree.scan().files == 1
    assert tree.scan(only=hidden).files == 1
    assert tree.rows("SELECT source FROM folders") == ["memory"]


def test_two_names_of_one_file_are_two_files(tree: Tree) -> None:
    os.link(tree.put("a.json", "The tide was low."), tree.root / "b.json")
    assert tree.scan() == ScanReport(files=2, files_read=2, new_memories=1, skipped=0)


def test_a_root_may_be_a_link_or_a_single_file_and_a_loop_of_links_ends(tree: Tree, tmp_path: Path) -> None:
    tree.put("2025/a.json", "The tide was low.")
    (tmp_path / "link").symlink_to(tree.root)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tree.root / "again").symlink_to(tree.root)
    export = tmp_path / "export.md"
    export.write_text("The stove is lit.", encoding="utf-8")
    folders = [("linked", tmp_path / "link"), ("loop", tmp_path / "loop"), ("export", export)]
    assert tree.ledger.scan(folders, Limits()).files_read == 2
    report = tree.ledger.scan(folders, Limits(), only=[tmp_path / "link" / "2025"])
    assert (report.files, report.files_read) == (2, 0)
    assert set(tree.skipped()) == {"linked/again", "loop/."}


def test_a_link_in_the_place_of_a_folder_is_set_aside(tree: Tree) -> None:
    tree.put("a.json/b.json", "The tide was low.")
    tree.scan()
    shutil.rmtree(tree.root / "a.json")
    (tree.root / "a.json").symlink_to(tree.root)
    assert tree.scan().files == 0
    assert set(tree.skipped()) == {"memory/a.json"}


PATHS = st.sampled_from(["a.json", "b/c.json", "b/deep/d.md", "x.json/e.json", "x.json", "_pruned/f.json", "b"])
DOINGS = st.tuples(st.sampled_from(["write", "break", "remove", "link", "move"]), PATHS, PATHS)


def _do(root: Path, what: str, path: Path, other: Path) -> None:
    """Change the tree if that can be done."""
    with suppress(OSError):
        if what == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if what in ("write", "break"):
            path.write_text('{"content": "The tide was low."}' if what == "write" else "{", encoding="utf-8")
        elif what == "link":
            path.symlink_to(root)
        else:
            other.rename(path)


@given(st.lists(st.lists(DOINGS, min_size=1, max_size=3), min_size=1, max_size=5))
def test_after_any_changes_the_ledger_knows_what_a_new_one_would(turns: list[list[tuple[str, str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as made, Ledger(None) as ledger:
        root = Path(made, "memory")
        root.mkdir()
        for doings in turns:
            for what, path, other in doings:
                _do(root, what, root / path, root / other)
            report = ledger.scan([("memory", root)], Limits())
            with Ledger(None) as new:
                assert new.scan([("memory", root)], Limits()).files == report.files
                for table in ("files", "folders", "skipped"):
                    everything = f"SELECT * FROM {table} ORDER BY 1, 2"  # noqa: S608
                    assert list(ledger._db.execute(everything)) == list(new._db.execute(everything))


# --- what is gone ---------------------------------------------------------------------------------------------------


def test_a_folder_that_is_gone_takes_its_reasons_and_not_its_memories(tree: Tree) -> None:
    tree.put("2025/01/a.json", "The tide was low.")
    tree.put("2025/01/broken.json", "x").write_text("{", encoding="utf-8")
    tree.put("2025/02/b.json", "The stove is lit.")
    assert tree.scan().skipped == 1
    (tree.root / "2025").rename(tree.root.parent / "elsewhere")
    assert tree.scan() == ScanReport(files=0, files_read=0, new_memories=0, skipped=0)
    assert tree.texts() == ["The stove is lit.", "The tide was low."]
    assert tree.rows("SELECT source FROM folders") == ["memory"]
    assert tree.rows("SELECT name FROM files") == []


def test_a_broken_file_that_goes_and_comes_back_as_it_was_is_set_aside_again(tree: Tree) -> None:
    path = tree.put("broken.json", "x")
    path.write_text("{", encoding="utf-8")
    tree.scan()
    path.rename(tree.root.parent / "aside")
    assert tree.scan().skipped == 0
    (tree.root.parent / "aside").rename(path)
    assert tree.scan().skipped == 1


def test_a_missing_root_takes_nothing_with_it(tree: Tree) -> None:
    tree.put("2025/a.json", "The tide was low.")
    tree.put("broken.json", "x").write_text("{", encoding="utf-8")
    tree.scan()
    before = tree.rows("SELECT source FROM folders")
    tree.root.rename(tree.root.with_name("unmounted"))
    assert tree.scan().files == 0
    assert tree.scan(only=[tree.root / "2025"]).files == 0
    assert tree.rows("SELECT source FROM folders") == before
    assert set(tree.skipped()) == {"memory/.", "memory/broken.json"}
    tree.root.with_name("unmounted").rename(tree.root)
    assert tree.scan() == ScanReport(files=2, files_read=0, new_memories=0, skipped=1)
    assert set(tree.skipped()) == {"memory/broken.json"}


def test_a_file_that_becomes_a_link_and_back_is_read_again(tree: Tree) -> None:
    path = tree.put("a.json", "The tide was low.")
    tree.scan()
    kept = path.rename(tree.root.parent / "kept.json")
    path.symlink_to(kept)
    tree.scan()
    assert set(tree.skipped()) == {"memory/a.json"}
    path.unlink()
    kept.rename(path)
    assert tree.scan().files_read == 1
    assert tree.skipped() == {}


def test_a_folder_with_a_files_name_keeps_its_reason_until_it_goes(tree: Tree) -> None:
    tree.put("x.json/a.json", "The tide was low.")
    tree.scan()
    tree.put("b.json", "The stove is lit.")
    tree.scan()
    assert tree.skipped() == {"memory/x.json": "a folder with a file's name"}
    (tree.root / "x.json" / "a.json").unlink()
    (tree.root / "x.json").rmdir()
    tree.put("x.json", "The boat is in.")
    tree.scan()
    assert tree.skipped() == {}
    assert tree.texts() == ["The boat is in.", "The stove is lit.", "The tide was low."]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_cannot_be_listed_keeps_what_is_known_of_it(tree: Tree) -> None:
    folder = tree.put("2025/a.json", "The tide was low.").parent
    tree.scan()
    folder.chmod(0)
    tree.scan()
    assert set(tree.skipped()) == {"memory/2025"}
    folder.chmod(0o700)
    assert tree.scan().files_read == 0
    assert tree.skipped() == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_is_read_once_it_is_allowed(tree: Tree) -> None:
    path = tree.put("a.json", "The tide was low.")
    path.chmod(0)
    assert tree.scan().skipped == 1
    assert tree.scan().files_read == 0
    path.chmod(0o600)
    assert tree.scan() == ScanReport(files=1, files_read=1, new_memories=1, skipped=0)


# --- only, steady, limits -------------------------------------------------------------------------------------------


def test_only_what_is_named_is_looked_at_and_what_is_new_below_it(tree: Tree) -> None:
    tree.put("2025/01/a.json", "The tide was low.")
    tree.put("2025/02/b.json", "The stove is lit.")
    tree.scan()
    tree.put("2025/01/c.json", "The boat is in.")
    tree.put("2025/02/d.json", "The lamp is out.")
    tree.put("2025/03/deep/e.json", "The snow is here.")
    report = tree.scan(only=[tree.root / "2025" / "01"])
    assert report == ScanReport(files=3, files_read=1, new_memories=1, skipped=0)
    report = tree.scan(only=[tree.root / "2025"])
    assert report == ScanReport(files=4, files_read=1, new_memories=1, skipped=0)
    assert tree.scan() == ScanReport(files=5, files_read=1, new_memories=1, skipped=0)


def test_a_named_folder_that_is_gone_or_lies_elsewhere_is_no_error(tree: Tree, tmp_path: Path) -> None:
    tree.put("2025/a.json", "The tide was low.")
    tree.put("2025/broken.json", "x").write_text("{", encoding="utf-8")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree.root / "link").symlink_to(outside)
    tree.scan()
    (tree.root / "2025").rename(outside / "2025")
    report = tree.scan(only=[tree.root / "2025", outside, tree.root / "link" / "2025", tree.root / "never"])
    assert (report.files, report.files_read) == (0, 0)
    assert set(tree.skipped()) == {"memory/link"}
    assert tree.texts() == ["The tide was low."]


def test_a_named_folder_supersedes_as_a_whole_scan_does(tree: Tree) -> None:
    tree.put("page.md", "# Morning\nThe tide was low.\n\n# Evening\nThe stove is lit.\n")
    tree.scan()
    tree.put("page.md", "# Morning\nThe tide was low.\n")
    tree.scan(only=[tree.root])
    assert tree.ledger.counts(()).superseded == 1


def test_a_file_that_is_not_steady_is_left_for_later_and_never_forgotten(tree: Tree) -> None:
    status = tree.put("a.json", "The tide was low.").stat()
    tree.put("b.json", "The stove is lit.")
    asked = {}

    def is_b(found: FoundFile) -> bool:
        asked[found.source] = found.changed_ns
        return found.source == "b.json"

    assert tree.scan(steady=is_b) == ScanReport(files=2, files_read=1, new_memories=1, skipped=0, unsteady=1)
    assert asked["a.json"] == status.st_ctime_ns
    assert tree.scan(steady=is_b).unsteady == 1
    assert tree.scan() == ScanReport(files=2, files_read=1, new_memories=1, skipped=0)
    asked.clear()
    assert tree.scan(steady=is_b).unsteady == 0
    assert asked == {}


def test_other_limits_have_what_was_set_aside_read_again_and_nothing_else(tree: Tree) -> None:
    tree.put("2025/short.json", "The tide was low.")
    tree.put("2025/long.json", "The stove is lit. " * 20)
    assert tree.scan(limits=Limits(memory_bytes=200)).skipped == 1
    assert tree.scan(limits=Limits(memory_bytes=200)).files_read == 0
    assert tree.scan() == ScanReport(files=2, files_read=1, new_memories=1, skipped=0)


# --- kills and versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes_at_a_time", [1, 4])
@pytest.mark.parametrize("killed_at", range(6))
def test_a_scan_that_is_killed_anywhere_loses_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, killed_at: int, changes_at_a_time: int
) -> None:
    monkeypatch.setattr("metahuman_core.ledger.database._CHANGES_AT_A_TIME", changes_at_a_time)
    for number in range(6):
        tree.put(f"{number % 3}/{number}.json", f"This is {number}.")
    asked = []

    def killed(found: FoundFile) -> bool:
        asked.append(found)
        if len(asked) > killed_at:
            raise KeyboardInterrupt
        return True

    with pytest.raises(KeyboardInterrupt):
        tree.scan(steady=killed)
    tree.ledger = tree.opened()
    tree.scan()
    assert tree.texts() == [f"This is {number}." for number in range(6)]
    assert tree.scan().files_read == 0


def test_a_ledger_is_not_locked_while_files_are_read(tree: Tree) -> None:
    tree.put("a.json", "The tide was low.")
    tree.put("b.json", "The stove is lit.")
    other = tree.opened()
    other._db.execute("PRAGMA busy_timeout = 0")

    def other_writes(_: object) -> bool:
        other.settle([], "s")
        return True

    assert tree.scan(steady=other_writes).files_read == 2


LOW, LOST = content_digest((), "The tide was low."), content_digest((), "The file is lost.")
VERSION_1 = f"""
CREATE TABLE files (source TEXT PRIMARY KEY, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL);
CREATE TABLE skipped (source TEXT NOT NULL, unit TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (source, unit));
CREATE TABLE slots (source TEXT NOT NULL, unit TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (source, unit));
CREATE INDEX slots_digest ON slots (digest);
CREATE TABLE memories (
    digest TEXT PRIMARY KEY, source TEXT NOT NULL, unit TEXT NOT NULL, kind TEXT NOT NULL, mode TEXT NOT NULL,
    happened_at TEXT, title TEXT NOT NULL, tags TEXT NOT NULL, body TEXT NOT NULL, unfit TEXT NOT NULL,
    settled TEXT NOT NULL DEFAULT '', settled_under TEXT NOT NULL DEFAULT '');
CREATE TABLE trainings (digest TEXT NOT NULL, run_label TEXT NOT NULL, PRIMARY KEY (digest, run_label));
CREATE TABLE adopted (run_label TEXT PRIMARY KEY);
INSERT INTO files VALUES ('memory/a.json', 1, 2, 3);
INSERT INTO skipped VALUES ('memory/gone.json', '', 'empty');
INSERT INTO slots VALUES ('memory/a.json', '', '{LOW}'), ('memory/lost.json', '', '{LOST}');
INSERT INTO memories VALUES
    ('{LOW}', 'memory/a.json', '', 'journal', 'emulation', NULL, '', '[]', '"The tide was low."', '', '', 's'),
    ('{LOST}', 'memory/lost.json', '', 'journal', 'emulation', NULL, '', '[]', '"The file is lost."', '', '', 's');
INSERT INTO trainings VALUES ('{LOST}', 'run-1');
INSERT INTO adopted VALUES ('run-1');
PRAGMA user_version = 1;
"""  # noqa: S608


def _old_ledger(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()


def test_a_ledger_of_version_1_keeps_its_memories_and_reads_and_judges_all_again(tmp_path: Path) -> None:
    _old_ledger(tmp_path / "state" / "ledger.sqlite3", VERSION_1)
    with ExitStack() as stack:
        tree = Tree(tmp_path, stack)
        tree.put("a.json", "The tide was high.")
        assert len(tree.ledger.unsettled_under("s")) == 2
        assert tree.scan() == ScanReport(files=1, files_read=1, new_memories=1, skipped=0)
        assert tree.texts() == ["The file is lost.", "The tide was high."]
        assert [m.text for m in tree.ledger.due(["run-1"])] == ["The tide was high."]
        tree.ledger = tree.opened()
        assert tree.scan().files_read == 0


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    _old_ledger(path, "PRAGMA user_version = 99;")
    with pytest.raises(MetahumanError, match="newer version"):
        Ledger(path)
