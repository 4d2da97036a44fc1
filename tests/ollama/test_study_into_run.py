"""What a model asked goes into the run that begins: planned, frozen, trained; and the same command plans the same."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from double import OllamaDouble

from metahuman_core.dataset.build import build_dataset
from metahuman_core.dataset.samples import DATASET, Sample, read_samples
from metahuman_core.errors import StoppedError
from metahuman_core.forgetting.finishing import finish_erasing
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.looking import look
from metahuman_core.model_study.cache import read_said
from metahuman_core.model_study.frozen import read_questions
from metahuman_core.ollama.client import OllamaClient
from metahuman_core.plan import Plan, read_memories, read_plan
from metahuman_core.prepare import Choice, begin_run, choose, pinned_plan
from metahuman_core.settings import OllamaSettings, Settings, StudySettings
from metahuman_core.wish import Wish
from metahuman_daemon.studying import with_questions

MODEL = "asker:latest"
SAIL = "Which boat has a red sail?"
NOTES = ("My boat is called Marram. She is a yellow dinghy with a red sail.", "Livia waters the three lemon trees.")
WISH = Wish("ines", "base")


def now() -> datetime:
    return datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


def asks(request: dict[str, Any]) -> str:
    shown = request["messages"][-1]["content"]
    ask, said = (
        (SAIL, "She is a yellow dinghy with a red sail.")
        if "sail" in shown
        else ("Who waters them?", "Margriet waters them.")
    )
    return json.dumps({"questions": [{"ask": ask, "answer": said, "ask_other_words": []}]})


@pytest.fixture
def double(start_double: Callable[..., OllamaDouble], jinja_gguf: tuple[Path, str]) -> OllamaDouble:
    started = start_double()
    with OllamaClient(started.url) as client:
        client.ensure_blob(*jinja_gguf)
        client.create({"model": MODEL, "files": {"model.gguf": f"sha256:{jinja_gguf[1]}"}})
    started.structured = asks
    return started


@pytest.fixture
def settings(double: OllamaDouble, tmp_path: Path) -> Settings:
    """A root with two memories, and a base that is none but in name."""
    root = tmp_path / "root"
    memory = ProfilePaths(root, "ines").memory
    memory.mkdir(parents=True)
    for number, said in enumerate(NOTES):
        (memory / f"2031-05-0{number + 1}.md").write_text(said, encoding="utf-8")
    (root / "base").mkdir()
    (root / "base" / "config.json").write_text("{}", encoding="utf-8")
    return Settings(root=root, study=StudySettings(ollama_model=MODEL), ollama=OllamaSettings(host=double.url))


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The lines for people: none may have a memory's words."""
    lines: list[str] = []
    yield lines
    assert not [line for line in lines if any(word in line for word in ("Marram", "Livia", "Margriet"))]


def prepared(settings: Settings, said: list[str]) -> tuple[Choice, Plan]:
    with Ledger(ProfilePaths(settings.root, "ines").ledger) as ledger:
        look(settings, "ines", ledger, None)
        chosen = choose(settings, WISH, ledger, None)
    choice = with_questions(settings, "ines", chosen, lambda _: None, said.append)
    return choice, pinned_plan(settings, WISH, choice, lambda *_: "unused")


def learned(run_dir: Path) -> list[Sample]:
    """The dataset step, as the cycle does it."""
    plan = read_plan(Journal.open(run_dir, now).file.inputs)
    new, replay = read_memories(run_dir)
    asked = read_questions(run_dir, plan.questions_sha256)
    build_dataset(new, replay, [], plan.dataset, plan.system, run_dir / DATASET, asked=asked)
    return list(read_samples(run_dir / DATASET))


def test_it_is_planned_frozen_and_trained(settings: Settings, said: list[str]) -> None:
    choice, plan = prepared(settings, said)
    run_dir = begin_run(settings, choice, plan, now)
    samples = [sample for sample in learned(run_dir) if sample.form == "model"]
    assert [[turn.text for turn in sample.turns] for sample in samples] == [["You are Ines.", SAIL, NOTES[0]]]
    assert "Margriet" not in "".join(path.read_text(encoding="utf-8") for path in run_dir.iterdir())
    (line,) = said
    assert line == (
        f"questions by {MODEL}: 1 about 1 memory (asked about 2 now, 0 before); "
        "1 refused: 1 a name that is not in the memory"
    )


def test_the_same_command_plans_the_same_and_asks_nobody(
    settings: Settings, said: list[str], double: OllamaDouble
) -> None:
    first = prepared(settings, said)
    double.stop()
    assert prepared(settings, said) == first
    assert "(asked about 0 now, 2 before)" in said[1]


def test_without_a_model_in_the_config_no_server_is_asked_and_nothing_is_planned(
    settings: Settings, said: list[str], double: OllamaDouble
) -> None:
    double.log.clear()
    choice, plan = prepared(settings.model_copy(update={"study": StudySettings()}), said)
    assert (choice.questions, plan.questions_sha256, said, double.log) == ((), "", [], [])
    assert not (begin_run(settings, choice, plan, now) / "questions.jsonl").exists()


def test_without_a_server_the_run_begins_all_the_same(
    settings: Settings, said: list[str], double: OllamaDouble
) -> None:
    double.stop()
    choice, plan = prepared(settings, said)
    assert plan.questions_sha256 == ""
    assert {sample.memory for sample in learned(begin_run(settings, choice, plan, now)) if sample.memory} == {
        memory.digest for memory in choice.new
    }
    (line,) = said
    assert line.endswith("2 memories are left to the templates")


def test_what_is_erased_leaves_the_models_words_too(settings: Settings, said: list[str]) -> None:
    choice, _ = prepared(settings, said)
    paths = ProfilePaths(settings.root, "ines")
    gone, stays = choice.new
    with Ledger(paths.ledger) as ledger:
        ledger.forgetting.erase([gone.digest], now())
    finish_erasing(settings, "ines", said.append)
    assert read_said(paths.studied, gone.digest) is None
    assert read_said(paths.studied, stays.digest) is not None


@pytest.mark.usefixtures("hears_ctrl_c")
def test_a_ctrl_c_stops_the_command_and_the_next_goes_on(
    settings: Settings, said: list[str], double: OllamaDouble
) -> None:
    def interrupted(request: dict[str, Any]) -> str:
        if "Livia" in request["messages"][-1]["content"]:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            double.moving.wait(20)
        return asks(request)

    double.structured = interrupted
    with pytest.raises(StoppedError, match="stopped while a model was asked") as stopped:
        prepared(settings, said)
    assert stopped.value.exit_code == 75
    double.moving.set()
    double.structured = asks
    prepared(settings, said)
    assert "(asked about 1 now, 1 before)" in said[-1]
