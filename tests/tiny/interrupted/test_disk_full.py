"""A disk that fills up, in each step: one clear line, and after making room the same command finishes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workshop import Reference, Workshop, at_once, halves, made_by

_DISK_MIB = 512
_STEPS = (
    "sql BEGIN IMMEDIATE @-",
    "write memories.jsonl.partial @-",
    "write run.json.partial @-",
    "write dataset.jsonl.partial @0",
    "write run.json.partial @0",
    "make checkpoint-2 @1",
    "make adapter.partial @1",
    "write evaluation.json.partial @2",
    "make model.partial @3",
    "write skeleton.gguf.partial @3",
    "start quantise_main @3",
    "write model.gguf.partial @3",
    "start logits_main @4",
    "write report.html.partial @5",
    "write Modelfile.partial @6",
    "write model-registry.json.partial @7",
    "write run.json.partial @7",
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory that is the test's own."""
    with mounted(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """Another one."""
    with mounted(tmp_path / "other") as folder:
        yield folder


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("mounting a tmpfs takes root")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill_up_and_make_room(workshop: Workshop, moment: str) -> bool:
    """The disk fills up at `moment`: the command says so in a line, and takes nothing else with it.

    False where it could do all that was left: the moment lay behind already, or a name that was given anew made room.
    """
    ended = workshop.fine_tune(moment=moment, how="fill")
    (workshop.root / "ballast").unlink(missing_ok=True)
    if ended.code == 0:
        return False
    assert ended.code == 1, f"at {moment}: exit {ended.code}\n{ended.err}\n{workshop.child_log()}"
    full = ("No space left on device", "disk is full")
    assert any(word in ended.complaint for word in full), f"at {moment}:\n{ended.err}\n{workshop.child_log()}"
    registry = workshop.registry()
    assert registry is None or len(registry.training_history) <= 1
    return True


def finish(workshop: Workshop, reference: Reference) -> None:
    ended = workshop.fine_tune()
    assert ended.code == 0, f"{ended.err}\n{workshop.child_log()}"
    assert made_by(workshop) == reference.made


@pytest.mark.timeout(900)
def test_a_disk_that_is_full_in_each_step_in_turn_costs_a_line_and_no_more(
    small_disk: Path, other_disk: Path, llama: str, reference: Reference
) -> None:
    def filled(disk: Path, steps: list[str]) -> None:
        workshop = Workshop.make(disk, llama)
        for step in steps:
            assert fill_up_and_make_room(workshop, reference.moment(step)), step
        finish(workshop, reference)

    some, others = halves(_STEPS)
    at_once(lambda: filled(small_disk, some), lambda: filled(other_disk, others))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_disk_that_is_full_at_any_moment_costs_a_line_and_no_more(
    small_disk: Path, llama: str, reference: Reference
) -> None:
    workshop = Workshop.make(small_disk / "root", llama)

    for moment in (m for m in reference.moments if m.startswith(("write ", "start ", "name "))):
        # On its way to where it missed the room, the run before may have gone past this moment: then once more, anew.
        for _ in range(2):
            if fill_up_and_make_room(workshop, moment):
                break
            assert made_by(workshop) == reference.made
            shutil.rmtree(workshop.root)
            workshop = Workshop.make(small_disk / "root", llama)

    finish(workshop, reference)
