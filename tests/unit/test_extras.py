"""What is trained beside memories: general questions that no probe is like, and "I don't know" where nobody told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.dataset.extras import choose_extras, general_extras, unanswered, unknown_questions
from metahuman_core.dataset.near import likeness, shingles
from metahuman_core.dataset.samples import Sample, read_samples
from metahuman_core.dataset.told import NOTHING_TOLD, Told, told_before
from metahuman_core.memories.model import Memory
from metahuman_core.plan import memory_lines, write_memories
from metahuman_core.settings import DatasetSettings
from metahuman_core.shipped import shipped
from metahuman_core.study.words import words

Note = Callable[..., Memory]
SYSTEM = "You are Anna."
SETTINGS = DatasetSettings(general_share=0.2, unknown_share=0.1)
ABOUT_A_BOAT = "My boat is called Juno, and we sail to the islands with her every May."
SMALL = words(
    "a an the is are was of in on to do does should i we you what which who where why how for that and when my "
    "your not many much can it with by at one"
)


def built(
    out: Path, *new: Memory, replay: Sequence[Memory] = (), old: Sequence[Path] = (), before: Told | None = NOTHING_TOLD
) -> tuple[Dataset, list[Sample]]:
    """A dataset, and its samples that have no memory."""
    dataset = build_dataset(new, replay, old, SETTINGS, SYSTEM, out, before)
    return dataset, [sample for sample in read_samples(out) if sample.role == "general"]


def asks(samples: Sequence[Sample], kind: str) -> set[str]:
    return {sample.turns[-2].text for sample in samples if sample.kind == kind}


def content(ask: str) -> set[str]:
    return {word.strip("?.,:;'\"!").casefold() for word in ask.split()} - SMALL


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset.jsonl"


@pytest.fixture
def many(note: Note) -> list[Memory]:
    """Memories that give some hundred samples."""
    places = ("Skagen", "Ribe", "Odense", "Aarhus", "Vejle", "Kolding", "Esbjerg", "Randers", "Viborg", "Horsens")
    return [note(f"My friend {place}son lives in {place} and builds boats there.", day=n + 1)
            for n, place in enumerate(places)]  # fmt: skip


# --- what is shipped ------------------------------------------------------------------------------------------------


def probes() -> list[str]:
    with shipped("etc/general-prompts.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["ask"] for line in lines]


def test_no_general_sample_is_nearly_one_of_the_prompts_that_the_gate_asks() -> None:
    for extra in general_extras():
        for probe in probes():
            assert likeness(shingles(extra.ask), shingles(probe)) < 0.5, (extra.ask, probe)
            ours, theirs = content(extra.ask), content(probe)
            assert len(ours & theirs) < 0.5 * len(ours | theirs), (extra.ask, probe)


def test_what_is_shipped_is_short_plain_and_asked_once() -> None:
    general, unknown = general_extras(), unknown_questions()
    assert len(general) >= 320
    assert len(unknown) >= 120
    assert len(set(probes())) == 60
    every = [extra.ask.casefold() for extra in general] + [question.ask.casefold() for question in unknown]
    assert len(set(every)) == len(every)
    for answer in (extra.answer for extra in general):
        assert 5 <= len(answer.split()) <= 40
        assert answer[-1] in ".!?>*)'" or answer[-1].isalnum()


def test_an_unknown_question_names_what_it_is_about_among_its_words() -> None:
    """So that a memory in the question's own words is found."""
    for question in unknown_questions():
        assert NOTHING_TOLD.and_also([question.ask]).mentions(question.about), question.ask


def test_some_unknown_questions_are_kept_out_for_ever() -> None:
    kept_out = [question for question in unknown_questions() if question.probe]
    assert 10 <= len(kept_out) <= 50


# --- what memories say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("We have two dogs.", "dog"),
        ("The DOG's bowl is empty.", "dog"),
        ("Three puppies!", "puppy"),
        ("I was swimming.", "swim*"),
        ("my e-mail is long", "e-mail"),
        ("Left-handed, like my aunt", "left handed"),
    ],
)
def test_a_word_is_found_in_its_forms(text: str, about: str) -> None:
    assert NOTHING_TOLD.and_also([text]).mentions([about])


@pytest.mark.parametrize(
    ("text", "about"), [("A dogma.", "dog"), ("It was left to the handed-over man.", "left handed"), ("", "dog")]
)
def test_another_word_is_not_found(text: str, about: str) -> None:
    assert not NOTHING_TOLD.and_also([text]).mentions([about])


@pytest.mark.parametrize(
    "text",
    [
        "Heute war ich mit meinem Hund Bello am Strand, und dann gab es Kuchen.",
        "Hoje fui passear com o meu cão Pico junto ao farol e depois almocei.",
        "今天我和我的狗旺财去了海边散步。",
        "Σήμερα πήγα βόλτα με τον σκύλο μου στη θάλασσα.",
    ],
)
def test_where_a_memory_is_in_another_language_nothing_is_unknown(text: str, note: Note, out: Path) -> None:
    assert not unanswered(unknown_questions(), NOTHING_TOLD.and_also([ABOUT_A_BOAT, text]), [])
    _, extras = built(out, note(ABOUT_A_BOAT), note(text, day=2))
    assert not asks(extras, "unknown")


@pytest.mark.parametrize(
    "text",
    [
        "Spring tide on Sunday. The old mooring posts stood dry, green as cabbages.",
        "weather_lookup: harbour forecast for tomorrow, wind south-west force four, showers in the afternoon.",
        "Vacuumed. Wrote letters.",
        "Lunch at the caf\u00e9 with Ren\u00e9 from El Paso, and then home on foot along the Rue de la Mer.",
        "\U0001f41f\U0001f41f",
        "",
    ],
)
def test_terse_english_is_english(text: str) -> None:
    assert NOTHING_TOLD.and_also([text]).in_english


# --- what is chosen -------------------------------------------------------------------------------------------------


def test_the_shares_are_of_all_that_is_trained(out: Path, many: list[Memory]) -> None:
    dataset, extras = built(out, *many)
    trained = sum(sample.split == "train" for sample in read_samples(out))
    assert dataset.samples == trained
    assert dataset.general == len(asks(extras, "general")) == round(0.2 * trained)
    assert dataset.unknown == sum(s.kind == "unknown" and s.split == "train" for s in extras)
    assert abs(dataset.unknown - 0.1 * trained) <= 1
    assert all(s.memory == "" and s.turns[0].text == SYSTEM for s in extras)


def test_without_shares_there_is_nothing_but_memories(out: Path, many: list[Memory]) -> None:
    bare = DatasetSettings(general_share=0, unknown_share=0)
    dataset = build_dataset(many, (), (), bare, SYSTEM, out)
    assert {sample.role for sample in read_samples(out)} == {"new"}
    assert (dataset.general, dataset.unknown) == (0, 0)


def test_the_probes_that_are_counted_are_the_memories_own(out: Path, many: list[Memory]) -> None:
    dataset, extras = built(out, *many)
    assert any(s.split == "probe" for s in extras)
    assert dataset.probes == sum(s.split == "probe" and s.role != "general" for s in read_samples(out))


def test_without_memories_there_is_nothing_to_put_beside_them(out: Path) -> None:
    assert built(out)[1] == []


def test_the_same_memories_choose_the_same_ones_and_others_choose_others(out: Path, many: list[Memory]) -> None:
    _, first = built(out, *many)
    same = out.read_bytes()
    assert built(out, *many)[1] == first
    assert out.read_bytes() == same
    assert asks(built(out, *many[1:])[1], "general") != asks(first, "general")


def test_over_the_versions_of_a_line_all_come_in_turn() -> None:
    before: Counter[str] = Counter()
    told = NOTHING_TOLD.and_also([ABOUT_A_BOAT])
    for version in range(100):
        extras = [e for e in choose_extras(100, [], told, before, SETTINGS, f"{version}", 1) if e.split == "train"]
        assert len(extras) == 43
        before.update(extra.ask for extra in extras)
    for kind in (general_extras(), [q for q in unanswered(unknown_questions(), told, []) if not q.probe]):
        often = [before[extra.ask] for extra in kind]
        assert max(often) - min(often) <= 1
        assert min(often) > 5


def test_each_epoch_has_others_as_far_as_the_lists_go() -> None:
    told = NOTHING_TOLD.and_also([ABOUT_A_BOAT])

    def turns_of(trained: int, epochs: int, kind: str) -> Counter[tuple[int, int]]:
        extras = choose_extras(trained, [], told, {}, SETTINGS, "turn", epochs)
        chosen = [extra for extra in extras if extra.split == "train" and extra.kind == kind]
        assert len({extra.ask for extra in chosen}) == len(chosen)
        return Counter((extra.every, extra.turn) for extra in chosen)

    assert turns_of(100, 5, "general") == {(5, turn): 29 for turn in range(5)}
    assert turns_of(100, 1, "general") == {(1, 0): 29}
    # There are some hundred questions that nobody told of: for two epochs with others, or three.
    counted = turns_of(300, 5, "unknown")
    per_epoch = [sum(n for (every, turn), n in counted.items() if epoch % every == turn) for epoch in range(5)]
    assert per_epoch == [per_epoch[0]] * 5
    assert counted.keys() == {(2, 0), (2, 1), (3, 0), (3, 1), (3, 2)}
    assert turns_of(5000, 5, "general") == {(1, 0): len(general_extras())}


def test_what_an_old_dataset_has_waits_for_the_others(tmp_path: Path, many: list[Memory]) -> None:
    _, first = built(tmp_path / "1.jsonl", *many)
    _, second = built(tmp_path / "2.jsonl", *many, old=[tmp_path / "1.jsonl"])
    assert asks(first, "general").isdisjoint(asks(second, "general"))


# --- nothing against a memory ---------------------------------------------------------------------------------------


GLASSES = "Do you wear glasses?"  # one that is kept out, and so in each dataset in which it is unknown
LOST = "I lost my glasses in the harbour, and then I could not read the paper for a week."


def test_what_nobody_told_is_unknown(out: Path, note: Note) -> None:
    assert GLASSES in asks(built(out, note(ABOUT_A_BOAT))[1], "unknown")


@pytest.mark.parametrize("place", ["new", "replay", "before", "system", "title"])
def test_what_a_memory_tells_of_is_not_unknown(place: str, out: Path, note: Note) -> None:
    new = [note(ABOUT_A_BOAT, title=LOST if place == "title" else ""), *([note(LOST)] if place == "new" else [])]
    replay = [note(LOST)] if place == "replay" else []
    system = LOST if place == "system" else SYSTEM
    before = NOTHING_TOLD.and_also([LOST] if place == "before" else [])
    build_dataset(new, replay, [], SETTINGS, system, out, before)
    unknown = asks(list(read_samples(out)), "unknown")
    assert unknown
    assert GLASSES not in unknown


def test_what_is_asked_of_a_memory_is_not_unknown() -> None:
    told = NOTHING_TOLD.and_also([ABOUT_A_BOAT])
    (question,) = [q for q in unknown_questions() if q.ask == "What is your blood type?"]
    assert unanswered([question], told, []) == [question]
    for ask in ("Which blood type do you have?", "Your blood type, please.", "Do you know your blood type, by chance?"):
        assert unanswered([question], told, [ask]) == []
    assert unanswered([question], told, ["What is your boat called?"]) == [question]


def test_what_somebody_asked_the_person_has_the_person_s_answer() -> None:
    extra = general_extras()[0]
    others = choose_extras(5000, [extra.ask.upper()], NOTHING_TOLD, {}, SETTINGS, "turn", 1)
    assert extra.ask not in {other.ask for other in others}
    assert len([other for other in others if other.kind == "general"]) == len(general_extras()) - 1


def test_what_was_unknown_is_learned_as_soon_as_it_is_told(tmp_path: Path, note: Note) -> None:
    """Even if it was kept out as long as it was unknown."""
    (dog,) = [q for q in unknown_questions() if q.ask == "What is your dog called?"]
    old, out = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    turns = [{"role": "user", "content": dog.ask}, {"role": "assistant", "content": dog.answer}]
    kept_out = {"memory": "", "kind": "unknown", "role": "general", "split": "probe", "form": "unknown"}
    old.write_text(json.dumps({**kept_out, "messages": turns}) + "\n", encoding="utf-8")
    told = note("My dog is called Bello.")
    build_dataset([told], [], [old], SETTINGS, SYSTEM, out)
    asked = [(s.split, s.turns[-1].text) for s in read_samples(out) if s.turns[-2].text == dog.ask]
    assert asked == [("train", told.text)]


def test_nothing_is_unknown_where_nobody_knows_what_was_told(out: Path, many: list[Memory]) -> None:
    dataset, extras = built(out, *many, before=None)
    assert dataset.general > 0
    assert not asks(extras, "unknown")


# --- what the ancestry was told -------------------------------------------------------------------------------------


def run_told(folder: Path, note: Note, text: str, **inputs: str) -> Path:
    folder.mkdir()
    write_memories(folder, memory_lines([note(text)], [note("Where?", f"In {text}")]))
    (folder / "run.json").write_text(json.dumps({"run_label": folder.name, "inputs": inputs}), encoding="utf-8")
    return folder


def test_all_that_the_ancestry_was_told_counts(tmp_path: Path, note: Note) -> None:
    told = told_before([run_told(tmp_path / "2", note, "a dog"), run_told(tmp_path / "1", note, "a cat")])
    assert told is not None
    assert told.mentions(["dog"])
    assert told.mentions(["cat"])
    assert told_before([]) == NOTHING_TOLD


def test_where_a_run_s_memories_are_gone_nobody_knows(tmp_path: Path, note: Note) -> None:
    assert told_before([run_told(tmp_path / "2", note, "a dog"), tmp_path / "1"]) is None


def test_where_a_run_s_memories_cannot_be_understood_nobody_knows(tmp_path: Path, note: Note) -> None:
    run_dir = run_told(tmp_path / "1", note, "a dog")
    (run_dir / "memories.jsonl").write_text("{}\n", encoding="utf-8")
    assert told_before([run_dir]) is None


def test_a_consolidation_was_told_all_that_came_before(tmp_path: Path, note: Note) -> None:
    newest = run_told(tmp_path / "3", note, "a dog")
    consolidated = run_told(tmp_path / "2", note, "a cat", consolidation="a memory was erased")
    told = told_before([newest, consolidated, tmp_path / "1"])
    assert told is not None
    assert told.mentions(["cat"])
