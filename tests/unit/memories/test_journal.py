"""Journals and notes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from metahuman_core.memories.model import Memory
from metahuman_core.memories.read import Limits

if TYPE_CHECKING:
    from conftest import Tree


def test_a_page_without_headings_is_one_memory(tree: Tree) -> None:
    tree.write("journal/2025-03-01.md", "\ufeffIt rained.\r\n\r\nI read.\r\n")
    memory = tree.memory()
    assert (memory.text, memory.unit, memory.title) == ("It rained.\n\nI read.", "", "")
    assert (memory.kind, memory.mode, memory.happened_at) == ("journal", "emulation", datetime(2025, 3, 1, tzinfo=UTC))


def test_each_heading_s_section_is_a_memory(tree: Tree) -> None:
    tree.write("notes.md", "Before.\n\n# 2025-03-01\n## Morning ##\nRan.\n## Evening\nRead.\n# 2025-03-02\nSlept.\n")
    memories = [(memory.unit, memory.title, memory.text) for memory in tree.memories()]
    assert memories == [
        ("", "notes", "Before."),
        ("2025-03-01 / Morning", "Morning", "Ran."),
        ("2025-03-01 / Evening", "Evening", "Read."),
        ("2025-03-02", "2025-03-02", "Slept."),
    ]
    assert [memory.happened_at and memory.happened_at.day for memory in tree.memories()] == [None, 1, 1, 2]


def test_equal_headings_get_an_ordinal(tree: Tree) -> None:
    tree.write("a.md", "# Day\na\n# Day\nb\n# Day (2)\nc\n# Day\nd\n")
    assert [memory.unit for memory in tree.memories()] == ["Day", "Day (2)", "Day (2) (2)", "Day (3)"]


def test_a_page_that_is_written_on_brings_only_its_new_section(tree: Tree) -> None:
    tree.write("a.md", "# One\na\n# Two\nb\n")
    before = {(memory.unit, memory.digest) for memory in tree.memories()}
    tree.write("a.md", "# One\na\n# Two\nb\n# Three\nc\n")
    after = {(memory.unit, memory.digest) for memory in tree.memories()}
    assert before < after
    assert len(after) == 3


def test_front_matter_labels_the_page(tree: Tree) -> None:
    tree.write(
        "a.md", "---\ntitle: At sea\ndate: 2025-03-01\ntags: [boat, wind]\ntype: dream\n---\nWe sailed. #storm\n"
    )
    memory = tree.memory()
    assert (memory.title, memory.tags, memory.kind, memory.mode) == (
        "At sea",
        ("boat", "wind", "storm"),
        "dream",
        "dual",
    )
    assert (memory.text, memory.happened_at) == ("We sailed. #storm", datetime(2025, 3, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "page",
    [
        "---\nJust a rule above.\n---\nText.",
        "---\n!!python/object/apply:os.system [true]\n---\nText.",
        "---\nbroken: [\n---\nText.",
        "---\n" + "[" * 5000 + "\n---\nText.",
        "---\nnever: ends\n",
        "---\n? [a, b]\n: c\n---\nText.",
        "---\n- a\n---\nText.",
        '---\ntitle: "\\ud800"\n---\nText.',
        "---\n\x07: bell\n---\nText.",
    ],
)
def test_what_only_looks_like_front_matter_is_text(tree: Tree, page: str) -> None:
    tree.write("a.md", page)
    assert tree.memory().text == page.strip()


def test_front_matter_that_refers_to_itself_many_times_over_costs_nothing(tree: Tree) -> None:
    rows = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(40)]
    tree.write("a.md", "---\n" + "\n".join(rows) + "\ntags: *a39\n---\nText.")
    assert tree.memory().text == "Text."


def test_front_matter_may_forbid_training(tree: Tree) -> None:
    tree.write("a.md", "---\nsuitableForTraining: false\n---\nText.")
    tree.write("b.md", "---\ntags: feedback, x\n---\nText.")
    assert all(memory.unfit for memory in tree.memories())


@pytest.mark.parametrize(
    ("heading", "day"),
    [
        ("2025-03-01", 1),
        ("2025/3/1 at the lake", 1),
        ("Saturday, March 1st, 2025", 1),
        ("1 March 2025", 1),
        ("1. Mar 2025 - rain", 1),
        ("[[2025-03-01]]", 1),
        ("2025-02-30", None),
        ("Plans for 2025-03-01", None),
        ("March 2025", None),
    ],
)
def test_a_heading_that_is_a_date_dates_its_section(tree: Tree, heading: str, day: int | None) -> None:
    tree.write("a.md", f"## {heading}\nRain.")
    at = tree.memory().happened_at
    assert (at.day if at else None) == day


def test_links_read_as_their_words(tree: Tree) -> None:
    tree.write("Walk.md", "Met [[People/Ida|Ida]] at the [[Harbour]], see [[Notes#Boat]] and [[#Above]].![[p.png]] [[")
    assert tree.memory().text == "Met Ida at the Harbour, see Notes and Above. [["
    assert tree.memory().title == "Walk"


def test_signs_in_a_fenced_block_are_no_headings_and_no_tags(tree: Tree) -> None:
    tree.write("a.md", "# Code\n```sh\n# comment\n#tag\n```\nC# is #fun\n")
    memory = tree.memory()
    assert (memory.title, memory.tags) == ("Code", ("fun",))


def test_a_long_section_is_split_at_its_paragraphs(tree: Tree) -> None:
    tree.write("a.md", "# Long\n" + "\n\n".join(["word " * 10] * 6) + "\n\n" + "x" * 150)
    outcomes = tree.outcomes(Limits(section_chars=110))
    assert [outcome.unit for outcome in outcomes] == ["Long", *(f"Long/part {number}" for number in range(2, 6))]
    assert all(isinstance(outcome, Memory) and len(outcome.text) <= 110 for outcome in outcomes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"# Only\n## headings\n", "empty"),
        (b"caf\xe9", "not valid UTF-8"),
        (b"\0" * 100, "not a text file"),
        (b"x" * 1_048_577, "larger than 1 MiB"),
    ],
)
def test_a_page_that_cannot_be_used_says_why(tree: Tree, content: bytes, reason: str) -> None:
    tree.write("a.txt", content)
    assert tree.reason() == reason
