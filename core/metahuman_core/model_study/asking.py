"""Gives each new memory to a model in Ollama, once, and has what it says checked.

Invariant: whatever the server, the model or the disk does, what was said so far is kept and used, the rest is left to
the templates, and the run goes on. Only a Ctrl-C gets out of here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from metahuman_core.errors import MetahumanError
from metahuman_core.memories.model import Memory
from metahuman_core.model_study.cache import Said, keep_said, read_said
from metahuman_core.model_study.checking import check
from metahuman_core.model_study.frozen import AskedOfMemory
from metahuman_core.model_study.name import KEEP_ALIVE_S, STEP, full_name
from metahuman_core.model_study.proposal import UnreadableAnswerError, answer_schema, messages_for, read_answer
from metahuman_core.ollama.client import OllamaClient, OllamaRefused, OllamaSlow
from metahuman_core.progress import Progress, Report
from metahuman_core.settings import StudySettings

_OPTIONS = {"temperature": 0, "seed": 20, "num_predict": 1_024, "num_ctx": 6_144}
_LOOKS_WITHIN_S = 20.0
_FAILED_IN_A_ROW = 3
_MISSING = 404


@dataclass(frozen=True, slots=True)
class StudyModel:
    """The model as the server has it now."""

    name: str
    sha256: str
    thinks: bool


@dataclass(frozen=True, slots=True)
class Studied:
    """What came of it. `asked` memories were given to the model now, `known` ones were before, `left` ones were not.

    `refused`: how many wordings for each reason. `trouble`: why some were left, "" where none were.
    """

    questions: tuple[AskedOfMemory, ...]
    asked: int
    known: int
    left: int
    refused: tuple[tuple[str, int], ...]
    trouble: str


def study_by_model(
    new: Sequence[Memory],
    replay: Sequence[Memory],
    folder: Path,
    settings: StudySettings,
    host: str,
    now_s: Callable[[], float],
    report: Report,
) -> Studied:
    """Ask about the new memories that `folder` (the cache) knows nothing of; old ones count by what is known of them.

    `host`: the server ("": OLLAMA_HOST). `now_s`: a rising clock's seconds.
    """
    said = {memory.digest: found for memory in (*new, *replay) if (found := read_said(folder, memory.digest))}
    before = set(said)
    asking = _Asking(folder, settings, now_s() + settings.max_minutes * 60, now_s, said)
    trouble = ""
    try:
        if new:
            with OllamaClient(host or None, read_within_s=_LOOKS_WITHIN_S) as client:
                asking.ask(client, new, report)
    except MetahumanError as error:
        trouble = error.message
    except OSError as error:
        trouble = f"what the model says cannot be kept: {error.strerror or error}"
    questions: list[AskedOfMemory] = []
    refused: Counter[str] = Counter()
    for memory in {memory.digest: memory for memory in (*new, *replay)}.values():
        if (answer := said.get(memory.digest)) is not None:
            checked = check(memory, answer.proposals)
            refused.update(checked.refused or ([answer.fault] if answer.fault else []))
            if checked.kept:
                questions.append(AskedOfMemory(memory.digest, checked.kept))
    digests = {memory.digest for memory in new}
    left = len(digests - said.keys())
    return Studied(
        questions=tuple(questions),
        asked=asking.asked,
        known=len(digests & before) - asking.again,
        left=left,
        refused=tuple(refused.most_common()),
        trouble=(trouble or asking.last_failure) if left else "",
    )


def find_model(client: OllamaClient, name: str) -> StudyModel:
    """The model as the server has it. Raises MetahumanError where there is none of its own."""
    full = full_name(name)
    listed = next((model for model in client.tags() if model.name.lower() == full.lower()), None)
    shown = client.show(full) if listed else None
    if listed is None or shown is None:
        raise MetahumanError(f"Ollama at {client.url} has no model {full}", f"`ollama pull {full}`")
    if shown.runs_at:
        raise MetahumanError(
            f"{full} runs at {shown.runs_at}, and memories do not go there", "name a model that runs on your own server"
        )
    return StudyModel(listed.name, listed.digest, shown.thinks)


class _Asking:
    """One run's asking: what was said so far, and how often it went wrong in a row."""

    def __init__(
        self, folder: Path, settings: StudySettings, until_s: float, now_s: Callable[[], float], said: dict[str, Said]
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._until_s = until_s
        self._now_s = now_s
        self._said = said
        self._failed_in_a_row = 0
        self.last_failure = ""
        self.asked = 0
        self.again = 0

    def ask(self, client: OllamaClient, memories: Sequence[Memory], report: Report) -> None:
        """Ask about those that this model said nothing of. Raises MetahumanError or OSError where that ends early."""
        model = find_model(client, self._settings.ollama_model)
        waiting = [m for m in memories if not ((s := self._said.get(m.digest)) and s.is_of(model.sha256))]
        if not waiting:
            return
        was_loaded = any(loaded.name == model.name for loaded in client.ps())
        try:
            for number, memory in enumerate(waiting):
                report(Progress(STEP, number, len(waiting), "memories"))
                self._require_time()
                self._ask_about(client, model, memory)
            report(Progress(STEP, len(waiting), len(waiting), "memories"))
        except Exception:  # not a Ctrl-C, which is obeyed at once: then the model leaves by itself
            self._unload(client, model, was_loaded=was_loaded)
            raise
        self._unload(client, model, was_loaded=was_loaded)

    def _require_time(self) -> None:
        if self._now_s() >= self._until_s:
            raise MetahumanError(f"the {self._settings.max_minutes:g} minutes of [study] max_minutes are over")

    def _ask_about(self, client: OllamaClient, model: StudyModel, memory: Memory) -> None:
        try:
            answer = client.answer_as(
                model.name,
                messages_for(memory),
                answer_schema(),
                options=_OPTIONS,
                keep_alive_s=KEEP_ALIVE_S,
                thinks=model.thinks,
                within_s=self._settings.max_seconds_per_memory,
            )
        except (OllamaSlow, OllamaRefused) as error:
            # It may be this memory alone; where it is not, the others need not be waited for.
            self.last_failure = error.message
            self._failed_in_a_row += 1
            if self._failed_in_a_row == _FAILED_IN_A_ROW or getattr(error, "status", 0) == _MISSING:
                raise
            return
        self._failed_in_a_row = 0
        said = _read(answer, model)
        self.again += memory.digest in self._said
        self.asked += 1
        self._said[memory.digest] = said
        keep_said(self._folder, memory.digest, said)

    def _unload(self, client: OllamaClient, model: StudyModel, *, was_loaded: bool) -> None:
        """Its place is needed for training; one that was there before is somebody's."""
        if not was_loaded:
            with suppress(MetahumanError):
                client.unload(model.name)


def _read(answer: str, model: StudyModel) -> Said:
    try:
        return Said(model=model.name, model_sha256=model.sha256, proposals=read_answer(answer))
    except UnreadableAnswerError as error:
        return Said(model=model.name, model_sha256=model.sha256, fault=str(error))
