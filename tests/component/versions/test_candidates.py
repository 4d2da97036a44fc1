"""What the planner is told of versions that lie on a disk: their bytes by file, their time, what may not be touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from made_up_root import FIRST_DAY, MadeUpRoot

from metahuman_core.durable import remove, size_bytes
from metahuman_core.journal import Journal
from metahuman_core.versions.footprint import files_of, freed_bytes, parts_below, taken_bytes
from metahuman_core.versions.retention.candidates import candidates, made_at, retention_plan
from metahuman_core.versions.retention.fates import Candidate
from metahuman_core.versions.retention.planning import Plan

Make = Callable[..., MadeUpRoot]
NOW = FIRST_DAY + timedelta(days=100)


@pytest.fixture
def root(made_up: Make) -> MadeUpRoot:
    return made_up(6)


def plan(root: MadeUpRoot, archive: Path | None = None) -> Plan:
    return retention_plan(root.settings, "ines", root.registry, archive, lambda: NOW, UTC)


def facts(root: MadeUpRoot, number: int) -> Candidate:
    found = candidates(root.settings, "ines", root.registry, None, lambda: NOW)
    return next(c for c in found if c.version == number)


def carried_out(root: MadeUpRoot, ahead: Plan) -> int:
    """Delete what the plan says, the newest first; gives the bytes that the disk has got back, by counting inodes."""

    def taken() -> int:
        stats = [p.lstat() for p in root.folder.rglob("*") if p.is_file()]
        return sum({(s.st_dev, s.st_ino): s.st_size for s in stats}.values())

    before = taken()
    for verdict in reversed(ahead.verdicts):
        parts = root.parts(verdict.version)
        was = taken()
        for part in verdict.parts:
            remove(getattr(parts, part))
        assert was - taken() == verdict.frees_bytes, verdict
    return before - taken()


def test_what_is_said_to_be_freed_is_freed_to_the_byte(root: MadeUpRoot) -> None:
    ahead = plan(root)
    assert [v.after for v in ahead.verdicts] == ["archived", "archived", "archived", "serving", "full", "full"]
    assert ahead.before_bytes == sum(root.parts(n).size_bytes() for n in range(1, 7))
    assert carried_out(root, ahead) == ahead.frees_bytes == ahead.before_bytes - ahead.after_bytes


def test_a_file_that_versions_share_is_freed_by_the_last_of_them(root: MadeUpRoot) -> None:
    """As a program that looks for duplicates leaves it: one tokenizer, under a name in each version."""
    first = root.parts(1).model / "tokenizer.json"
    first.write_bytes(b"x" * 5000)
    for number in (2, 3):
        other = root.parts(number).model / "tokenizer.json"
        other.unlink()
        os.link(first, other)
    ahead = plan(root)
    freed = {v.version: v.frees_bytes for v in ahead.verdicts}
    assert freed[1] == size_bytes(root.parts(1).model) + size_bytes(root.parts(1).gguf)
    assert freed[2] == size_bytes(root.parts(2).model) + size_bytes(root.parts(2).gguf) - 5000
    assert carried_out(root, ahead) == ahead.frees_bytes


def test_a_file_that_one_who_stays_shares_is_not_freed(root: MadeUpRoot) -> None:
    tokenizer = root.parts(1).model / "tokenizer.json"
    tokenizer.unlink()
    os.link(root.parts(6).model / "tokenizer.json", tokenizer)
    ahead = plan(root)
    assert carried_out(root, ahead) == ahead.frees_bytes


def test_a_gguf_that_is_ollamas_too_counts_once_and_whole(root: MadeUpRoot) -> None:
    """It goes from Ollama with the version's tag. Somebody's own copy under another name does not go."""
    parts = root.parts(1)
    os.link(parts.gguf, root.folder / "blob")
    root.edit(1, publication="done")
    whole = parts.gguf.stat().st_size
    assert freed_bytes(files_of(root.version(1), parts)["gguf"]) == whole
    os.link(parts.gguf, root.folder / "a copy")
    assert freed_bytes(files_of(root.version(1), parts)["gguf"]) == 0
    (root.folder / "a copy").unlink()
    root.edit(1, publication="off")
    assert freed_bytes(files_of(root.version(1), parts)["gguf"]) == 0
    assert taken_bytes(files_of(root.version(1), parts)["gguf"]) == whole


def test_with_an_archive_adapters_go_from_here_too(root: MadeUpRoot, tmp_path: Path) -> None:
    root.parts(1).gguf.unlink()
    remove(root.parts(1).model)
    root.edit(1, storage="archived")
    ahead = plan(root, tmp_path)
    assert [v.parts for v in ahead.verdicts[:2]] == [("adapter",), ("model", "gguf", "adapter")]
    assert carried_out(root, ahead) == ahead.frees_bytes


def test_a_card_is_part_of_what_it_stands_on(root: MadeUpRoot) -> None:
    before = plan(root).verdicts[0].frees_bytes
    (root.parts(1).model / "README.md").write_bytes(b"x" * 77)
    assert plan(root).verdicts[0].frees_bytes == before + 77


def test_parts_that_are_not_here_are_not_named(root: MadeUpRoot) -> None:
    remove(root.parts(1).model)
    files = files_of(root.version(1), root.parts(1))
    assert parts_below(files, "archived", archives=False) == ("gguf",)
    assert parts_below(files, "removed", archives=False) == ("gguf", "adapter")
    assert parts_below(files, "archived", archives=True) == ("gguf", "adapter")


def test_without_its_adapter_a_version_is_not_lowered(root: MadeUpRoot) -> None:
    remove(root.parts(2).adapter)
    verdict = plan(root).verdicts[1]
    assert (verdict.before, verdict.after, verdict.parts) == ("full", "full", ())
    assert verdict.reasons[0].startswith("cannot be rebuilt: its adapter is not in ")


def test_a_plan_that_lowers_nothing_reads_no_adapter(root: MadeUpRoot) -> None:
    """What cannot be read is not noticed; as soon as it is needed it is."""
    (root.parts(2).adapter / "adapter_model.safetensors").write_bytes(b"another")
    root.set("retention", "full.keep_last = 9")
    assert plan(root).verdicts[1].reasons == ("one of the last 9",)
    root.set("retention", "full.keep_last = 1")
    assert plan(root).verdicts[1].reasons[0].startswith("cannot be rebuilt")


def test_a_limit_looks_for_another_where_one_cannot_be_rebuilt(root: MadeUpRoot) -> None:
    remove(root.parts(1).adapter)
    root.set("retention", "full.keep_last = 9")
    taken = plan(root).before_bytes
    root.set("retention", f"max_total_gb = {(taken - 60_000) / 1e9:.9f}")
    assert [v.after for v in plan(root).verdicts] == ["full", "serving", "full", "full", "full", "full"]


def test_an_unfinished_run_keeps_what_it_goes_on_from(root: MadeUpRoot) -> None:
    inputs = Journal.open(root.parts(3).run_dir, lambda: NOW).file.inputs
    run_dir = root.paths.run_dir("2031-04-01-000000-abcdef")
    run_dir.mkdir(parents=True)
    Journal.begin(run_dir, {**inputs, "parent_version": 2}, lambda: NOW)
    verdict = plan(root).verdicts[1]
    assert verdict.reasons == (f"the unfinished run {run_dir.name} goes on from it",)
    assert verdict.after == "full"


def test_the_base_that_an_unfinished_run_is_trained_on_is_kept_too(root: MadeUpRoot) -> None:
    inputs = Journal.open(root.parts(3).run_dir, lambda: NOW).file.inputs
    run_dir = root.paths.run_dir("2031-04-01-000000-abcdef")
    run_dir.mkdir(parents=True)
    begun = {**inputs, "parent_version": 3, "anchor": root.version(1).output_model_path}
    Journal.begin(run_dir, begun, lambda: NOW)
    told = f"the unfinished run {run_dir.name} goes on from it"
    assert [v.version for v in plan(root).verdicts if told in v.reasons] == [1, 3]


def test_an_entry_that_names_no_folder_of_ours_is_not_touched(root: MadeUpRoot) -> None:
    root.edit(1, run_label="../../../etc")
    verdict = plan(root).verdicts[0]
    assert (verdict.after, verdict.parts) == (verdict.before, ())
    assert verdict.reasons == ("its entry names no folder of ours",)


def test_what_an_entry_does_not_say_the_disk_does(root: MadeUpRoot) -> None:
    root.edit(1, storage=None)
    assert facts(root, 1).storage == "full"
    remove(root.parts(1).model)
    assert facts(root, 1).storage == "serving"


def test_the_time_is_the_registrations_or_else_the_runs(root: MadeUpRoot) -> None:
    version = root.version(2)
    assert made_at(version) == FIRST_DAY + timedelta(days=1)
    by_hand = version.model_copy(update={"timestamp": "2031-02-03 10:00"})
    assert made_at(by_hand) == datetime(2031, 2, 3, 10, tzinfo=UTC)
    nonsense = version.model_copy(update={"timestamp": "last Tuesday"})
    assert made_at(nonsense) == FIRST_DAY + timedelta(days=1)
    assert made_at(nonsense.model_copy(update={"run_label": "2031-13-45-999999-abcdef"})) is None
