"""SIGKILL in each step and between all of them: the same command goes on, and the result is the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from workshop import Reference, Workshop, at_once, halves, made_by

# What a step makes beside its artefact; the whole sweep strikes there, too.
_LESSER = re.compile(r"adapter\.partial/|train-log|loss\.svg|checkpoint-(?!2/)")


def finish(workshop: Workshop, reference: Reference) -> None:
    """The same command ends the run, and there is nothing in what it made that tells of the interruptions."""
    ended = workshop.fine_tune()
    assert ended.code == 0, f"{ended.err}\n{workshop.child_log()}"
    assert made_by(workshop) == reference.made
    again = Workshop(workshop.root, "").fine_tune()
    assert (again.code, "nothing new to train" in again.err) == (0, True)


def strike(workshop: Workshop, moment: str, how: str = "kill") -> None:
    """Start the same command and kill it at `moment`."""
    ended = workshop.fine_tune(moment=moment, how=how)
    assert ended.was_killed, f"at {moment}: exit {ended.code}\n{ended.err}\n{workshop.child_log()}"
    assert (ended.code == -9) or how == "kill"
    workshop.wait_for_the_lock()
    workshop.registry()


def commits(moments: Iterable[str]) -> list[str]:
    """The moments in which something gets its name: artefacts, journal entries, the registry."""
    return [moment for moment in moments if moment.startswith("name ")]


@pytest.mark.timeout(900)
def test_killed_before_each_artefact_and_each_journal_entry_in_turn_it_comes_to_the_same_end(
    reference: Reference, llama: str, tmp_path: Path
) -> None:
    moments = [m for m in commits(reference.moments) if not _LESSER.search(m)]
    assert len(moments) > 16

    def struck(name: str, moments: list[str]) -> None:
        workshop = Workshop.make(tmp_path / name, llama)
        for moment in moments:
            # In the middle of the training it is the command itself that is killed, and its child must go with it.
            strike(workshop, moment, "kill-parent" if "checkpoint" in moment else "kill")
        finish(workshop, reference)

    some, others = halves(moments)
    at_once(lambda: struck("some", some), lambda: struck("others", others))


@pytest.mark.timeout(900)
def test_killed_while_it_reads_the_memories_it_reads_them_again(workshop: Workshop, tmp_path: Path) -> None:
    untouched = Workshop.make(tmp_path / "untouched", workshop.base)
    ahead = untouched.fine_tune("--dry-run", log=tmp_path / "moments")
    statements = [m for m in (tmp_path / "moments").read_text(encoding="utf-8").splitlines() if m.startswith("sql ")]

    def struck(number: int, moment: str) -> None:
        struck = Workshop.make(tmp_path / f"struck-{number}", workshop.base)
        assert struck.fine_tune("--dry-run", moment=moment, how="kill").was_killed, moment
        assert struck.fine_tune("--dry-run") == ahead, moment

    at_once(*(partial(struck, *one) for one in enumerate(dict.fromkeys(statements[::6]))))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["write", "make", "name", "remove", "start"])
def test_killed_at_every_moment_in_turn_it_comes_to_the_same_end(
    workshop: Workshop, reference: Reference, kind: str
) -> None:
    for moment in reference.moments:
        if moment.startswith(f"{kind} "):
            strike(workshop, moment)

    finish(workshop, reference)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_once_at_any_commit_it_comes_to_the_same_end(reference: Reference, llama: str, tmp_path: Path) -> None:
    for number, moment in enumerate(commits(reference.moments)):
        workshop = Workshop.make(tmp_path / str(number), llama)
        strike(workshop, moment)
        finish(workshop, reference)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_killed_command_leaves_nobody_behind_whatever_it_was_doing(workshop: Workshop, reference: Reference) -> None:
    by_the_child = [moment for moment in commits(reference.moments) if not moment.endswith("@-")]

    for moment in by_the_child:
        strike(workshop, moment, "kill-parent")

    finish(workshop, reference)
