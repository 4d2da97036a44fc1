"""Before a run begins: what a model in Ollama asks about its memories, if the config names one, and what is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from metahuman_core.errors import StoppedError
from metahuman_core.layout import ProfilePaths
from metahuman_core.model_study.asking import Studied, study_by_model
from metahuman_core.prepare import Choice
from metahuman_core.progress import Report
from metahuman_core.settings import Settings


def with_questions(
    settings: Settings, profile: str, choice: Choice, report: Report, say: Callable[[str], None]
) -> Choice:
    """The choice with the questions of a model; as it is where none is named. Raises nothing but StoppedError."""
    if not settings.study.ollama_model:
        return choice
    try:
        studied = study_by_model(
            choice.new,
            choice.replay,
            ProfilePaths(settings.root, profile).studied,
            settings.study,
            settings.ollama.host,
            time.monotonic,
            report,
        )
    except KeyboardInterrupt:
        raise StoppedError(
            "stopped while a model was asked about memories", "the same command goes on; what it said is kept"
        ) from None
    for line in in_words(studied, settings.study.ollama_model):
        say(line)
    return replace(choice, questions=studied.questions)


def in_words(studied: Studied, model: str) -> Iterator[str]:
    """What came of it, for people; nothing of what a memory says."""
    if studied.trouble:
        yield f"{studied.trouble}: {_counted(studied.left, 'memory is', 'memories are')} left to the templates"
    if not (studied.asked or studied.known or studied.questions):
        return
    questions = sum(len(fact.asks) for one in studied.questions for fact in one.asked)
    refused = sum(count for _, count in studied.refused)
    why = ", ".join(f"{count} {reason}" for reason, count in studied.refused)
    yield (
        f"questions by {model}: {questions} about {_counted(len(studied.questions), 'memory', 'memories')} "
        f"(asked about {studied.asked} now, {studied.known} before); {refused} refused" + (f": {why}" if why else "")
    )


def _counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
