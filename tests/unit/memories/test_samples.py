"""Curated samples, training lines, therapy sessions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from metahuman_core.memories.model import Memory, Skipped, Turn

if TYPE_CHECKING:
    from conftest import Tree

CURATED: dict[str, Any] = {
    "id": "c1",
    "originalTimestamp": "2025-06-01T08:00:00Z",
    "conversationalEssence": "The boat is called Nele.",
    "context": "At the harbour",
    "userMessage": "What is the boat called?",
    "assistantResponse": "Nele.",
    "curatedAt": "2025-07-01T08:00:00Z",
    "flags": ["boat"],
    "suitableForTraining": True,
    "cognitiveMode": "dual",
    "memoryType": "observation",
}


def test_a_curated_sample_is_its_pair(tree: Tree) -> None:
    tree.write("curated/conversations/2025-06-01-c1.json", CURATED)
    memory = tree.memory()
    assert memory.turns == (Turn("user", "What is the boat called?"), Turn("assistant", "Nele."))
    assert (memory.kind, memory.mode, memory.unfit) == ("conversation", "dual", "")
    assert memory.happened_at == datetime(2025, 6, 1, 8, tzinfo=UTC)


def test_a_curated_sample_that_nobody_answers_is_its_essence(tree: Tree) -> None:
    tree.write("a.json", {key: value for key, value in CURATED.items() if key != "assistantResponse"})
    assert tree.memory().text == "At the harbour\n\nThe boat is called Nele."


def test_a_rejected_sample_is_unfit_and_its_reason_is_not_repeated(tree: Tree) -> None:
    tree.write("a.json", CURATED | {"rejectionReason": "mentions Anna"})
    assert tree.memory().unfit == "rejected by its curator"
    tree.write("a.json", CURATED | {"suitableForTraining": False})
    assert tree.memory().unfit == "marked as not suitable for training"


def test_an_instruction_is_a_memory_a_line(tree: Tree) -> None:
    tree.write(
        "training/2025/set.jsonl",
        [
            {"instruction": "Greet", "input": "Anna", "output": "Hi Anna!"},
            {"instruction": "Count", "input": "", "output": "One, two."},
        ],
    )
    first, second = tree.memories()
    assert first.turns == (Turn("user", "Greet\n\nAnna"), Turn("assistant", "Hi Anna!"))
    assert second.turns[0].text == "Count"
    assert [(memory.unit, memory.kind, memory.mode) for memory in (first, second)] == [
        ("1", "training", "emulation"),
        ("2", "training", "emulation"),
    ]


def test_lines_of_messages_are_one_conversation_cut_into_exchanges(tree: Tree) -> None:
    lines = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "And"},
        {"role": "user", "content": "now?"},
        {"role": "assistant", "content": "Tea."},
    ]
    tree.write("training/a.jsonl", lines)
    first, second = tree.memories()
    assert (first.unit, first.turns) == ("2", (Turn("user", "Hi"), Turn("assistant", "Hello")))
    assert (second.unit, second.turns) == ("4", (Turn("user", "And\n\nnow?"), Turn("assistant", "Tea.")))


def test_a_line_that_holds_messages_is_one_memory(tree: Tree) -> None:
    messages = [{"role": role, "content": text} for role, text in (("system", "S"), ("user", "U"), ("assistant", "A"))]
    tree.write("training/a.jsonl", [{"messages": messages, "category": "x", "timestamp": "2025-01-02T00:00:00Z"}])
    memory = tree.memory()
    assert memory.turns == (Turn("system", "S"), Turn("user", "U"), Turn("assistant", "A"))
    assert memory.happened_at == datetime(2025, 1, 2, tzinfo=UTC)


def test_one_broken_line_harms_no_other(tree: Tree) -> None:
    good = '{"instruction": "a", "output": "b"}'
    tree.write("a.jsonl", f'{good}\n\n{{"instruction": "a", "outp\n[1]\n{good}')
    kinds = [(type(outcome), outcome.unit) for outcome in tree.outcomes()]
    assert kinds == [(Memory, "1"), (Skipped, "3"), (Skipped, "4"), (Memory, "5")]


def test_a_therapy_session_gives_its_answered_questions(tree: Tree) -> None:
    tree.write(
        "persona/therapy/session-1.json",
        {
            "sessionId": "s1",
            "status": "active",
            "questions": [
                {"id": "q1", "prompt": "Who matters most?", "category": "people"},
                {"id": "q2", "prompt": "What scares you?", "category": "fear"},
            ],
            "answers": [{"questionId": "q1", "content": "My sister Ida.", "capturedAt": "2025-05-01T10:00:00Z"}],
        },
    )
    memory = tree.memory()
    assert memory.turns == (Turn("user", "Who matters most?"), Turn("assistant", "My sister Ida."))
    assert (memory.unit, memory.kind, memory.mode) == ("q1", "therapy", "emulation")
    assert memory.happened_at == datetime(2025, 5, 1, 10, tzinfo=UTC)


def test_a_session_without_answers_says_so(tree: Tree) -> None:
    tree.write("a.json", {"sessionId": "s", "questions": [{"id": "q", "prompt": "?"}], "answers": []})
    assert tree.reason() == "no question is answered yet"
