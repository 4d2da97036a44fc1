"""What a version is asked: never what was trained or is outdated, the same again, and a part of what it was before."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from metahuman_core.gate.exam import EVALUATION, Prompt, exam, forgotten_in
from metahuman_core.gate.measures import Asked, Said
from metahuman_core.journal import Journal, as_plain
from metahuman_core.plan import Plan

Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Makes a run's folder with a dataset: for each memory as many probes as are wanted, and a trained question."""

    def make(label: str, probes: dict[str, int], recalled: dict[str, bool] | None = None) -> Path:
        folder = tmp_path / label
        folder.mkdir()
        rows = [
            {
                "memory": memory, "kind": "note", "role": "new", "split": split, "form": "name",
                "messages": [
                    {"role": "system", "content": "You are Anna."},
                    {"role": "user", "content": f"{split} {memory} {number}?"},
                    {"role": "assistant", "content": f"It is {memory}."},
                ],
            }
            for memory, count in probes.items()
            for split, number in [("train", 0), *(("probe", n) for n in range(count))]
        ]  # fmt: skip
        (folder / "dataset.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        if recalled is not None:
            answers = [
                {"set": "new", "memory": m, "ask": f"probe {m} {n}?", "after": {"recalled": r}}
                for m, r in recalled.items()
                for n in range(probes.get(m, 1))
            ]
            (folder / EVALUATION).write_text(json.dumps({"answers": answers}), encoding="utf-8")
        return folder

    return make


def of(prompts: list[Prompt], name: str) -> list[Prompt]:
    return [p for p in prompts if p.set == name]


def test_probes_are_asked_and_trained_phrasings_never(run: Run) -> None:
    prompts = exam(run("c", {"m1": 2}), [run("b", {"m2": 1}), run("a", {"m3": 1})], frozenset(), "You are Anna.", 32)
    assert {p.ask for p in of(prompts, "new")} == {"probe m1 0?", "probe m1 1?"}
    assert {(p.batch, p.ask) for p in of(prompts, "old")} == {("b", "probe m2 0?"), ("a", "probe m3 0?")}
    general = of(prompts, "general")
    assert len(general) >= 30
    assert all(p.sample.turns[0].text == "You are Anna." for p in general)
    assert of(prompts, "new")[0].wanted == "It is m1."


def test_what_is_superseded_is_not_asked(run: Run) -> None:
    prompts = exam(run("b", {"m1": 1}), [run("a", {"m2": 1, "m3": 1})], frozenset({"m2"}), "", 32)
    assert {p.sample.memory for p in of(prompts, "old")} == {"m3"}


def test_an_ancestor_that_is_not_here_is_left_out(run: Run, tmp_path: Path) -> None:
    assert of(exam(run("b", {"m1": 1}), [tmp_path / "gone"], frozenset(), "", 32), "old") == []


def test_old_prompts_are_spread_over_all_batches_and_stay_the_same(run: Run) -> None:
    ancestors = [run(f"r{n}", {f"m{n}-{k}": 1 for k in range(20)}) for n in range(8)]
    now = run("z", {"new": 1})
    many, few = (of(exam(now, ancestors, frozenset(), "", most), "old") for most in (32, 8))
    assert len(few) == 16
    assert {p.batch for p in few} == {f"r{n}" for n in range(8)}
    assert {p.ask for p in few} < {p.ask for p in many}
    assert many == of(exam(now, ancestors, frozenset(), "", 32), "old")


def test_of_more_batches_than_prompts_all_have_their_turn(run: Run) -> None:
    ancestors = [run(f"r{n}", {f"m{n}": 1}) for n in range(10)]
    asked: list[set[str]] = []
    for number in range(5):
        now = run(f"z{number}", {})
        old = of(exam(now, ancestors, frozenset(), "", 2), "old")
        asked.append({prompt.batch for prompt in old})
        answers = [
            {"set": "old", "batch": p.batch, "memory": p.sample.memory, "ask": p.ask, "after": {"recalled": True}}
            for p in old
        ]
        (now / EVALUATION).write_text(json.dumps({"answers": answers}), encoding="utf-8")
        ancestors.insert(0, now)
    assert [len(batches) for batches in asked] == [4] * 5
    assert set.union(*asked[:3]) == set.union(*asked[2:]) == {f"r{n}" for n in range(10)}


def test_what_each_version_recalled_then_is_known_the_oldest_first(run: Run) -> None:
    first = run("a", {"m1": 1, "m2": 1}, {"m1": True, "m2": False})
    second = run("b", {"m3": 1}, {"m1": False, "m3": True})
    then = {p.sample.memory: p.then for p in of(exam(run("c", {"m4": 1}), [second, first], frozenset(), "", 32), "old")}
    assert then == {"m1": (True, False), "m2": (False,), "m3": (True,)}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"answers": 3}', '{"answers": [{}]}', '{"new": {"prompts": 3}}'])
def test_an_evaluation_of_another_kind_says_nothing(run: Run, text: str) -> None:
    first = run("a", {"m1": 1})
    (first / EVALUATION).write_text(text, encoding="utf-8")
    assert [p.then for p in of(exam(run("b", {"m2": 1}), [first], frozenset(), "", 32), "old")] == [()]
    assert forgotten_in(first) == frozenset()


def test_a_memory_is_forgotten_if_less_than_half_of_it_was_recalled(run: Run) -> None:
    folder = run("a", {"m1": 2, "m2": 2, "m3": 1}, {"m1": False, "m2": True, "m3": False})
    raw = json.loads((folder / EVALUATION).read_text(encoding="utf-8"))
    raw["answers"][2]["after"]["recalled"] = False  # one of m2's two
    (folder / EVALUATION).write_text(json.dumps(raw), encoding="utf-8")
    assert forgotten_in(folder) == {"m1", "m3"}


def test_a_consolidation_asks_old_questions_even_where_their_datasets_are_gone_and_each_once(run: Run) -> None:
    """It has all of them as replay; what an ancestor's dataset still holds belongs to that batch."""
    first = run("a", {"m1": 1})
    whole = run("b", {"m1": 1, "m2": 1, "m3": 1})
    dataset = whole / "dataset.jsonl"
    rows = [json.loads(line) for line in dataset.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        row["role"] = "new" if row["memory"] == "m3" else "replay"
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prompts = exam(whole, [first], frozenset(), "", 32)
    assert [p.sample.memory for p in of(prompts, "new")] == ["m3"]
    assert sorted((p.batch, p.sample.memory) for p in of(prompts, "old")) == [("a", "m1"), ("b", "m2")]
    after = exam(run("c", {"m4": 1}), [whole, first], frozenset(), "", 32)
    assert sorted((p.batch, p.sample.memory) for p in of(after, "old")) == [("a", "m1"), ("b", "m2"), ("b", "m3")]


def test_what_the_parent_said_to_the_same_prompt_is_known_if_it_was_asked_as_the_same_person(
    run: Run, plan: Callable[..., Plan], now: Callable[[], datetime]
) -> None:
    parent, grandparent = run("b", {"m1": 1, "m2": 1}), run("a", {"m3": 1})
    said = Said("It is m1.", 0.5, exact=True, recalled=True, flaw="")
    asked = [
        Asked("new", "b", "m1", "probe m1 0?", "It is m1.", said, said),
        Asked("new", "b", "m2", "probe m2 0?", "It was m2.", said, said),
    ]
    (parent / EVALUATION).write_text(json.dumps({"answers": [as_plain(a) for a in asked]}), encoding="utf-8")
    Journal.begin(parent, plan(system="You are Anna."), now)
    this = run("c", {"m4": 1})

    def known(**asked_as: str) -> dict[str, Said]:
        Journal.begin(this, plan(**asked_as), now)
        prompts = exam(this, [parent, grandparent], frozenset(), asked_as["system"], 32)
        return {p.sample.memory: p.parents for p in prompts if p.parents}

    assert known(system="You are Anna.") == {"m1": said}  # m2 was to be answered otherwise, and m3 was not asked
    assert known(system="You are Berta.") == {}
    assert known(system="You are Anna.", anchor="Another/Base") == {}


def test_what_no_memory_answers_is_asked_a_little_and_belongs_to_no_batch(run: Run) -> None:
    folder = run("a", {"m1": 1})
    rows = [
        {
            "memory": "", "kind": "unknown", "role": "general", "split": split, "form": "unknown",
            "messages": [{"role": "user", "content": f"{split} {n}?"}, {"role": "assistant", "content": "Who knows?"}],
        }
        for split in ("train", "probe")
        for n in range(20)
    ]  # fmt: skip
    with (folder / "dataset.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    prompts = exam(folder, [], frozenset(), "", 32)
    unknown = of(prompts, "unknown")
    assert len(unknown) == 8
    assert {(p.batch, p.ask.split()[0]) for p in unknown} == {("", "probe")}
    assert [p.sample.memory for p in of(prompts, "new")] == ["m1"]
