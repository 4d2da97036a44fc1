"""Objects that were made for training or by asking: curated samples, instructions, therapy sessions.

Invariant: the answer of a pair is the person's own voice; a sample that its curator rejected is read, and marked unfit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metahuman_core.memories.episodic import pair, time_of
from metahuman_core.memories.labels import kind_of, line, mode_of, tags_of, unfit_reason
from metahuman_core.memories.messages import words
from metahuman_core.memories.origin import UnitNames
from metahuman_core.memories.when import first_moment, path_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metahuman_core.memories.origin import Origin, Outcome
    from metahuman_core.memories.strict_json import JsonObject


def is_curated(sample: JsonObject) -> bool:
    """`{conversationalEssence, context?, userMessage, assistantResponse?, suitableForTraining, …}`."""
    return "conversationalEssence" in sample or {"suitableForTraining", "userMessage"} <= sample.keys()


def read_curated(sample: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """The pair, or where nobody answers the context and the essence as text."""
    turns = pair(line(sample, "userMessage"), line(sample, "assistantResponse"))
    told = (line(sample, "context").strip(), line(sample, "conversationalEssence").strip())
    kind = kind_of(sample, "conversation")
    tags = tags_of(sample.get("tags"), sample.get("flags"))
    rejected = "rejected by its curator" if line(sample, "rejectionReason") else ""
    yield origin.memory(
        kind=kind,
        mode=mode_of(sample, kind),
        happened_at=time_of(sample, origin.source),
        turns=turns,
        text="\n\n".join(filter(None, told)) or line(sample, "userMessage", "assistantResponse"),
        tags=tags,
        unfit=rejected or unfit_reason(sample, tags),
    )


def is_instruction(sample: JsonObject) -> bool:
    """`{instruction, input?, output}`."""
    return {"instruction", "output"} <= sample.keys()


def read_instruction(sample: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """The instruction with its input, and the output as the answer; without both sides there is nothing to learn."""
    asked = "\n\n".join(filter(None, (line(sample, "instruction").strip(), line(sample, "input").strip())))
    kind = kind_of(sample, origin.kind or "training")
    tags = tags_of(sample.get("tags"))
    yield origin.memory(
        kind=kind,
        mode=mode_of(sample, kind),
        happened_at=time_of(sample, origin.source),
        turns=pair(asked, line(sample, "output")),
        tags=tags,
        unfit=unfit_reason(sample, tags),
    )


def is_therapy(session: JsonObject) -> bool:
    """`{sessionId, status, questions: [{id, prompt}], answers: [{questionId, content, capturedAt}]}`."""
    return isinstance(session.get("questions"), list) and isinstance(session.get("answers"), list)


def read_therapy(session: JsonObject, origin: Origin) -> Iterator[Outcome]:
    """Each answered question, under the question's id."""
    prompts = {line(asked, "id"): line(asked, "prompt", "question") for asked in _objects(session["questions"])}
    units, answers = UnitNames(), _objects(session["answers"])
    if not answers:
        yield origin.skipped("no question is answered yet")
    for answer in answers:
        question = line(answer, "questionId")
        place = origin.at(units.name(question or "answer"))
        if not (question and prompts.get(question)):
            yield place.skipped("an answer to no known question")
            continue
        tags = tags_of(session.get("tags"), answer.get("tags"))
        yield place.memory(
            kind="therapy",
            mode=mode_of(session, "therapy"),
            happened_at=first_moment(answer.get("capturedAt"), session.get("createdAt")) or path_moment(origin.source),
            turns=pair(prompts[question], words(answer.get("content"))),
            tags=tags,
            unfit=unfit_reason(session, tags) or unfit_reason(answer, tags),
        )


def _objects(listed: list[object]) -> list[JsonObject]:
    return [item for item in listed if isinstance(item, dict)]
