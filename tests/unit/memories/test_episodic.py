"""Episodic memories in all their shapes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from metahuman_core.memories.model import Turn

if TYPE_CHECKING:
    from conftest import Tree

ASKED, ANSWERED = "Did the sensor arrive?", "Yes, it's on the bench."
PAIR = (Turn("user", ASKED), Turn("assistant", ANSWERED))

SHAPES: dict[str, dict[str, Any]] = {
    "one text with labels": {"content": f"User: {ASKED}\n\nAssistant: {ANSWERED}"},
    "labels and single line ends": {"content": f"User: {ASKED}\nAssistant: {ANSWERED}"},
    "labels and Windows line ends": {"content": f"User: {ASKED}\r\n\r\nAssistant: {ANSWERED}"},
    "labels, and the response repeated": {
        "content": f"User: {ASKED}\n\nAssistant: {ANSWERED}",
        "response": ANSWERED,
    },
    "content and response": {"content": ASKED, "response": ANSWERED},
    "a label and a response": {"content": f"User: {ASKED}", "response": ANSWERED},
    "Me in quotation marks": {"content": f'Me: "{ASKED}"', "response": ANSWERED},
    "messages": {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}]},
    "messages of blocks": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": ASKED}, {"type": "image", "url": "x"}]},
            {"role": "tool", "content": "42"},
            {"role": "assistant", "content": ANSWERED},
        ]
    },
    "prompt and response": {"prompt": ASKED, "response": ANSWERED},
    "question and answer": {"question": ASKED, "answer": ANSWERED},
    "an object as content": {"content": {"userMessage": ASKED, "assistantMessage": ANSWERED}},
    "a pair in metadata": {
        "type": "card_response",
        "content": "A card",
        "metadata": {"userMessage": ASKED, "assistantResponse": ANSWERED},
    },
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_conversation_comes_out_the_same_from_every_shape(tree: Tree, shape: dict[str, Any]) -> None:
    tree.write("episodic/2025/12/03/evt-1-a.json", {"id": "evt-1", "type": "conversation"} | shape)
    memory = tree.memory()
    assert (memory.turns, memory.text, memory.unit) == (PAIR, "", "")


def test_many_turns_keep_labels_that_somebody_said(tree: Tree) -> None:
    said = "It printed:\nUser: root\nand stopped."
    tree.write("a.json", {"content": f"User: Hi\n\nAssistant: Hello\n\nUser: What now?\n\nAssistant: {said}"})
    assert tree.memory().turns == (
        Turn("user", "Hi"),
        Turn("assistant", "Hello"),
        Turn("user", "What now?"),
        Turn("assistant", said),
    )


def test_words_that_nobody_answered_are_text(tree: Tree) -> None:
    tree.write("a.json", {"type": "conversation", "content": 'Me: "The kettle is broken."'})
    memory = tree.memory()
    assert (memory.turns, memory.text) == ((), "The kettle is broken.")


def test_fifty_thousand_characters_on_each_side_are_a_memory(tree: Tree) -> None:
    tree.write("a.json", {"content": "ä" * 50_000, "response": "ö" * 50_000})
    assert [len(turn.text) for turn in tree.memory().turns] == [50_000, 50_000]


def test_a_rewrite_of_metadata_alone_keeps_the_digest(tree: Tree) -> None:
    memory = {"id": "evt-1", "content": ASKED, "response": ANSWERED, "metadata": {}}
    tree.write("a.json", memory)
    before = tree.memory().digest
    tree.write("a.json", memory | {"id": "evt-2", "tags": ["x"], "metadata": {"processed": True, "curated": True}})
    assert tree.memory().digest == before
    tree.write("a.json", memory | {"response": "No."})
    assert tree.memory().digest != before


@pytest.mark.parametrize(
    ("source", "fields", "kind", "mode"),
    [
        ("episodic/2025/a.json", {}, "observation", "emulation"),
        ("episodic/2025/12/03/a.json", {"type": "dream"}, "dream", "dual"),
        ("episodic/reflections/2025/a.json", {}, "reflection", "dual"),
        ("episodic/dreams/a.json", {}, "dream", "dual"),
        ("episodic/audio-dreams/2025/a.json", {}, "dream", "dual"),
        ("episodic/audio/2025/a.json", {}, "audio", "emulation"),
        ("episodic/tool-invocations/2025/a.json", {}, "tool_invocation", "agent"),
        ("episodic/actions/2025/a.json", {}, "action", "agent"),
        ("tasks/a.json", {}, "task", "agent"),
        ("curiosity/questions/answered/a.json", {}, "curiosity_question", "dual"),
        ("a.json", {"type": "inner_dialogue"}, "inner_dialogue", "dual"),
        ("a.json", {"type": "summary"}, "summary", "emulation"),
        ("a.json", {"type": 5}, "observation", "emulation"),
        ("a.json", {"type": "dream", "metadata": {"cognitiveMode": "agent"}}, "dream", "agent"),
        ("a.json", {"type": "dream", "metadata": {"cognitiveMode": "environment"}}, "dream", "dual"),
        ("a.json", {"type": "chat", "metadata": {"cognitiveMode": ["dual"]}}, "chat", "emulation"),
    ],
)
def test_kind_and_mode_come_from_the_file_or_its_folder(
    tree: Tree, source: str, fields: dict[str, Any], kind: str, mode: str
) -> None:
    tree.write(source, {"content": "It rained."} | fields)
    memory = tree.memory()
    assert (memory.kind, memory.mode) == (kind, mode)


@pytest.mark.parametrize(
    ("fields", "is_unfit"),
    [
        ({"tags": ["Feedback"]}, True),
        ({"metadata": {"reinforcementSignal": -1}}, True),
        ({"suitableForTraining": False}, True),
        ({"metadata": {"suitableForTraining": False}}, True),
        ({"tags": ["garden"], "metadata": {"reinforcementSignal": 1}, "suitableForTraining": True}, False),
        ({"tags": "", "metadata": [], "suitableForTraining": None}, False),
    ],
)
def test_what_must_not_be_trained_is_marked(tree: Tree, fields: dict[str, Any], is_unfit: bool) -> None:
    tree.write("a.json", {"content": "It rained."} | fields)
    assert bool(tree.memory().unfit) == is_unfit


@pytest.mark.parametrize(
    ("source", "fields", "at"),
    [
        ("a.json", {"timestamp": "2025-12-03T14:30:27.112Z"}, datetime(2025, 12, 3, 14, 30, 27, 112_000, UTC)),
        ("a.json", {"timestamp": "2025-12-03T14:30:27"}, datetime(2025, 12, 3, 14, 30, 27, tzinfo=UTC)),
        ("a.json", {"timestamp": 1_764_772_227_000}, datetime(2025, 12, 3, 14, 30, 27, tzinfo=UTC)),
        ("a.json", {"timestamp": "soon", "id": "evt-202512031430271"}, datetime(2025, 12, 3, 14, 30, 27, tzinfo=UTC)),
        ("evt-202512031430271-sensor.json", {}, datetime(2025, 12, 3, 14, 30, 27, tzinfo=UTC)),
        ("episodic/2025/12/03/a.json", {"timestamp": None}, datetime(2025, 12, 3, tzinfo=UTC)),
        ("episodic/2025/13/99/a.json", {"timestamp": 10**400}, None),
        ("a.json", {"timestamp": "0001-01-01T00:00:00+14:00", "id": "evt-99999999999999"}, None),
        ("a.json", {"timestamp": [2025]}, None),
    ],
)
def test_the_time_is_the_best_that_is_known(
    tree: Tree, source: str, fields: dict[str, Any], at: datetime | None
) -> None:
    tree.write(source, {"content": "It rained."} | fields)
    assert tree.memory().happened_at == at


def test_a_time_keeps_its_zone(tree: Tree) -> None:
    tree.write("a.json", {"content": "It rained.", "timestamp": "2025-12-03T23:30:00+02:00"})
    at = tree.memory().happened_at
    assert at is not None
    assert (at.day, at.utcoffset()) == (3, timedelta(hours=2))


def test_tags_and_title_are_taken_over(tree: Tree) -> None:
    tree.write("a.json", {"content": "It rained.", "title": "Weather", "tags": ["rain", "#rain", 5, None, ""]})
    assert (tree.memory().tags, tree.memory().title) == (("rain",), "Weather")
