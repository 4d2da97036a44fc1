"""The ledger: which files were seen, what they say, and what of it was trained."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.held import Held
from metahuman_core.ledger import Ledger, ScanReport
from metahuman_core.memories.model import Memory
from metahuman_core.memories.read import Limits
from metahuman_core.plan import memory_lines


class Home:
    """A folder of memories and its ledger."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.folder = root / "memory"
        self.folder.mkdir()
        self.path = root / "state" / "ledger.sqlite3"
        self._stack = stack
        self.ledger = self.opened()

    def opened(self) -> Ledger:
        """The ledger, as another process would open it."""
        return self._stack.enter_context(Ledger(self.path))

    def say(self, name: str, content: Any, **fields: Any) -> None:
        """Write a memory file (text as it is, with fields an episodic memory); each time with another mtime."""
        path = self.folder / name
        text = content if not name.endswith(".json") else json.dumps({"content": content, **fields})
        later = path.stat().st_mtime_ns + 1_000_000 if path.exists() else None
        path.write_text(text, encoding="utf-8")
        if later is not None:
            os.utime(path, ns=(later, later))

    def scan(self) -> ScanReport:
        """Look at the folder, and let every memory count."""
        report = self.ledger.scan([("memory", self.folder)], Limits())
        self.ledger.settle([(m.digest, "") for m in self.ledger.unsettled_under("s")], "s")
        return report

    def due(self, *ancestry: str) -> list[str]:
        """The texts of the memories that are due."""
        return [m.text for m in self.ledger.due(ancestry)]

    def train(self, run_label: str, *texts: str) -> None:
        """A run that trained the due memories with these texts."""
        chosen = [m for m in self.ledger.due(()) if m.text in texts]
        file = self.path.with_name(f"{run_label}.jsonl")
        file.write_text(memory_lines(chosen, ()), encoding="utf-8")
        self.ledger.adopt(run_label, file)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with ExitStack() as stack:
        yield Home(tmp_path, stack)


def test_a_scan_counts_what_it_met(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.say("b.json", "The stove is lit.")
    home.say("broken.json", "x")
    (home.folder / "broken.json").write_text("{", encoding="utf-8")
    assert home.scan() == ScanReport(files=3, files_read=3, new_memories=2, skipped=1)
    assert [s.source for s in home.ledger.skipped()] == ["memory/broken.json"]


def test_unchanged_files_are_not_read_again(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    assert home.scan() == ScanReport(files=1, files_read=0, new_memories=0, skipped=0)
    home.ledger = home.opened()
    assert home.scan().files_read == 0


def test_a_file_that_cannot_be_used_is_not_read_again_and_not_forgotten(home: Home) -> None:
    (home.folder / "broken.json").write_text("{", encoding="utf-8")
    home.scan()
    assert home.scan() == ScanReport(files=1, files_read=0, new_memories=0, skipped=1)


def test_the_same_text_under_two_ids_is_one_memory(home: Home) -> None:
    home.say("a.json", "The tide was low.", id="evt-1")
    home.say("b.json", "The tide was low.  \r\n", id="evt-2")
    assert home.scan().new_memories == 1
    assert len(home.due()) == 1


def test_a_rewrite_of_metadata_is_no_new_memory(home: Home) -> None:
    home.say("a.json", "The tide was low.", metadata={})
    home.scan()
    home.train("run-1", "The tide was low.")
    home.say("a.json", "The tide was low.", metadata={"processed": True}, importance=0.9)
    report = home.scan()
    assert (report.files_read, report.new_memories) == (1, 0)
    assert home.due("run-1") == []


def test_an_edited_content_supersedes_the_old_one(home: Home) -> None:
    home.say("a.json", "I live in Skagen.")
    home.scan()
    home.train("run-1", "I live in Skagen.")
    home.say("a.json", "I live in Ribe.")
    assert home.scan().new_memories == 1
    assert home.due("run-1") == ["I live in Ribe."]
    assert home.ledger.trained(["run-1"]) == []
    assert len(home.ledger.trained_digests(["run-1"])) == 1
    counts = home.ledger.counts(["run-1"])
    assert (counts.known, counts.due, counts.superseded, counts.trained) == (2, 1, 1, 1)


def test_what_another_file_still_says_is_not_superseded(home: Home) -> None:
    home.say("a.json", "I live in Skagen.")
    home.say("b.json", "I live in Skagen.")
    home.scan()
    home.say("a.json", "I live in Ribe.")
    home.scan()
    assert sorted(home.due()) == ["I live in Ribe.", "I live in Skagen."]


def test_a_text_that_comes_back_counts_again(home: Home) -> None:
    home.say("a.json", "I live in Skagen.")
    home.scan()
    home.say("a.json", "I live in Ribe.")
    home.scan()
    home.say("a.json", "I live in Skagen.")
    home.scan()
    assert home.due() == ["I live in Skagen."]


def test_a_page_that_grows_brings_only_its_new_section(home: Home) -> None:
    home.say("page.md", "# Morning\nThe tide was low.\n")
    home.scan()
    home.say("page.md", "# Morning\nThe tide was low.\n\n# Evening\nThe stove is lit.\n")
    assert home.scan().new_memories == 1
    assert home.ledger.counts(()).superseded == 0


def test_a_vanished_file_keeps_its_memory(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    (home.folder / "a.json").unlink()
    home.scan()
    assert home.due() == ["The tide was low."]


def test_a_vanished_folder_forgets_nothing(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    home.folder.rename(home.folder.with_name("unmounted"))
    assert home.scan().files == 0
    assert home.due() == ["The tide was low."]


def test_a_broken_rewrite_keeps_the_old_and_says_so(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    (home.folder / "a.json").write_text('{"content": "The tide', encoding="utf-8")
    assert home.scan().skipped == 1
    assert home.due() == ["The tide was low."]
    home.say("a.json", "The tide was high.")
    assert home.scan().skipped == 0
    assert home.due() == ["The tide was high."]


def test_a_moved_file_brings_nothing_new(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    (home.folder / "2025").mkdir()
    (home.folder / "a.json").rename(home.folder / "2025" / "a.json")
    assert home.scan().new_memories == 0
    assert home.due() == ["The tide was low."]


def test_what_is_marked_later_is_judged_again(home: Home) -> None:
    home.say("a.json", "The tide was low.", tags=[])
    home.scan()
    home.say("a.json", "The tide was low.", tags=["feedback"])
    home.ledger.scan([("memory", home.folder)], Limits())
    (memory,) = home.ledger.unsettled_under("s")
    assert memory.unfit == "tagged as feedback"


def test_what_is_not_judged_yet_is_not_due(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.ledger.scan([("memory", home.folder)], Limits())
    assert home.due() == []


def test_a_settled_memory_is_not_due_until_the_settings_change(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    (memory,) = home.ledger.due(())
    home.ledger.settle([(memory.digest, "too short")], "s")
    assert home.due() == []
    assert home.ledger.settled_reasons() == {"too short": 1}
    assert home.ledger.unsettled_under("s") == []
    assert home.ledger.unsettled_under("other") == [memory]


def test_due_is_what_the_ancestry_has_not_trained(home: Home) -> None:
    for name in "abc":
        home.say(f"{name}.json", f"This is {name}.")
    home.scan()
    home.train("run-1", "This is a.")
    home.train("run-2", "This is b.")
    assert sorted(home.due("run-1")) == ["This is b.", "This is c."]
    assert home.due("run-1", "run-2") == ["This is c."]
    assert sorted(home.due("a branch")) == ["This is a.", "This is b.", "This is c."]


def test_a_memory_that_was_replayed_belongs_to_the_run_that_learned_it_first(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    home.train("run-1", "The tide was low.")
    home.train("run-2", "The tide was low.")
    (trained,) = home.ledger.trained(["run-2", "run-1"])
    assert (trained.first, trained.last, trained.memory.text) == ("run-1", "run-2", "The tide was low.")


def test_a_run_is_adopted_once_and_a_missing_file_is_no_run(home: Home, tmp_path: Path) -> None:
    home.say("a.json", "The tide was low.")
    home.scan()
    home.ledger.adopt("run-1", tmp_path / "absent.jsonl")
    home.train("run-1", "The tide was low.")
    home.train("run-1")
    assert home.due("run-1") == []


def test_a_lost_ledger_is_made_again_from_the_files_and_the_runs(home: Home) -> None:
    home.say("a.json", "The tide was low.")
    home.say("b.json", "The stove is lit.")
    home.scan()
    home.train("run-1", "The tide was low.")
    home.path.unlink()
    home.ledger = home.opened()
    home.ledger.adopt("run-1", home.path.with_name("run-1.jsonl"))
    assert home.scan().new_memories == 2
    assert home.due("run-1") == ["The stove is lit."]


def test_what_is_oldest_comes_first_whatever_its_time_zone(home: Home) -> None:
    home.say("later.json", "later", timestamp="2025-03-01T23:30:00Z")
    home.say("first.json", "first", timestamp="2025-03-02T00:30:00+02:00")
    home.say("last.json", "last", timestamp="2025-03-01T20:00:00.250-08:00")
    (home.folder / "undated.md").write_text("undated", encoding="utf-8")
    home.scan()
    assert home.due() == ["undated", "first", "later", "last"]


def test_a_memory_comes_back_as_it_was(home: Home) -> None:
    home.say(
        "a.json",
        "User: Did it arrive?\n\nAssistant: Yes.",
        timestamp="2025-03-02T00:30:00+02:00",
        tags=["post", "bench"],
        metadata={"cognitiveMode": "dual"},
    )
    home.scan()
    (memory,) = home.ledger.due(())
    assert [(turn.role, turn.text) for turn in memory.turns] == [("user", "Did it arrive?"), ("assistant", "Yes.")]
    assert memory.happened_at == datetime(2025, 3, 2, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert memory.happened_at.astimezone(UTC).day == 1
    assert (memory.mode, memory.tags, memory.source) == ("dual", ("post", "bench"), "memory/a.json")


def test_the_ledger_is_its_owners_alone(home: Home) -> None:
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o600


def test_a_broken_ledger_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"this is no database, whatever it is called" * 100)
    with pytest.raises(MetahumanError, match=r"ledger\.sqlite3 cannot be used") as refused:
        Ledger(path)
    assert "made again" in refused.value.hint


def test_what_a_memory_file_holds_is_never_changed(home: Home, note: Callable[..., Memory]) -> None:
    home.say("a.json", note("The tide was low.").text)
    before = (home.folder / "a.json").read_bytes(), (home.folder / "a.json").stat().st_mtime_ns
    home.scan()
    assert ((home.folder / "a.json").read_bytes(), (home.folder / "a.json").stat().st_mtime_ns) == before


@pytest.fixture
def rolled_back(home: Home) -> Held:
    """Run 1 trained a; run 2, which was rolled back, a again, b and c."""
    for name in "abcd":
        home.say(f"{name}.json", f"This is {name}.")
    home.scan()
    home.train("run-1", "This is a.")
    home.train("run-2", "This is a.", "This is b.", "This is c.")
    return Held(runs=("run-2",), kept=("run-1",))


def test_what_only_a_run_that_was_rolled_back_has_trained_is_held(home: Home, rolled_back: Held) -> None:
    assert [m.text for m in home.ledger.due(["run-1"], rolled_back)] == ["This is d."]
    assert home.ledger.due_count(["run-1"], "all", rolled_back) == 1
    counts = home.ledger.counts(["run-1"], rolled_back)
    assert (counts.due, counts.trained, counts.held) == (1, 1, 2)
    assert home.ledger.counts(["run-1"]).held == 0
    assert sorted(home.due("run-1")) == ["This is b.", "This is c.", "This is d."]


def test_what_the_live_line_knows_is_not_held_for_a_run_that_begins_anew(home: Home, rolled_back: Held) -> None:
    assert sorted(m.text for m in home.ledger.due((), rolled_back)) == ["This is a.", "This is d."]
    assert home.ledger.counts((), rolled_back).held == 2


def test_a_branch_on_what_was_rolled_back_has_trained_it(home: Home, rolled_back: Held) -> None:
    counts = home.ledger.counts(["run-2", "run-1"], rolled_back)
    assert (counts.due, counts.trained, counts.held) == (1, 3, 0)


def test_what_was_corrected_since_is_due_and_its_old_text_is_not_held(home: Home, rolled_back: Held) -> None:
    home.say("b.json", "This is no longer b, it is quite another thing.")
    home.scan()
    assert sorted(m.text for m in home.ledger.due(["run-1"], rolled_back)) == [
        "This is d.",
        "This is no longer b, it is quite another thing.",
    ]
    counts = home.ledger.counts(["run-1"], rolled_back)
    assert (counts.held, counts.superseded) == (1, 1)
