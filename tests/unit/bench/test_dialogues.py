"""Dialogue sets: from their JSON to memory folders in batches by date, and to questions that their people answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lifelong.dialogues import read_folder, write_folder
from lifelong.material import Run
from lifelong.people import read_people
from metahuman_core.errors import MetahumanError, UsageError
from metahuman_core.settings import DatasetSettings


def said(speaker: str, dia_id: str, text: str, **more: str) -> dict[str, str]:
    return {"speaker": speaker, "dia_id": dia_id, "text": text, **more}


def asked(question: str, evidence: list[str], category: int = 1, **answer: Any) -> dict[str, Any]:
    return {"question": question, "evidence": evidence, "category": category, **answer}


LOCOMO = [
    {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Imke",
            "speaker_b": "Osric",
            # Not in the order of time, as sets happen to be.
            "session_2_date_time": "10:04 am on 19 June, 2031",
            "session_2": [
                said("Osric", "D2:1", "How is the boat?"),
                said("Imke", "D2:2", "I sold her to Marlo."),
                said("Osric", "D2:3", "I have a new job in Tavel."),
            ],
            "session_1_date_time": "1:56 pm on 8 May, 2031",
            "session_1": [
                said("Imke", "D1:1", "I bought a boat last week."),
                said("Osric", "D1:2", "What is she called?"),
                said("Imke", "D1:3", "She is called Petrel.", blip_caption="a green boat"),
                said("Imke", "D1:4", "She leaks."),
            ],
        },
        "qa": [
            asked("What is Imke's boat called?", ["D1:3"], answer="Petrel"),
            asked("Who has the boat now?", ["D2:2", "D1:3"], answer="Marlo"),
            asked("When did Imke buy a boat?", ["D1:1"], 2, answer=2031),
            asked("Where does Osric work?", ["D2:3"], answer="Tavel"),
            asked("What do they talk about?", ["D1:3", "D2:3"], answer="boats"),
            asked("What is Imke's plane called?", ["D1:3"], 5, adversarial_answer="Petrel"),
            asked("Is Imke rich?", [], 3, answer="No"),
        ],
    }
]


def chat(*turns: str, answers: int = -1) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[at % 2], "content": text, "has_answer": at == answers} for at, text in enumerate(turns)]


def instance(name: str, answer: Any, dates: Any, ids: Any, sessions: list[Any], wanted: list[str]) -> dict[str, Any]:
    return {
        "question_id": name,
        "question_type": "single-session-user",
        "question": f"What about {name}?",
        "answer": answer,
        "question_date": "2031/06/01 (Sun) 10:00",
        "haystack_dates": dates,
        "haystack_session_ids": ids,
        "haystack_sessions": sessions,
        "answer_session_ids": wanted,
    }


DOG = chat("I adopted a dog, Brisk.", "Congratulations!", "He is four.", "A fine age.", answers=0)
SALT = chat("Which salt is best?", "Any.", answers=-1)
MOVE = chat("I moved to Velden.", "How is it?", answers=0)
LONGMEMEVAL = [
    instance("dog", "Brisk", ["2031/05/05 (Mon) 13:00", "2031/05/04 (Sun) 09:30"], ["a", "s"], [DOG, SALT], ["a"]),
    instance("years", 4, "['2031/05/05 (Mon) 13:00']", "['a']", [DOG], ["a"]),
    instance("move", "Velden", ["2031/05/20 (Tue) 08:00"], ["m"], [MOVE], ["m"]),
    instance("cat_abs", "no answer", ["2031/05/05 (Mon) 13:00"], ["a"], [DOG], ["a"]),
]


@pytest.fixture
def locomo(tmp_path: Path) -> Path:
    return file(tmp_path, LOCOMO)


@pytest.fixture
def longmemeval(tmp_path: Path) -> Path:
    return file(tmp_path, LONGMEMEVAL)


def file(folder: Path, content: Any) -> Path:
    path = folder / "set.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_both_speakers_are_people_and_answer_what_they_said_themselves(locomo: Path) -> None:
    people = {person.name: person for person in read_people("locomo", locomo, 0)}
    assert [(q.ask, q.key) for q in people["Imke"].questions] == [
        ("What is Imke's boat called?", "Petrel"),
        ("Who has the boat now?", "Marlo"),
        ("When did Imke buy a boat?", "2031"),
    ]
    assert [q.key for q in people["Osric"].questions] == ["Tavel"]


def test_sessions_are_in_the_order_of_time_and_turns_in_a_row_are_one(locomo: Path) -> None:
    imke = next(person for person in read_people("locomo", locomo, 0) if person.name == "Imke")
    assert [session.at.isoformat() for session in imke.sessions] == [
        "2031-05-08T13:56:00+00:00",
        "2031-06-19T10:04:00+00:00",
    ]
    first, second = imke.sessions[0].exchanges
    assert [turn.text for turn in first.turns] == ["I bought a boat last week."]
    assert [(turn.role, turn.text) for turn in second.turns] == [
        ("user", "What is she called?"),
        ("assistant", "She is called Petrel. [a picture: a green boat]\nShe leaks."),
    ]


def test_a_question_comes_with_the_last_session_that_it_needs(locomo: Path, tmp_path: Path) -> None:
    imke = next(person for person in read_people("locomo", locomo, 0) if person.name == "Imke")
    write_folder(imke, 2, tmp_path / "imke")
    first, second = read_folder(tmp_path / "imke", 2).batches
    assert [probe.key for probe in first.probes] == ["Petrel", "2031"]
    assert [probe.key for probe in second.probes] == ["Marlo"]


def test_the_product_reads_the_folders_as_conversations_and_notes(locomo: Path, tmp_path: Path) -> None:
    imke = next(person for person in read_people("locomo", locomo, 0) if person.name == "Imke")
    write_folder(imke, 2, tmp_path / "imke")
    told = read_folder(tmp_path / "imke", 2)
    first = told.batches[0].memories
    assert told.system == "You are Imke."
    assert [(memory.kind, memory.mode) for memory in first] == [
        ("observation", "emulation"),
        ("conversation", "emulation"),
    ]
    assert first[0].happened_at is not None
    samples = told.samples(Run(first, (), (), (), DatasetSettings(general_share=0, unknown_share=0), 1))
    assert "She is called Petrel. [a picture: a green boat]\nShe leaks." in {s.turns[-1].text for s in samples}
    assert {s.memory for s in samples} == {memory.digest for memory in first}


def test_writing_a_folder_again_gives_the_same_files(locomo: Path, tmp_path: Path) -> None:
    imke = read_people("locomo", locomo, 0)[0]
    for name in ("one", "two"):
        write_folder(imke, 2, tmp_path / name)
    one, two = (
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()}
        for n in ("one", "two")
    )
    assert one == two
    assert len(one) > 4


def test_users_of_longmemeval_are_put_together_from_sessions_that_answer_something(longmemeval: Path) -> None:
    (both, last) = read_people("longmemeval", longmemeval, 2)
    assert [(q.ask, q.key, q.said) for q in both.questions] == [
        ("What about dog?", "Brisk", "I adopted a dog, Brisk."),
        ("What about years?", "4", "I adopted a dog, Brisk."),
    ]
    assert [session.name for session in both.sessions] == ["a"]
    assert [q.key for q in last.questions] == ["Velden"]


def test_a_user_of_longmemeval_is_the_one_who_asked_as_in_a_chat_export(longmemeval: Path, tmp_path: Path) -> None:
    (person,) = read_people("longmemeval", longmemeval, 10)
    write_folder(person, 2, tmp_path / "robin")
    told = read_folder(tmp_path / "robin", 2)
    assert {memory.mode for batch in told.batches for memory in batch.memories} == {"dual"}
    memories = told.batches[1].memories
    samples = told.samples(Run(memories, (), (), (), DatasetSettings(general_share=0, unknown_share=0), 1))
    assert "I moved to Velden." in {sample.turns[-1].text for sample in samples}


def test_fewer_sessions_than_batches_are_refused(locomo: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 2 sessions for 5 batches"):
        write_folder(read_people("locomo", locomo, 0)[0], 5, tmp_path / "imke")
    assert not (tmp_path / "imke").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{not json", "not of the format locomo"),
        ({"data": []}, "not of the format locomo"),
        ([{"conversation": {}}], "0.qa"),
        ([], "asks nothing"),
        (
            [{"conversation": {"session_1": [said("A", "D1:1", "x")], "session_1_date_time": "some day"}, "qa": []}],
            "session_1_date_time is no time",
        ),
        ([{"conversation": {"session_1": "x", "session_1_date_time": "2031-05-04"}, "qa": []}], "valid list"),
        (LONGMEMEVAL, "0.conversation"),
    ],
)
def test_a_file_that_is_no_locomo_is_told_in_one_line(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(MetahumanError, match=said) as told:
        read_people("locomo", file(tmp_path, content), 0)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"haystack_dates": ["today"]}, "haystack_dates is no time"), ({"answer_session_ids": 3}, "answer_session_ids")],
)
def test_a_file_that_is_no_longmemeval_is_told_in_one_line(tmp_path: Path, wrong: Any, said: str) -> None:
    with pytest.raises(MetahumanError, match=said):
        read_people("longmemeval", file(tmp_path, [{**LONGMEMEVAL[2], **wrong}]), 1)


def test_lists_of_unlike_length_in_longmemeval_are_told(tmp_path: Path) -> None:
    broken = {**LONGMEMEVAL[2], "haystack_session_ids": ["m", "n"]}
    with pytest.raises(MetahumanError, match="not of the format longmemeval"):
        read_people("longmemeval", file(tmp_path, [broken]), 1)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MetahumanError, match="cannot be read"):
        read_people("locomo", tmp_path / "none.json", 0)
