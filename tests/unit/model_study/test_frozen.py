"""What a model asked is frozen into a run's folder, and read only as it was planned."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from metahuman_core.errors import MetahumanError
from metahuman_core.model_study.frozen import AskedOfMemory, questions_sha256, read_questions, write_questions
from metahuman_core.plan import QUESTIONS
from metahuman_core.study import Asked

SOME = (
    AskedOfMemory("a" * 64, (Asked("The shed is green,\u2028they say.", ("Which colour?", "What colour?")),)),
    AskedOfMemory("b" * 64, (Asked("Ich wohne in Köln.", ("Wo wohnst du?",)),)),
)


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    write_questions(tmp_path, SOME)
    assert read_questions(tmp_path, questions_sha256(SOME)) == {one.memory: one.asked for one in SOME}
    assert stat.S_IMODE((tmp_path / QUESTIONS).stat().st_mode) == 0o600


def test_the_same_questions_have_the_same_digest_and_others_another() -> None:
    assert questions_sha256(SOME) == questions_sha256(tuple(SOME))
    assert len({questions_sha256(SOME), questions_sha256(SOME[:1]), questions_sha256(())}) == 3


def test_without_questions_there_is_no_file_and_none_is_missed(tmp_path: Path) -> None:
    write_questions(tmp_path, ())
    assert list(tmp_path.iterdir()) == []
    assert questions_sha256(()) == ""
    assert read_questions(tmp_path, "") == {}


@pytest.mark.parametrize("instead", [None, b"", b"\xff\n", b"{}\n"])
def test_others_than_were_planned_are_refused(tmp_path: Path, instead: bytes | None) -> None:
    write_questions(tmp_path, SOME)
    (tmp_path / QUESTIONS).unlink()
    if instead is not None:
        (tmp_path / QUESTIONS).write_bytes(instead)
    with pytest.raises(MetahumanError, match=r"questions.jsonl"):
        read_questions(tmp_path, questions_sha256(SOME))
