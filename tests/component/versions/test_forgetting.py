"""`metahuman forget`, as a process: what it shows, what goes, what stays; and that the text is nowhere left."""

from __future__ import annotations

import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from double import OllamaDouble
from made_up_root import PROFILE, MadeUpRoot
from taught import MARKER, OTHERS, SECRET, begin_run, digest, teach, where_it_stands, write_memory

from metahuman_core.layout import cycle_lock_path
from metahuman_core.ledger import Ledger
from metahuman_core.locks import cycle_lock
from metahuman_core.plan import MEMORIES
from metahuman_core.progress import Progress
from metahuman_core.settings import Settings
from metahuman_core.wish import Wish
from metahuman_daemon.fine_tune import look_ahead
from metahuman_daemon.publishing import publish_one
from metahuman_daemon.retention import apply_retention, plan_ahead

Make = Callable[..., MadeUpRoot]
HASH = digest(SECRET)
IN_MEMORY = "profiles/ines/memory/m0.json"


def quiet(_: Progress) -> None:
    """For progress that nobody looks at."""


@pytest.fixture
def root(made_up: Make) -> MadeUpRoot:
    """Three versions: 1 learned the secret, 2 and 3 something else, on top of it."""
    root = made_up(3, gguf_kib=8)
    teach(root, {1: (SECRET, OTHERS[0]), 2: (OTHERS[1],), 3: (OTHERS[2],)})
    return root


@pytest.fixture
def consolidated(made_up: Make) -> MadeUpRoot:
    """The secret was learned by 1; 3 is a consolidation without it, and live; versions that know it are to go."""
    root = made_up(3, gguf_kib=8)
    teach(root, {1: (SECRET, OTHERS[0]), 2: (OTHERS[1],), 3: OTHERS})
    root.edit(3, consolidated=True)
    root.set("forget", "erase_versions = true")
    return root


# --- shown first ----------------------------------------------------------------------------------------------------


def test_without_yes_it_shows_what_would_go_and_does_nothing(root: MadeUpRoot) -> None:
    before = {name: sha for name, sha in root.files().items() if "ledger" not in name}
    shown = root.metahuman("forget", "marramsund", "boat")
    assert shown.code == 0, shown.err
    assert HASH[:12] in shown.out
    assert "2031-01-05  observation  memory/m0.json" in shown.out
    assert f"My boat lies at {MARKER}" in shown.out
    assert OTHERS[0] not in shown.out
    assert "1 memory to erase" in shown.err
    assert "versions 1, 2, 3 still know what is erased" in shown.err
    assert "a consolidation would be due" in shown.err
    assert "nothing was done; --yes does it" in shown.err
    assert {name: sha for name, sha in root.files().items() if "ledger" not in name} == before
    with Ledger(root.paths.ledger) as ledger:
        assert not ledger.forgetting.erased()


def test_a_version_that_trained_nobody_knows_what_is_named(root: MadeUpRoot) -> None:
    root.parts(2).run_dir.joinpath("memories.jsonl").unlink()
    shown = root.metahuman("forget", "marramsund", "boat")
    assert "nobody knows all that versions 2, 3 were trained on" in shown.err
    assert root.forked("forget", HASH[:8], "--dry-run", "--json").json["versions_untold"] == [2, 3]


def test_a_dry_run_can_be_read_by_programs(root: MadeUpRoot) -> None:
    shown = root.forked("forget", HASH[:8], "--dry-run", "--json").json
    (memory,) = shown["memories"]
    assert memory["digest"] == HASH
    assert (memory["files"], memory["says_the_same"]) == (["memory/m0.json"], False)
    assert shown["files_there"] == [str(root.paths.memory / "m0.json")]
    assert (shown["dry_run"], shown["versions_that_know"]) == (True, [1, 2, 3])
    assert (shown["consolidation"], shown["erase_versions"]) == ("version 3 knows what was erased", False)


@pytest.mark.parametrize(
    "named", ["profiles/ines/memory/m0.json", "memory/m0.json", HASH, HASH[:8].upper(), f"boat {MARKER}"]
)
def test_a_memory_is_named_by_its_hash_its_file_or_its_words(root: MadeUpRoot, named: str) -> None:
    shown = root.forked("forget", named, "--json").json
    assert [memory["digest"] for memory in shown["memories"]] == [HASH]


@pytest.mark.parametrize(
    ("named", "code", "said"),
    [
        (("Samarkand",), 1, "no memory that is known holds that word"),
        (("boat", "Samarkand"), 1, "no memory that is known holds all of the 2 words"),
        (("---", "?"), 2, "there is nothing to look for"),
        (("config.toml",), 1, "config.toml holds no memory that is known"),
        (("boat", "--yes", "--dry-run"), 2, "contradict each other"),
    ],
)
def test_what_names_nothing_is_one_clear_line(root: MadeUpRoot, named: tuple[str, ...], code: int, said: str) -> None:
    ended = root.forked("forget", *(("--", *named) if named[0] == "---" else named))
    assert (ended.code, said in ended.err) == (code, True), ended.err
    assert "Traceback" not in ended.err


def test_what_says_nearly_the_same_is_shown_and_goes_too(root: MadeUpRoot) -> None:
    write_memory(root, "again.json", SECRET.replace(" of it.", " of it!"))
    shown = root.forked("forget", HASH[:8])
    assert shown.out.count("(says the same)") == 1
    assert "2 memories to erase" in shown.err
    root.forked("forget", HASH[:8], "--yes")
    with Ledger(root.paths.ledger) as ledger:
        assert len(ledger.forgetting.erased()) == 2


@pytest.mark.parametrize(("answer", "erased"), [("n", 0), ("", 0), ("y", 1)])
def test_on_a_terminal_it_asks(root: MadeUpRoot, answer: str, erased: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "metahuman_daemon.cli", "forget", MARKER, "--config", "config.toml"],
        cwd=root.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=100,
        check=True,
    )
    os.close(theirs)
    assert b"erase for good? [y/N]" in os.read(ours, 1 << 16)
    os.close(ours)
    assert (b"nothing was done" in done.stderr) is not bool(erased)
    with Ledger(root.paths.ledger) as ledger:
        assert len(ledger.forgetting.erased()) == erased


# --- done -----------------------------------------------------------------------------------------------------------


def test_with_yes_the_memory_goes_from_the_ledger_and_the_file_stays_and_is_named(root: MadeUpRoot) -> None:
    ended = root.metahuman("forget", "--yes", MARKER)
    assert ended.code == 0, ended.err
    assert "1 memory is erased" in ended.err
    assert str(root.paths.memory / "m0.json") in ended.err
    assert "a consolidation is due" in ended.err
    assert "versions 1, 2, 3 stay" in ended.err
    stands = where_it_stands(root.folder)
    assert "profiles/ines/state/ledger.sqlite3" not in stands
    assert IN_MEMORY in stands
    status = root.forked("status", "--json").json["profiles"][0]
    assert (status["memories"]["erased"], status["memories"]["known"]) == (1, 3)
    assert (status["consolidation"], status["consolidation_is_due"]) == ("version 3 knows what was erased", True)
    assert status["stale_versions"] == [1, 2, 3]
    told = root.forked("status").out
    assert "erased    1; versions 1, 2, 3 still know what was erased" in told
    assert "a consolidation is due: version 3 knows what was erased" in told


def test_the_next_run_is_a_consolidation_without_it(root: MadeUpRoot) -> None:
    root.forked("forget", "--yes", MARKER)
    ahead = root.forked("fine-tune", "--dry-run")
    assert "would be a consolidation, on all that counts: version 3 knows what was erased" in ahead.out
    assert "would train 0 new and 3 old memories" in ahead.out
    choice = look_ahead(root.settings, Wish(PROFILE)).choice
    assert choice.is_due
    assert {memory.text for memory in choice.replay} == set(OTHERS)
    assert (choice.start.anchor, choice.start.warm_start) == ("base", None)
    assert (choice.start.parent, choice.compared_with) == (root.version(3), root.version(3).adapter_path)
    assert choice.stale == (HASH,)


def test_where_nothing_else_is_known_no_run_is_due_and_that_is_said(made_up: Make) -> None:
    root = made_up(1)
    teach(root, {1: (SECRET,)})
    root.forked("forget", "--yes", MARKER)
    ended = root.forked("fine-tune")
    assert ended.code == 0
    assert "no memory is left to train without it" in ended.err
    assert root.forked("status", "--json").json["profiles"][0]["consolidation_is_due"] is False


def test_typed_again_it_is_erased_already(root: MadeUpRoot) -> None:
    root.forked("forget", "--yes", HASH)
    again = root.forked("forget", "--yes", HASH)
    assert (again.code, "it is erased already, since" in again.err) == (0, True)


def test_what_memories_folder_is_away_can_be_forgotten_all_the_same(root: MadeUpRoot) -> None:
    root.paths.memory.rename(root.folder / "elsewhere")
    ended = root.forked("forget", "--yes", MARKER)
    assert (ended.code, "1 memory is erased" in ended.err) == (0, True), ended.err


def test_an_unfinished_run_that_holds_it_is_thrown_away(root: MadeUpRoot) -> None:
    run_dir = begin_run(root, SECRET)
    studied = root.paths.ledger.with_name("study") / f"{HASH}.json"
    studied.parent.mkdir()
    studied.write_text(SECRET, encoding="utf-8")
    ended = root.forked("forget", "--yes", MARKER)
    assert f"run {run_dir.name} is thrown away" in ended.err
    assert not run_dir.exists()
    assert not studied.exists()


def test_an_unfinished_run_without_it_goes_on(root: MadeUpRoot) -> None:
    run_dir = begin_run(root, OTHERS[2])
    assert root.forked("forget", "--yes", MARKER).code == 0
    assert (run_dir / MEMORIES).is_file()


def test_while_another_command_works_it_is_busy_and_nothing_is_erased(root: MadeUpRoot) -> None:
    with cycle_lock(cycle_lock_path(root.folder), "another run"):
        ended = root.metahuman("forget", "--yes", MARKER)
    assert ended.code == 75
    with Ledger(root.paths.ledger) as ledger:
        assert not ledger.forgetting.erased()


# --- versions that know it ------------------------------------------------------------------------------------------


def test_by_default_they_stay_and_history_and_rollback_say_that_they_know_it(consolidated: MadeUpRoot) -> None:
    root = consolidated
    root.set("forget", "erase_versions = false")
    assert "versions 1, 2 stay" in root.forked("forget", "--yes", MARKER).err
    assert root.forked("prune").code == 0
    assert root.parts(1).has_adapter()
    history = root.forked("history").out
    assert "versions 1, 2 still know what was erased" in history
    assert "consolidated" in history
    plain = root.forked("history", "--json").json["training_history"]
    assert [version["now"]["knows_erased"] for version in plain] == [True, True, False]
    back = root.forked("rollback")
    assert back.code == 0, back.err
    assert "version 2 still knows what was erased: once it is live, a consolidation is due again" in back.err
    assert root.forked("status", "--json").json["profiles"][0]["consolidation_is_due"] is True


def test_they_stay_while_the_live_version_knows_it(root: MadeUpRoot) -> None:
    root.set("forget", "erase_versions = true")
    root.forked("forget", "--yes", MARKER)
    assert root.forked("prune").code == 0
    assert [v.storage for v in root.registry.training_history] == ["serving", "full", "full"]
    assert not any(v.erased for v in root.registry.training_history)


def test_with_erase_versions_nothing_is_left_of_them_but_their_entries(consolidated: MadeUpRoot) -> None:
    root = consolidated
    root.edit(1, pinned=True)
    run_dirs = [root.parts(number).run_dir for number in (1, 2)]
    assert (
        "with the next `metahuman prune`, nothing of versions 1, 2 is left"
        in root.forked("forget", "--yes", MARKER).err
    )
    ahead = root.forked("prune", "--dry-run")
    assert "it knows what was erased; although it is pinned" in ahead.out
    assert "versions 1, 2 would be removed for good" in ahead.err
    freed = root.forked("prune", "--json").json
    assert freed["freed_bytes"] == plan_before(ahead.err)
    assert not any(run_dir.exists() or run_dir.parent.exists() for run_dir in run_dirs)
    assert [(v.storage, v.erased) for v in root.registry.training_history[:2]] == [("removed", True)] * 2
    assert root.version(1).adapter_sha256
    assert root.version(3).storage == "full"
    assert where_it_stands(root.folder) == [IN_MEMORY]
    verified = root.forked("verify")
    assert verified.code == 0, verified.out
    assert "erased" in root.forked("history").out
    assert root.forked("prune").err.count("nothing to clear away") == 1


def plan_before(said: str) -> int:
    """The bytes that `prune --dry-run` says it would free."""
    return int(said.partition("would free ")[2].partition(" ")[0])


def test_in_a_chain_it_begins_on_the_first_anchor_and_the_whole_chain_goes(made_up: Make) -> None:
    root = made_up(3, gguf_kib=8, chained=True)
    teach(root, {1: (SECRET, OTHERS[0]), 2: (OTHERS[1],), 3: OTHERS})
    root.set("training", "reanchor_every = 1")
    root.set("forget", "erase_versions = true")
    root.forked("forget", "--yes", MARKER)
    choice = look_ahead(root.settings, Wish(PROFILE)).choice
    assert (choice.start.anchor, choice.start.anchor_revision) == ("base", root.version(1).anchor_revision)
    assert (choice.start.parent, choice.start.warm_start) == (root.version(3), None)
    assert choice.compared_with == root.version(3).output_model_path
    root.edit(3, consolidated=True, anchor_model="base", anchor_revision=choice.start.anchor_revision)
    assert root.forked("prune").code == 0
    assert [v.erased for v in root.registry.training_history] == [True, True, False]
    assert where_it_stands(root.folder) == [IN_MEMORY]


def test_texts_of_a_version_that_was_removed_before_go_too(consolidated: MadeUpRoot) -> None:
    root = consolidated
    for part in (root.parts(1).model, root.parts(1).adapter):
        shutil.rmtree(part)
    root.parts(1).gguf.unlink()
    root.edit(1, storage="removed")
    root.forked("forget", "--yes", MARKER)
    assert root.forked("prune").code == 0
    assert root.version(1).erased
    assert where_it_stands(root.folder) == [IN_MEMORY]


def test_the_base_of_the_next_run_is_not_erased(consolidated: MadeUpRoot) -> None:
    root = consolidated
    registry = json.loads(root.registry_path.read_text(encoding="utf-8"))
    registry |= {"current_base_model": root.version(2).output_model_path}
    root.registry_path.write_text(json.dumps(registry), encoding="utf-8")
    root.forked("forget", "--yes", MARKER)
    assert root.forked("prune").code == 0
    assert [v.erased for v in root.registry.training_history] == [True, False, False]


def test_copies_in_the_archive_go_and_where_that_is_away_it_is_made_up_for(
    consolidated: MadeUpRoot, tmp_path: Path
) -> None:
    root, cold = consolidated, tmp_path / "cold"
    cold.mkdir()
    root.set("retention", 'archive_dir = "../cold"')
    root.set("retention.serving", "keep_last = 1")
    root.edit(3, parent_version=None)  # a rollback would go back to 2, and 1 is nothing to anybody
    root.forked("prune")
    assert root.version(1).in_archive
    root.forked("forget", "--yes", MARKER)
    cold.rename(tmp_path / "away")
    assert root.forked("prune").code == 1
    assert not root.version(1).erased
    (tmp_path / "away").rename(cold)
    assert root.forked("prune").code == 0
    assert root.version(1).erased
    assert not list(cold.rglob("adapter*"))
    assert where_it_stands(root.folder) == [IN_MEMORY]


@pytest.mark.parametrize("name", ["adapter", "adapter.partial"])
def test_a_copy_in_the_archive_of_which_the_registry_was_not_told_goes_too(
    consolidated: MadeUpRoot, tmp_path: Path, name: str
) -> None:
    root, cold = consolidated, tmp_path / "cold"
    cold.mkdir()
    root.set("retention", 'archive_dir = "../cold"')
    root.set("retention.serving", "keep_last = 1")
    root.edit(3, parent_version=None)
    root.forked("prune")
    copy = next(cold.rglob("adapter"))
    shutil.copytree(copy, root.parts(1).adapter)
    copy.rename(copy.with_name(name))  # killed before all that came after the copy, or in it
    root.edit(1, in_archive=False)
    root.forked("forget", "--yes", MARKER)
    assert root.forked("prune").code == 0
    assert root.version(1).erased
    assert not list(cold.rglob("adapter*"))


# --- in Ollama ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ollama(tmp_path: Path) -> Iterator[OllamaDouble]:
    with OllamaDouble("0.33.0-rc2", tmp_path / "models") as double:
        yield double


def published(root: MadeUpRoot, ollama: OllamaDouble) -> Settings:
    root.set("ollama", f'host = "{ollama.url}"')
    for version in root.registry.training_history:
        publish_one(root.settings, PROFILE, version, quiet, str)
    return root.settings


def tags(ollama: OllamaDouble) -> list[str]:
    return sorted(name.rpartition(":")[2] for name in ollama.store.manifests)


def test_their_tags_leave_ollama_and_the_live_ones_stay(consolidated: MadeUpRoot, ollama: OllamaDouble) -> None:
    settings = published(consolidated, ollama)
    assert tags(ollama) == ["latest", "v1", "v2", "v3"]
    consolidated.metahuman("forget", "--yes", MARKER)
    assert apply_retention(settings, PROFILE, str).errors == ()
    assert tags(ollama) == ["latest", "v3"]
    assert consolidated.metahuman("verify").code == 0


def test_a_server_that_is_down_holds_nothing_up_and_is_made_up_for(
    consolidated: MadeUpRoot, ollama: OllamaDouble
) -> None:
    settings = published(consolidated, ollama)
    ollama.stop()
    consolidated.metahuman("forget", "--yes", MARKER)
    apply_retention(settings, PROFILE, str)
    assert where_it_stands(consolidated.folder) == [IN_MEMORY]
    assert consolidated.forked("status", "--json").json["profiles"][0]["stale_versions"] == [1, 2]
    ollama.start()
    assert plan_ahead(settings, PROFILE).changes == ()
    apply_retention(settings, PROFILE, str)
    assert tags(ollama) == ["latest", "v3"]
    assert consolidated.forked("status", "--json").json["profiles"][0]["stale_versions"] == []


# --- a file that was deleted ----------------------------------------------------------------------------------------


def test_with_on_delete_forget_a_deleted_file_is_forgotten_before_a_run(root: MadeUpRoot) -> None:
    root.set("forget", 'on_delete = "forget"')
    root.forked("status")
    (root.paths.memory / "m0.json").unlink()
    assert "1 memory whose file is gone would be erased first" in root.forked("fine-tune", "--dry-run").out
    (root.folder / "base" / "config.json").unlink()  # the run ends before it trains
    assert "erased, whose files" not in root.forked("fine-tune", "--base-model", "./base").err
    with closing(sqlite3.connect(root.paths.ledger)) as db, db:
        assert db.execute("UPDATE gone SET since = '2020-01-01T00:00:00+00:00' WHERE since <> ''").rowcount == 1
    ended = root.forked("fine-tune", "--base-model", "./base")
    assert "1 memory is erased, whose files were deleted" in ended.err
    with Ledger(root.paths.ledger) as ledger:
        assert list(ledger.forgetting.erased()) == [HASH]
    assert root.forked("status", "--json").json["profiles"][0]["stale_versions"] == [1, 2, 3]


def test_by_default_a_deleted_file_is_still_replayed(root: MadeUpRoot) -> None:
    root.forked("status")
    (root.paths.memory / "m0.json").unlink()
    status = root.forked("status", "--json").json["profiles"][0]
    assert (status["memories"]["deleted"], status["memories"]["superseded"], status["consolidation"]) == (1, 0, "")
    with Ledger(root.paths.ledger) as ledger:
        labels = [v.run_label for v in root.registry.training_history]
        assert SECRET in {one.memory.text for one in ledger.trained(labels)}
