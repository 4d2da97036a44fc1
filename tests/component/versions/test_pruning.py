"""What retention decided is carried out to the byte, in an order that a kill anywhere finishes, version by version."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made_up_root import MadeUpRoot, make_up_root, noise

from metahuman_core.durable import sha256_file
from metahuman_core.errors import BusyError
from metahuman_core.layout import cycle_lock_path, reserve_path
from metahuman_core.locks import cycle_lock
from metahuman_core.registry import Version, update_registry
from metahuman_core.versions.archive import MARKER
from metahuman_core.versions.pruning import tombstone
from metahuman_core.versions.pruning.carrying_out import carry_out, finish_prunings
from metahuman_core.versions.pruning.clearing import site_of
from metahuman_core.versions.retention.planning import Verdict
from metahuman_daemon.retention import Applied, apply_after_a_run, apply_retention, plan_ahead
from metahuman_daemon.service.agenda import Job, Outcome
from metahuman_daemon.service.jobs import Running

Make = Callable[..., MadeUpRoot]
TEXTS = {"run.json", "memories.jsonl", "dataset.jsonl", "evaluation.json"}


def said_nowhere(_: str) -> None:
    """For what is not looked at."""


def prune(root: MadeUpRoot) -> Applied:
    return apply_retention(root.settings, "ines", said_nowhere)


def nobody_withdraws(version: Version) -> bool:
    raise AssertionError(f"version {version.version} was never published")


def states(root: MadeUpRoot) -> str:
    """The storages by version, as f(ull), s(erving), a(rchived), r(emoved); they must be what the disk says."""
    history = root.registry.training_history
    for version in history:
        on_disk = root.parts(version.version).storage()
        in_archive = version.in_archive and version.storage == "archived"
        assert version.storage == ("archived" if in_archive else on_disk), version.version
        assert not list(root.parts(version.version).run_dir.glob("*.partial"))
    assert tombstone.folders(root.paths) == []
    return "".join((version.storage or "?")[0] for version in history)


def remove_old_ones(root: MadeUpRoot) -> None:
    """Let versions be removed: only the last one that the rules name, and what is protected, stays."""
    kept = root.registry.versioning.model_copy(update={"keep_all_versions": False})
    update_registry(root.registry_path, lambda registry: registry.changed(versioning=kept))


# --- what is said is what is done -----------------------------------------------------------------------------------


def test_a_dry_run_says_to_the_byte_what_is_then_freed(made_up: Make) -> None:
    root = made_up(8)
    files, on_disk = root.files(), root.bytes_on_disk()
    ahead = root.forked("prune", "--dry-run", "--json")
    assert ahead.code == 0
    assert root.files() == files
    done = root.forked("prune", "--json")
    assert done.code == 0
    assert on_disk - root.bytes_on_disk() == done.json["freed_bytes"] == ahead.json["frees_bytes"] > 500_000
    assert done.json["verdicts"] == ahead.json["verdicts"]
    assert root.bytes_on_disk() - done.json["after_bytes"] == sum(
        path.stat().st_size for path in root.paths.runs.rglob("*") if path.name in TEXTS
    )
    assert states(root) == "aaaaasff"


def test_the_table_has_a_line_with_reasons_for_each_version(made_up: Make) -> None:
    said = made_up(5).forked("prune", "--dry-run")
    lines = said.out.splitlines()
    assert len(lines) == 1 + 5 + 1
    assert "full → archived" in lines[1]
    assert "keep_all_versions" in lines[1]
    assert "the live version" in lines[5]
    assert "nothing was done" in said.err


def test_nothing_to_do_says_so(made_up: Make) -> None:
    root = made_up(2)
    prune(root)  # which keeps a little room from now on
    files = root.files()
    for command in (["prune", "--dry-run"], ["prune"]):
        said = root.forked(*command)
        assert (said.code, said.err) == (0, "nothing to clear away\n")
    assert root.files() == files


def test_there_may_be_no_version_at_all(made_up: Make) -> None:
    said = made_up(0).forked("prune")
    assert (said.code, said.out, said.err) == (0, "", "nothing to clear away\n")


def test_the_small_texts_and_every_adapter_stay(made_up: Make) -> None:
    root = made_up(6)
    before = root.files()
    prune(root)
    gone = set(before) - set(root.files())
    assert gone
    assert all("/model/" in name or name.endswith("model.gguf") for name in gone)


def test_a_policy_that_names_nothing_is_one_line_and_nothing_goes(made_up: Make) -> None:
    root = made_up(4)
    for state in ("full", "serving"):
        root.set(f"retention.{state}", "keep_last = 0")
    files = root.files()
    said = root.forked("prune")
    assert said.code == 78
    assert said.err.count("\n") == 2
    assert "names no version" in said.err
    assert root.files() == files


def test_another_command_that_runs_is_not_disturbed(made_up: Make) -> None:
    root = made_up(5)
    lock = root.folder / "state" / "cycle.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert root.forked("prune").code == 75
    assert states(root) == "fffff"


# --- what must not go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["gone", "other bytes", "no shape", "no base"])
def test_what_cannot_be_rebuilt_keeps_all_that_it_has(made_up: Make, damage: str) -> None:
    root = made_up(5)
    weights = root.parts(2).adapter / "adapter_model.safetensors"
    if damage == "gone":
        weights.unlink()
    elif damage == "other bytes":
        weights.write_bytes(noise("other", weights.stat().st_size))
    elif damage == "no shape":
        (root.parts(2).adapter / "adapter_config.json").write_text("{", encoding="utf-8")
    else:
        (root.folder / "base" / "config.json").unlink()
    applied = prune(root)
    assert not applied.errors
    assert "cannot be rebuilt" in applied.plan.verdicts[1].reasons[0]
    assert root.parts(2).has_model()
    assert root.parts(2).has_gguf()


def test_what_changed_after_the_plan_is_left_as_it_is(made_up: Make) -> None:
    root = made_up(6)
    verdicts = plan_ahead(root.settings, "ines").verdicts
    root.edit(1, pinned=True)
    root.edit(2, storage="serving")
    weights = root.parts(3).adapter / "adapter_model.safetensors"
    weights.write_bytes(b"other")
    files = root.files()
    done = carry_out(verdicts[:3], site_of(root.settings, "ines"), nobody_withdraws, said_nowhere)
    assert [line.partition(" (")[0] for line in done.errors[1:]] == [
        "version 2: it has changed meanwhile, and is left as it is",
        "version 1: it is pinned, and is left as it is",
    ]
    assert "version 3: it could not be rebuilt" in done.errors[0]
    assert root.files() == files


def test_nothing_is_removed_while_all_versions_are_kept(made_up: Make) -> None:
    root = made_up(4)
    verdict = Verdict(1, "full", "removed", ("a test",), ("model", "gguf", "adapter"), 0)
    files = root.files()
    done = carry_out([verdict], site_of(root.settings, "ines"), nobody_withdraws, said_nowhere)
    assert "keep_all_versions is true" in done.errors[0]
    assert root.files() == files


def test_a_base_of_another_version_is_not_removed_before_that(made_up: Make) -> None:
    root = made_up(5, chained=True)
    remove_old_ones(root)
    parts = ("model", "gguf", "adapter")
    both = [Verdict(number, "full", "removed", ("a test",), parts, 0) for number in (1, 2)]
    site = site_of(root.settings, "ines")
    assert "version 2 stands on its model/" in carry_out(both[:1], site, nobody_withdraws, said_nowhere).errors[0]
    assert "version 3 stands on its model/" in carry_out(both[1:], site, nobody_withdraws, said_nowhere).errors[0]
    three = Verdict(3, "full", "removed", ("a test",), parts, 0)
    assert carry_out([*both, three], site, nobody_withdraws, said_nowhere).errors[0].startswith("version 3")
    assert states(root) == "fffff"


def test_a_removed_version_leaves_its_entry_and_its_texts(made_up: Make) -> None:
    root = made_up(6)
    remove_old_ones(root)
    assert "versions 1, 2, 3 would be removed for good" in root.forked("prune", "--dry-run").err
    assert not prune(root).errors
    assert states(root) == "rrrsff"
    assert {path.name for path in root.parts(1).run_dir.iterdir()} == TEXTS
    assert root.forked("history").code == 0
    assert not prune(root).plan.changes


# --- cold storage ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cold(tmp_path: Path) -> Path:
    folder = tmp_path / "cold"
    folder.mkdir()
    return folder


def archiving(root: MadeUpRoot, cold: Path) -> MadeUpRoot:
    root.set("retention", f'archive_dir = "{cold}"')
    return root


def test_adapters_of_archived_versions_move_to_the_archive(made_up: Make, cold: Path) -> None:
    root = archiving(made_up(6), cold)
    adapters = {n: {p.name: p.read_bytes() for p in root.parts(n).adapter.iterdir()} for n in (1, 2, 3)}
    ahead, on_disk = plan_ahead(root.settings, "ines"), root.bytes_on_disk()
    applied = prune(root)
    assert states(root) == "aaasff"
    assert on_disk - root.bytes_on_disk() == applied.freed_bytes == ahead.frees_bytes
    for number, files in adapters.items():
        version = root.version(number)
        copy = cold / "ines" / version.run_label / "adapter"
        assert version.in_archive
        assert not root.parts(number).adapter.exists()
        assert {path.name: path.read_bytes() for path in copy.iterdir()} == files
    assert not prune(root).plan.changes


def test_versions_archived_before_move_as_soon_as_there_is_an_archive(made_up: Make, cold: Path) -> None:
    root = made_up(6)
    prune(root)
    archiving(root, cold)
    applied = prune(root)
    assert [verdict.version for verdict in applied.plan.changes] == [1, 2, 3]
    assert applied.freed_bytes == applied.plan.frees_bytes > 9000
    assert states(root) == "aaasff"


@pytest.mark.parametrize("how", ["missing", "unmounted"])
def test_an_archive_that_is_away_is_an_error_of_those_versions_alone(made_up: Make, cold: Path, how: str) -> None:
    root = archiving(made_up(6), cold)
    if how == "missing":
        cold.rmdir()
    else:
        root.edit(1, in_archive=True, storage="archived")
    ahead = root.forked("prune", "--dry-run")
    assert ahead.code == 0
    assert f"would stay: the archive {cold}" in ahead.err
    said = root.forked("prune")
    assert said.code == 1
    assert "3 versions could not be cleared away" in said.err
    assert all(root.parts(number).has_adapter() and root.parts(number).has_model() for number in (1, 2, 3))
    assert root.version(4).storage == "serving"
    assert not (cold / MARKER).exists()


def test_a_removed_version_has_no_copy_in_the_archive_left(made_up: Make, cold: Path) -> None:
    root = archiving(made_up(6), cold)
    prune(root)
    remove_old_ones(root)
    assert not prune(root).errors
    assert states(root) == "rrrsff"
    assert not any(version.in_archive for version in root.registry.training_history)
    assert list((cold / "ines").iterdir()) == []


def test_an_archive_that_fills_up_is_one_line_for_each_version_that_found_no_room(
    made_up: Make, small_disk: Path
) -> None:
    root = archiving(made_up(5), small_disk)
    weights = root.parts(1).adapter / "adapter_model.safetensors"
    weights.write_bytes(noise("large", 200_000))
    root.edit(1, adapter_sha256=sha256_file(weights))
    said = root.forked("prune")
    assert said.code == 1
    assert said.err.count("No space left on device") == 1
    assert "version 1: " in said.err
    assert states(root) == "fasff"
    assert not list(small_disk.rglob("*.partial"))
    assert not root.version(1).in_archive


def test_a_copy_that_rotted_keeps_the_adapter_here(made_up: Make, cold: Path) -> None:
    root = archiving(made_up(4), cold)
    copy = cold / "ines" / root.version(1).run_label / "adapter"
    copy.mkdir(parents=True)
    (copy / "adapter_model.safetensors").write_bytes(b"rotten")
    applied = prune(root)
    assert "in the archive is not the one that was registered" in applied.errors[0]
    assert states(root) == "fsff"


# --- broken off, and gone wrong -------------------------------------------------------------------------------------


class Killed(BaseException):
    """As SIGKILL would: nobody catches it."""


STEPS = ("put away", "tombstone", "registry", "renamed", "removed", "done")


def kill_at(step: str, times: int = 1) -> Callable[[str], None]:
    left = [times]

    def reached(what: str) -> None:
        left[0] -= what == step
        if what == step and left[0] == 0:
            raise Killed

    return reached


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("removes", [False, True])
def test_killed_after_any_step_the_next_start_finishes(made_up: Make, step: str, removes: bool) -> None:
    if removes and step == "put away":
        pytest.skip("what is removed is not put away")
    root, other = (made_up(5, name) for name in ("killed", "whole"))
    for one in (root, other):
        archiving(one, Path("cold"))
        (one.folder / "cold").mkdir()
        if removes:
            prune(one)
            remove_old_ones(one)
    plan = plan_ahead(root.settings, "ines")
    with pytest.raises(Killed):
        carry_out(plan.verdicts, site_of(root.settings, "ines"), nobody_withdraws, said_nowhere, kill_at(step))
    assert finish_prunings(root.settings, "ines", said_nowhere) == []
    states(root)
    for one in (root, other):
        assert not prune(one).errors
    assert states(root) == states(other) == ("rrsff" if removes else "aasff")
    assert root.files() == other.files()


def test_what_the_registry_was_not_told_of_is_taken_back(made_up: Make) -> None:
    root = made_up(4)
    files = root.files()
    with pytest.raises(Killed):
        carry_out(
            plan_ahead(root.settings, "ines").verdicts,
            site_of(root.settings, "ines"),
            nobody_withdraws,
            said_nowhere,
            kill_at("tombstone"),
        )
    assert len(tombstone.folders(root.paths)) == 1
    finish_prunings(root.settings, "ines", said_nowhere)
    assert root.files() == files


def test_a_tombstone_that_nobody_can_read_is_one_versions_trouble(made_up: Make) -> None:
    root = made_up(5)
    (root.parts(1).run_dir / tombstone.NAME).write_text("{", encoding="utf-8")
    said = root.forked("prune")
    assert said.code == 1
    assert "version 1: " in said.err
    assert "cannot be understood" in said.err
    assert root.version(2).storage == "archived"


@pytest.fixture
def immutable() -> Iterator[Callable[[Path], None]]:
    """Make files that even root cannot delete."""
    made: list[Path] = []

    def make(path: Path) -> None:
        if subprocess.run(["chattr", "+i", str(path)], check=False, capture_output=True).returncode != 0:
            pytest.skip("this file system has no immutable files, or we may not make them")
        made.append(path)

    yield make
    for path in made:
        found = path if path.exists() else next(path.parents[1].rglob(path.name))
        subprocess.run(["chattr", "-i", str(found)], check=True)


def test_a_file_that_cannot_go_is_its_versions_error_and_the_registry_says_that_it_is_here(
    made_up: Make, immutable: Callable[[Path], None]
) -> None:
    root = made_up(6)
    immutable(root.parts(2).gguf)
    said = root.forked("prune")
    assert said.code == 1
    assert "version 2: Operation not permitted" in said.err
    assert "1 version could not be cleared away" in said.err
    assert states(root) == "afasff"


def test_a_folder_that_cannot_be_emptied_is_said_until_it_can(made_up: Make, immutable: Callable[[Path], None]) -> None:
    root = made_up(4)
    inside = root.parts(1).model / "model.safetensors"
    immutable(inside)
    assert root.forked("prune").code == 1
    assert root.version(1).storage == "archived"
    assert not root.parts(1).has_model()
    assert root.forked("prune").code == 1
    left = root.parts(1).run_dir / "model.partial" / "model.safetensors"
    subprocess.run(["chattr", "-i", str(left)], check=True)
    assert root.forked("prune").code == 0
    assert states(root) == "asff"
    inside.parent.mkdir()
    inside.touch()  # what the fixture makes mutable again


def test_a_read_only_file_system_is_its_versions_error(made_up: Make) -> None:
    root = made_up(6)
    place = str(root.parts(2).run_dir)
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", place, place], check=False).returncode != 0:
        pytest.skip("a file system has to be mounted, and that is root's to do")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        said = root.forked("prune")
    finally:
        subprocess.run(["umount", place], check=True)
    assert said.code == 1
    assert "version 2: Read-only file system" in said.err
    assert states(root) == "afasff"


# --- by itself ------------------------------------------------------------------------------------------------------


def tidied(root: MadeUpRoot) -> Outcome:
    """What the daemon's tidying comes to, in a process of its own."""
    running = Running(Job("tidy", "ines", "a test"), root.settings, datetime(2031, 3, 1, tzinfo=UTC))
    while not running.has_ended():
        select.select([running], [], [], 10)
        list(running.said(time.monotonic()))
    return running.outcome()


def test_the_daemon_applies_the_policy_when_it_tidies(made_up: Make) -> None:
    root = made_up(5)
    ahead = plan_ahead(root.settings, "ines")
    assert tidied(root) == Outcome("done", result={"removed": [], "freed_bytes": ahead.frees_bytes})
    assert states(root) == "aasff"


def test_what_went_wrong_with_a_version_is_what_the_daemon_has_to_say(made_up: Make) -> None:
    root = made_up(5)
    root.set("retention", 'archive_dir = "/nowhere/cold"')
    outcome = tidied(root)
    assert outcome.end == "failed"
    assert outcome.message.startswith("version 2: the archive /nowhere/cold is not there (mount it")
    assert outcome.message.endswith("(and 1 more)")
    assert states(root) == "ffsff"


def test_after_a_run_by_hand_the_policy_is_applied_and_says_how_to_have_it_otherwise(made_up: Make) -> None:
    root, said = made_up(5), list[str]()
    apply_after_a_run(root.settings, "ines", said.append)
    assert states(root) == "aasff"
    assert len(said) == 4
    assert "`metahuman rebuild V`; `metahuman pin V`" in said[-1]


def test_a_run_by_hand_is_not_spoilt_by_what_its_clearing_away_comes_to(made_up: Make) -> None:
    root, said = made_up(5), list[str]()
    with cycle_lock(cycle_lock_path(root.folder), "a test"):
        apply_after_a_run(root.settings, "ines", said.append)
    root.edit(1, model_bytes=-1)
    apply_after_a_run(root.settings, "ines", said.append)
    assert ["another cycle runs" in said[0], "contradicts itself" in said[1]] == [True, True]
    assert states(root) == "fffff"


def test_what_stands_on_a_model_that_was_accepted_as_another_keeps_all_that_it_has(made_up: Make) -> None:
    root = made_up(5, chained=True)
    root.edit(2, anchor_revision_first="f" * 64)
    verdict = Verdict(2, "full", "archived", (), ("model", "gguf"), 0)
    done = carry_out([verdict], site_of(root.settings, "ines"), nobody_withdraws, said_nowhere)
    assert "version 2 would come out otherwise" in done.errors[0]
    assert prune(root).errors == ()
    assert states(root) == "afsff"


def test_where_no_version_lies_none_is_entered_as_removed(made_up: Make) -> None:
    """Their drive is not mounted, or they are another profile's."""
    root = made_up(5)
    remove_old_ones(root)
    root.paths.runs.rename(root.folder / "elsewhere")
    before = root.registry
    for words in (("prune",), ("prune", "--dry-run")):
        said = root.forked(*words)
        assert said.code == 1
        assert "is its drive mounted" in said.err
    assert root.registry == before
    assert not root.paths.runs.exists()


def fill_up(disk: Path) -> None:
    """Leave not a byte free."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_on_a_full_disk_the_lock_is_held_nevertheless(small_disk: Path) -> None:
    """What makes room must not fail on the words that say who makes it."""
    fill_up(small_disk)
    lock = small_disk / "cycle.lock"
    with cycle_lock(lock, "prune"), pytest.raises(BusyError), cycle_lock(lock, "another"):
        pass


def test_a_disk_that_is_full_to_the_last_byte_is_cleared(disk_of: Callable[[str], Path]) -> None:
    """The room for tombstone and registry was kept when there was some, and is kept again."""
    disk = disk_of("24m")
    root = make_up_root(disk / "root", 5)
    root.set("retention", "serving.keep_last = 5")
    prune(root)
    root.set("retention", "serving.keep_last = 1")
    fill_up(disk)
    applied = prune(root)
    assert applied.errors == ()
    assert applied.freed_bytes == applied.plan.frees_bytes > 0
    assert states(root) == "aaaff"
    (disk / "ballast").unlink()
    prune(root)
    assert reserve_path(root.folder).stat().st_size >= 1 << 18
