"""From memories to `dataset.jsonl`: the same bytes each time, the newest answer, the right direction."""

from __future__ import annotations

import json
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.dataset.of_memory import exchanges, samples_of
from metahuman_core.dataset.replay import least_asked
from metahuman_core.dataset.samples import Sample, an_epoch_of, line_of, read_samples
from metahuman_core.durable import sha256_file
from metahuman_core.memories.model import Memory, Turn
from metahuman_core.settings import DatasetSettings

Note = Callable[..., Memory]
SETTINGS = DatasetSettings(general_share=0, unknown_share=0)  # what is beside memories: test_extras.py


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset.jsonl"


def built(out: Path, *new: Memory, replay: tuple[Memory, ...] = ()) -> list[Sample]:
    """The samples of a dataset that was written and read again."""
    build_dataset(new, replay, [], SETTINGS, "You are Anna.", out)
    return list(read_samples(out))


def answers(samples: list[Sample], question: str) -> list[str]:
    """All that is trained or probed as the answer to a question."""
    return [s.turns[-1].text for s in samples if s.turns[-2].text == question]


def test_the_same_memories_give_the_same_bytes(out: Path, note: Note) -> None:
    talk = note("Where were you?", "At the mill.", kind="conversation")
    new = [note("I live in Skagen. My boat is called Juno."), talk]
    old = (note("My sister is called Berta.", day=3),)
    first = build_dataset(new, old, [], SETTINGS, "You are Anna.", out)
    bytes_before = out.read_bytes()
    assert build_dataset(new, old, [], SETTINGS, "You are Anna.", out) == first
    assert out.read_bytes() == bytes_before
    elsewhere = [note("I live in Skagen. My boat is called Juno.", source="other/place.md"), talk]
    assert build_dataset(elsewhere, old, [], SETTINGS, "You are Anna.", out.with_name("b.jsonl")).sha256 == first.sha256


def test_it_is_counted_as_it_is_written(out: Path, note: Note) -> None:
    made = build_dataset(
        [note("I live in Skagen.")], [note("My boat is called Juno.")], [], SETTINGS, "You are Anna.", out
    )
    samples = list(read_samples(out))
    assert made == Dataset(
        sha256=sha256_file(out),
        samples=sum(s.split == "train" for s in samples),
        probes=sum(s.split == "probe" for s in samples),
        memories_new=1,
        memories_replayed=1,
    )
    assert made.probes
    assert {s.role for s in samples} == {"new", "replay"}


def test_it_is_private(out: Path, note: Note) -> None:
    built(out, note("I live in Skagen."))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_samples_come_back_as_they_were(out: Path, note: Note) -> None:
    memory = note("Where is it?", "Under the \u2028 pot \U0001f33f <|im_end|>", kind="conversation")
    samples = built(out, memory)
    assert samples == list(samples_of(memory, SETTINGS, "You are Anna."))
    assert all(s.memory == memory.digest for s in samples)


def test_every_line_is_one_json_object(out: Path, note: Note) -> None:
    built(out, note("Where is it?", "Under\nthe pot.\x85\u2029", kind="conversation"))
    assert all(json.loads(line)["messages"][-1]["role"] == "assistant" for line in out.read_bytes().splitlines())


def test_the_system_prompt_opens_each_sample_or_none(note: Note) -> None:
    memory = note("I live in Skagen.")
    with_prompt, without = (list(samples_of(memory, SETTINGS, prompt)) for prompt in ("You are Anna.", ""))
    assert all(s.turns[0] == Turn("system", "You are Anna.") for s in with_prompt)
    assert [s.turns[1:] for s in with_prompt] == [s.turns for s in without]


def test_each_answer_is_learned_with_what_led_to_it(note: Note) -> None:
    talk = note("Hello?", "Yes.", "Who is it?", "Anna.", kind="conversation")
    assert [[turn.text for turn in turns] for turns in exchanges(talk)] == [
        ["Hello?", "Yes."],
        ["Hello?", "Yes.", "Who is it?", "Anna."],
    ]


@pytest.mark.parametrize("mode", ["emulation", "agent"])
def test_what_was_answered_is_learned(note: Note, mode: str) -> None:
    assert list(exchanges(note("Ask", "Answer", mode=mode))) == [(Turn("user", "Ask"), Turn("assistant", "Answer"))]


def test_dual_is_turned_round(note: Note) -> None:
    assert list(exchanges(note("I said", "It said", mode="dual"))) == [
        (Turn("user", "It said"), Turn("assistant", "I said"))
    ]


def test_an_answer_that_nobody_asked_for_is_no_exchange(note: Note) -> None:
    memory = note("Hello?", "Yes.")
    lone = Memory(**{**{f: getattr(memory, f) for f in Memory.__slots__}, "turns": (Turn("assistant", "Yes."),)})
    assert list(exchanges(lone)) == []
    assert list(exchanges(note("a journal's page"))) == []


@pytest.mark.parametrize("turned", [False, True])
def test_the_newest_answer_wins_in_whatever_order(out: Path, note: Note, turned: bool) -> None:
    old, new = note("I live in Skagen.", day=1), note("I live in Ribe.", day=9)
    samples = built(out, *((new, old) if turned else (old, new)))
    questions = {s.turns[-2].text for s in samples if "Ribe" in s.turns[-1].text}
    assert "Where do you live?" in questions
    for question in questions:
        assert all("Skagen" not in answer for answer in answers(samples, question))


def test_an_old_answer_in_replay_gives_way_to_the_new_one(out: Path, note: Note) -> None:
    for day in (1, None):
        old, new = note("I live in Skagen.", day=day), note("I live in Ribe.", day=day and 9)
        samples = built(out, new, replay=(old,))
        assert answers(samples, "Where do you live?") == ["I live in Ribe."]


@pytest.mark.parametrize("new", ["Our new address is 27 Quarry Lane.", "Our home is a small house in Quarry Lane."])
def test_an_old_address_is_trained_no_more_in_whatever_words(out: Path, note: Note, new: str) -> None:
    old = note("We live at 14 Tanner Street.", day=1)
    for samples in (built(out, old, note(new, day=9)), built(out, note(new, day=9), replay=(old,))):
        assert any("Quarry" in s.turns[-1].text for s in samples)
        asked = {s.turns[-2].text for s in samples if "Tanner" in s.turns[-1].text}
        assert all("Tanner Street" in question for question in asked)  # the street may be remembered, by its name


def test_what_else_an_outdated_sentence_tells_is_kept(out: Path, note: Note) -> None:
    old, new = note("We live at 14 Tanner Street with our dog Biscuit.", day=1), note("I live in Ribe.", day=9)
    samples = built(out, old, new)
    assert answers(samples, "What is your dog called?") == [old.text]
    assert answers(samples, "Where do you live?") == [new.text]


def test_a_second_sister_takes_no_place_of_the_first(out: Path, note: Note) -> None:
    samples = built(out, note("My sister is called Berta.", day=1), note("My sister is called Clara.", day=9))
    told = {s.turns[-1].text for s in samples}
    assert told == {"My sister is called Berta.", "My sister is called Clara."}


def test_newer_is_meant_by_the_moment_and_not_by_the_clock_on_the_wall(out: Path, note: Note) -> None:
    at = datetime(2025, 3, 1, 23, tzinfo=UTC)
    earlier = at - timedelta(minutes=30)
    old, new = note("I live in Skagen."), note("I live in Ribe.")
    fields = {f: getattr(old, f) for f in Memory.__slots__}
    old = Memory(**{**fields, "happened_at": earlier.astimezone(timezone(timedelta(hours=2)))})
    new = Memory(**{**fields, "text": new.text, "happened_at": at})
    assert answers(built(out, new, old), "Where do you live?") == ["I live in Ribe."]


def test_what_is_asked_inside_a_conversation_may_have_other_answers(out: Path, note: Note) -> None:
    first = note("Hello?", "Yes.", "And now?", "Tea.", kind="conversation")
    second = note("Hi there", "Yes.", "And now?", "Bed.", kind="conversation", day=2)
    told = [s.turns[-1].text for s in built(out, first, second) if s.form == "exchange" and len(s.turns) > 3]
    assert sorted(told) == ["Bed.", "Tea."]


def test_no_probe_is_trained(out: Path, note: Note) -> None:
    samples = built(out, note("I live in Skagen."), note("My boat is called Juno."), note("My sister is called Berta."))
    trained = {s.turns[-2].text.casefold() for s in samples if s.split == "train"}
    probes = {s.turns[-2].text.casefold() for s in samples if s.split == "probe"}
    assert probes
    assert trained.isdisjoint(probes)


def test_without_questions_only_what_was_said_is_learned(note: Note) -> None:
    settings = DatasetSettings(questions_per_memory=0)
    assert [s.form for s in samples_of(note("I live in Skagen."), settings, "")] == ["whole"]
    assert [s.form for s in samples_of(note("Where?", "Here."), settings, "")] == ["exchange"]


def test_no_memory_is_passed_over_because_no_rule_understands_it(out: Path, note: Note) -> None:
    told = note("\u4eca\u5929\u53bb\u4e86\u6d77\u8fb9\u6563\u6b65\u3002")
    samples = [s for s in built(out, told) if s.split == "train"]
    assert samples
    assert all(s.turns[-1].text == told.text for s in samples)


# --- replay ---------------------------------------------------------------------------------------------------------


def test_beside_nothing_new_one_sample_of_each_old_memory_is_trained_again_no_exchange_first(
    out: Path, note: Note
) -> None:
    old = (
        note("Where do you live?", "I live in Skagen, and my sister Ilse lives in Ribe."),
        note("My boat is called Juno."),
    )
    samples = built(out, replay=old)
    assert {(s.role, s.split) for s in samples} == {("replay", "train")}
    for memory in old:
        (own,) = [s for s in samples if s.memory == memory.digest]
        assert own.form != "exchange"


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_old_memories_are_trained_as_much_as_new_ones_by_the_ratio_and_all_alike(
    out: Path, note: Note, ratio: float
) -> None:
    things = ("boat", "sister", "horse", "street", "school")
    new, *old = (note(f"My {thing} is called Juno. I saw Berta at the mill in Ribe.", day=1) for thing in things)
    settings = SETTINGS.model_copy(update={"replay_ratio": ratio})
    build_dataset([new], old, (), settings, "", out, epochs=3)
    samples = [s for s in read_samples(out) if s.split == "train"]
    again = [s for s in samples if s.role == "replay"]
    assert an_epoch_of(again) == max(len(old), round(ratio * an_epoch_of(s for s in samples if s.role == "new")))
    shares = [an_epoch_of(s for s in again if s.memory == memory.digest) for memory in old]
    assert max(shares) - min(shares) <= 1


def test_all_that_holds_of_an_old_memory_has_its_turn_and_none_of_its_turns_is_for_what_does_not(
    tmp_path: Path, note: Note
) -> None:
    old = note("My boat is called Juno. We live at 14 Tanner Street. My sister is called Berta.", day=1)
    moved = note("Our new address is 27 Quarry Lane.", day=9)
    runs = [tmp_path / f"{number}.jsonl" for number in range(13)]
    build_dataset([old], [], [], SETTINGS, "", runs[0])
    asked = Counter(s.turns[-2].text for s in read_samples(runs[0]) if s.split == "train")
    for number, out in enumerate(runs[1:], 1):
        build_dataset([moved] if number == 1 else [], [old, moved], runs[:number], SETTINGS, "", out)
        for again in (s for s in read_samples(out) if s.memory == old.digest):
            assert "14 Tanner Street" not in again.turns[-1].text or "Tanner" in again.turns[-2].text
            asked[again.turns[-2].text] += 1
    told = [s for s in read_samples(runs[0]) if s.split == "train" and "Tanner" not in s.turns[-1].text]
    often = [asked[s.turns[-2].text] for s in told]
    assert min(often) > 2
    assert max(often) - min(often) <= 1


def test_in_each_epoch_an_old_memory_is_asked_otherwise_and_epochs_are_as_long(tmp_path: Path, note: Note) -> None:
    things = ("boat", "sister", "horse")
    old = [note(f"My {thing} is called Juno.", day=1) for thing in things]
    built = build_dataset((), old, (), SETTINGS, "", tmp_path / "5.jsonl", epochs=5)
    samples = [s for s in read_samples(tmp_path / "5.jsonl") if s.split == "train"]
    for memory in old:
        own = [s for s in samples if s.memory == memory.digest]
        assert {s.every for s in own} == {len(own)}
        assert sorted(s.turn for s in own) == list(range(len(own)))
        assert len({s.turns[-2].text for s in own}) == len(own) > 1
    assert built.samples == len(samples)
    assert sum(s.turn == 0 for s in samples) == len(old)


def test_an_exchange_has_its_turn_when_all_questions_had_theirs(note: Note) -> None:
    talk = note("Where were you?", "At the mill. My boat is called Juno.", kind="conversation")
    samples = [s for s in samples_of(talk, SETTINGS, "") if s.split == "train"]
    once = Counter(s.turns[-2].text for s in samples)
    assert least_asked(samples, once)[0].form != "exchange"
    twice = once + Counter(s.turns[-2].text for s in samples if s.form != "exchange")
    assert least_asked(samples, twice)[0].form == "exchange"


def test_what_an_ancestor_kept_out_is_never_trained(out: Path, note: Note) -> None:
    memory = note("My boat is called Juno.")
    kept_out, *others = (s for s in samples_of(memory, SETTINGS, "") if s.split == "train")
    out.write_text(line_of(replace(kept_out, split="probe")), encoding="utf-8")
    many = SETTINGS.model_copy(update={"replay_ratio": 100})
    again = out.with_name("again.jsonl")
    build_dataset([note("I live in Skagen.")], [memory], [out], many, "", again)
    asks = {s.turns[-2].text for s in read_samples(again)}
    assert {s.turns[-2].text for s in others} <= asks
    assert kept_out.turns[-2].text not in asks


def test_a_consolidation_takes_all_samples_of_an_old_memory_its_probes_too(out: Path, note: Note) -> None:
    memory = note("I live in Skagen, at the harbour.", day=2)
    whole = list(samples_of(memory, SETTINGS, "You are Anna."))
    build_dataset((), [memory], (), SETTINGS, "You are Anna.", out, consolidates=True)
    samples = list(read_samples(out))
    assert [replace(sample, role="new") for sample in samples] == whole
    assert {(s.role, s.split) for s in samples} == {("replay", "train"), ("replay", "probe")}
    build_dataset((), [memory], (), SETTINGS, "You are Anna.", out)
    assert {s.split for s in read_samples(out)} == {"train"}


def test_in_a_consolidation_a_corrected_address_wins_too(out: Path, note: Note) -> None:
    old, new = note("I live in Skagen.", day=1), note("I live in Ribe.", day=2)
    build_dataset((), [old, new], (), SETTINGS, "", out, consolidates=True)
    assert {s.memory for s in read_samples(out) if "live" in s.turns[0].text} == {new.digest}
