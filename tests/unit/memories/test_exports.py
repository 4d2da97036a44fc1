"""Exports of chat services, of any size."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from metahuman_core.memories.model import Memory, Skipped, Turn
from metahuman_core.memories.read import Limits, read
from metahuman_core.memories.walk import FoundFile, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Tree


def node(key: str, role: str, parts: list[Any], parent: str | None, children: list[str], **fields: Any) -> Any:
    content = {"content_type": "text", "parts": parts}
    message = {"id": key, "author": {"role": role}, "create_time": 1_740_830_400.5, "content": content} | fields
    return {"id": key, "message": message, "parent": parent, "children": children}


TREE: dict[str, Any] = {
    "conversation_id": "conv",
    "title": "Garden",
    "create_time": 1_740_000_000,
    "current_node": "a2",
    "mapping": {
        "root": {"id": "root", "message": None, "parent": None, "children": ["s"]},
        "s": node("s", "system", [""], "root", ["u1"]),
        "u1": node("u1", "user", ["When do I sow?", {"asset_pointer": "x"}], "s", ["call", "a1-old"]),
        "call": node("call", "assistant", ["search()"], "u1", ["tool"], recipient="browser"),
        "tool": node("tool", "tool", ["result"], "call", ["a1"]),
        "a1": node("a1", "assistant", ["In March."], "tool", ["u2"]),
        "a1-old": node("a1-old", "assistant", ["In May."], "u1", []),
        "u2": node("u2", "user", ["Thanks"], "a1", ["a2"]),
        "a2": node("a2", "assistant", ["Good luck!"], "u2", []),
    },
}
LIST = {
    "uuid": "conv",
    "name": "Garden",
    "created_at": "2025-03-01T10:00:00Z",
    "chat_messages": [
        {"uuid": "m1", "sender": "human", "text": "When do I sow?", "content": []},
        {"uuid": "m2", "sender": "assistant", "text": "x", "content": [{"type": "text", "text": "In March."}]},
        {"uuid": "m3", "sender": "human", "text": "Thanks", "created_at": "2025-03-02T10:00:00Z"},
        {"uuid": "m4", "sender": "assistant", "text": "Good luck!"},
    ],
}
SHAREGPT = {
    "conversations": [
        {"from": "system", "value": "Be kind."},
        {"from": "human", "value": "When do I sow?"},
        {"from": "gpt", "value": "In March."},
        {"from": "human", "value": "Thanks"},
        {"from": "gpt", "value": "Good luck!"},
    ]
}
EXCHANGES = [
    (Turn("user", "When do I sow?"), Turn("assistant", "In March.")),
    (Turn("user", "Thanks"), Turn("assistant", "Good luck!")),
]


@pytest.mark.parametrize(
    ("source", "content", "units"),
    [
        ("conversations.json", [TREE], ["conv/u1", "conv/u2"]),
        ("conversations.json", [LIST], ["conv/m1", "conv/m3"]),
        ("sharegpt.json", [SHAREGPT], ["1/1", "1/3"]),
        ("sharegpt.jsonl", [SHAREGPT], ["1/1", "1/3"]),
        ("sharegpt.json", SHAREGPT, ["1", "3"]),
        ("one.json", TREE, ["u1", "u2"]),
        ("list-by-name-only.jsonl", json.dumps([SHAREGPT], indent=1), ["1/1", "1/3"]),
    ],
)
def test_an_exchange_is_a_memory_in_every_service_s_shape(
    tree: Tree, source: str, content: Any, units: list[str]
) -> None:
    tree.write(source, content)
    memories = tree.memories()
    assert [memory.turns for memory in memories] == EXCHANGES
    assert [memory.unit for memory in memories] == units
    assert {memory.kind for memory in memories} == {"conversation"}


@pytest.mark.parametrize(("content", "mode"), [([TREE], "dual"), ([LIST], "dual"), ([SHAREGPT], "emulation")])
def test_with_a_service_s_own_model_the_person_is_the_user(tree: Tree, content: Any, mode: str) -> None:
    tree.write("conversations.json", content)
    assert {memory.mode for memory in tree.memories()} == {mode}


def test_title_and_times_come_from_the_conversation_and_its_messages(tree: Tree) -> None:
    tree.write("conversations.json", [LIST])
    first, second = tree.memories()
    assert (first.title, first.happened_at) == ("Garden", datetime(2025, 3, 1, 10, tzinfo=UTC))
    assert second.happened_at == datetime(2025, 3, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("current", ["gone", None, 7])
def test_without_a_current_node_the_last_child_is_followed(tree: Tree, current: Any) -> None:
    mapping = TREE["mapping"] | {"u1": node("u1", "user", ["When do I sow?"], "s", ["a1-old", "call"])}
    tree.write("conversations.json", [TREE | {"current_node": current, "mapping": mapping}])
    assert [memory.turns for memory in tree.memories()] == EXCHANGES


def test_a_tree_that_goes_in_circles_ends(tree: Tree) -> None:
    nodes = {"a": node("a", "user", ["Hi"], "b", ["b"]), "b": node("b", "assistant", ["Yo"], "a", ["a"])}
    tree.write("a.json", [{"mapping": nodes, "current_node": "b"}, {"mapping": nodes}, {"mapping": {"x": None}}])
    assert [memory.unit for memory in tree.memories()] == ["1/a"]


def test_a_question_without_an_answer_waits_for_it(tree: Tree) -> None:
    tree.write("a.json", [{"id": "c", "conversations": SHAREGPT["conversations"][:4]}])
    memory, waiting = tree.outcomes()
    assert isinstance(memory, Memory)
    assert waiting == Skipped("a.json", "not answered yet", "c/3")


def test_a_grown_export_brings_only_new_units(tree: Tree) -> None:
    tree.write("conversations.json", [{**LIST, "chat_messages": LIST["chat_messages"][:2]}])
    before = {(memory.unit, memory.digest) for memory in tree.memories()}
    tree.write("conversations.json", [{**LIST, "uuid": "newer"}, LIST])
    after = {(memory.unit, memory.digest) for memory in tree.memories()}
    assert before < after
    assert {unit for unit, _ in after - before} == {"conv/m3", "newer/m1", "newer/m3"}


def test_the_same_conversation_twice_is_two_places(tree: Tree) -> None:
    tree.write("conversations.json", [LIST, LIST])
    assert [memory.unit for memory in tree.memories()] == ["conv/m1", "conv/m3", "conv (2)/m1", "conv (2)/m3"]


def test_a_conversation_may_be_larger_than_a_memory_but_an_exchange_may_not(tree: Tree) -> None:
    long = [{"from": "human", "value": "x" * 300}, {"from": "gpt", "value": "y"}]
    tree.write("a.json", {"conversations": [*SHAREGPT["conversations"], *long]})
    outcomes = tree.outcomes(Limits(memory_bytes=200))
    assert [type(outcome) for outcome in outcomes] == [Memory, Memory, Skipped]


def test_what_was_whole_before_an_export_breaks_off_is_kept(tree: Tree) -> None:
    text = json.dumps([LIST, LIST | {"uuid": "second"}])
    tree.write("conversations.json", text[:-30])
    outcomes = tree.outcomes()
    assert [outcome.unit for outcome in outcomes] == ["conv/m1", "conv/m3", "2", ""]
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Skipped)} == {
        "cut off: the JSON ends too early"
    }


def test_an_item_that_is_too_large_is_passed_over(tree: Tree) -> None:
    tree.write("conversations.json", [{**LIST, "blob": "\\" * 200_000}, LIST])
    skipped, *rest = tree.outcomes(Limits(item_bytes=100_000))
    assert skipped == Skipped("conversations.json", "larger than 100000 bytes", "1")
    assert len(rest) == 2


def export_of(count: int) -> Iterator[str]:
    yield "[\n"
    for number in range(count):
        yield json.dumps({**LIST, "uuid": f"c{number}", "pad": 'x\\"[{' * 3000}) + (
            "\n]" if number == count - 1 else ",\n"
        )


def lines_of(count: int) -> Iterator[str]:
    for number in range(count):
        yield json.dumps({"instruction": f"Say {number}", "output": "x" * 3000}) + "\n"


def messages_of(count: int) -> Iterator[str]:
    """A conversation in which nobody ever answers."""
    for _ in range(count):
        yield json.dumps({"role": "user", "content": "x" * 3000}) + "\n"


@pytest.mark.parametrize(
    ("name", "make", "count", "outcomes"),
    [
        ("conversations.json", export_of, 1_700, 3_400),
        ("training.jsonl", lines_of, 10_000, 10_000),
        ("unanswered.jsonl", messages_of, 10_000, 1),
    ],
)
def test_thirty_megabytes_are_read_in_a_few(
    tree: Tree, name: str, make: Callable[[int], Iterator[str]], count: int, outcomes: int
) -> None:
    with (tree.root / name).open("w") as file:
        file.writelines(make(count))
    (found,) = walk(tree.root)
    assert isinstance(found, FoundFile)
    assert found.size_bytes > 28_000_000
    tracemalloc.start()
    try:
        seen = sum(1 for _ in read(found))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == outcomes
    assert peak_bytes < 6_000_000
