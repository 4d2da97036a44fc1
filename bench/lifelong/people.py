"""The people of a public dialogue set, read from its JSON: what each said to whom and when, and what is asked of it.

LoCoMo (https://github.com/snap-research/locomo): a list of `{conversation: {speaker_a, speaker_b, session_N: [{speaker,
dia_id, text}], session_N_date_time}, qa: [{question, answer, evidence, category}]}`. LongMemEval
(https://github.com/xiaowu0162/LongMemEval): a list of `{question_id, question_type, question, answer, haystack_dates,
haystack_session_ids, haystack_sessions, answer_session_ids}`.

Invariant: a question belongs to the person who said what answers it, and is asked only where all of that is there; what
has no answer, or one that the person did not say, is left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from metahuman_core.errors import MetahumanError
from metahuman_core.memories.model import Turn
from metahuman_core.memories.when import moment

Format = Literal["locomo", "longmemeval"]
_SESSION = re.compile(r"session_(\d+)")
_DIALOGUE_ID = re.compile(r"D\d+:\d+")
_TIMES = ("%I:%M %p on %d %B, %Y", "%Y/%m/%d (%a) %H:%M")
_ADVERSARIAL = 5  # LoCoMo's category of questions that have no answer
_NAMELESS = "Robin"  # LongMemEval gives its users no names


@dataclass(frozen=True, slots=True)
class Exchange:
    """One memory: turns as an episodic memory has them (a lone turn of the person's is a note), and its mode."""

    turns: tuple[Turn, ...]
    mode: Literal["emulation", "dual"]


@dataclass(frozen=True, slots=True)
class Session:
    """What was said at one time."""

    name: str
    at: datetime
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, what its answer must hold, what was said, and in which sessions."""

    ask: str
    key: str
    said: str
    sessions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's sessions, the oldest first, and the questions that they answer."""

    name: str
    sessions: tuple[Session, ...]
    questions: tuple[Question, ...]


def read_people(kind: Format, path: Path, questions: int) -> list[Person]:
    """The people of a file. LongMemEval's users are put together until they have so many `questions`.

    Raises MetahumanError where the file is not there, or not of that format.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise MetahumanError(f"{path} cannot be read: {error.strerror}", "name the dialogue set's JSON file") from error
    try:
        people = list(_locomo(raw) if kind == "locomo" else _longmemeval(raw, questions))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise MetahumanError(
            f"{path} is not of the format {kind}: {where}: {first['msg']}", "is it the right file?"
        ) from error
    except ValueError as error:
        raise MetahumanError(f"{path} is not of the format {kind}: {error}", "is it the right file?") from error
    found = [person for person in people if person.questions]
    if not found:
        raise MetahumanError(f"{path} asks nothing that its people said", "is it the right file?")
    return found


class _Said(BaseModel):
    speaker: str
    dia_id: str
    text: str = ""
    blip_caption: str | None = ""

    @property
    def whole(self) -> str:
        """With what a shared picture shows."""
        return f"{self.text} [a picture: {self.blip_caption}]" if self.blip_caption else self.text


class _Qa(BaseModel):
    question: str
    answer: str | int | float | None = None
    evidence: list[str] = []
    category: int | str = 0


class _Locomo(BaseModel):
    conversation: dict[str, Any]
    qa: list[_Qa]


def _locomo(raw: bytes) -> Iterator[Person]:
    for sample in TypeAdapter(list[_Locomo]).validate_json(raw):
        sessions = dict(_locomo_sessions(sample.conversation))
        said = {turn.dia_id: (name, turn) for name, (_, turns) in sessions.items() for turn in turns}
        for speaker in dict.fromkeys(turn.speaker for _, turn in said.values()):
            yield Person(
                speaker,
                _in_time(Session(name, at, tuple(_talk(turns, speaker))) for name, (at, turns) in sessions.items()),
                tuple(_locomo_questions(sample.qa, said, speaker)),
            )


def _locomo_sessions(conversation: dict[str, Any]) -> Iterator[tuple[str, tuple[datetime, list[_Said]]]]:
    for name, turns in conversation.items():
        if _SESSION.fullmatch(name):
            at = _moment(f"{name}_date_time", conversation.get(f"{name}_date_time"))
            yield name, (at, TypeAdapter(list[_Said]).validate_python(turns))


def _talk(turns: Sequence[_Said], speaker: str) -> Iterator[Exchange]:
    """What the other one said, and what the person said to it; several turns in a row are one."""
    other = ""
    for is_own, group in groupby(turns, lambda turn: turn.speaker == speaker):
        text = "\n".join(turn.whole for turn in group).strip()
        if is_own and text:
            yield Exchange((*([Turn("user", other)] if other else []), Turn("assistant", text)), "emulation")
        other = "" if is_own else text


def _locomo_questions(asked: Sequence[_Qa], said: dict[str, tuple[str, _Said]], speaker: str) -> Iterator[Question]:
    for qa in asked:
        evidence = [said.get(name) for name in _DIALOGUE_ID.findall(" ".join(qa.evidence))]
        there = [one for one in evidence if one is not None and one[1].speaker == speaker]
        if qa.category in (_ADVERSARIAL, str(_ADVERSARIAL)) or qa.answer in (None, "") or not there:
            continue
        if len(there) == len(evidence):
            sessions = tuple(dict.fromkeys(name for name, _ in there))
            yield Question(qa.question, str(qa.answer), there[-1][1].whole, sessions)


def _listed(value: Any) -> Any:
    """Some copies of LongMemEval hold lists as Python prints them."""
    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (SyntaxError, ValueError):
        return value


_Names = Annotated[list[str], BeforeValidator(_listed)]


class _Message(BaseModel):
    role: str
    content: str
    has_answer: bool | None = False


class _Instance(BaseModel):
    question_id: str
    question: str
    answer: str | int | float
    haystack_dates: _Names
    haystack_session_ids: _Names
    haystack_sessions: list[list[_Message]]
    answer_session_ids: _Names


def _longmemeval(raw: bytes, questions: int) -> Iterator[Person]:
    """Only sessions that answer something are taken: a haystack is for those who search it."""
    sessions: dict[str, Session] = {}
    asked: list[Question] = []
    for one in TypeAdapter(list[_Instance]).validate_json(raw):
        whole = zip(one.haystack_session_ids, one.haystack_dates, one.haystack_sessions, strict=True)
        wanted = {name: (date, turns) for name, date, turns in whole if name in one.answer_session_ids}
        told = [
            turn.content for _, turns in wanted.values() for turn in turns if turn.has_answer and turn.role == "user"
        ]
        if one.question_id.endswith("_abs") or not told:
            continue
        for name, (date, turns) in wanted.items():
            sessions[name] = Session(name, _moment("haystack_dates", date), tuple(_chat(turns)))
        asked.append(Question(one.question, str(one.answer), told[-1], tuple(wanted)))
        if len(asked) == questions:
            yield Person(_NAMELESS, _in_time(sessions.values()), tuple(asked))
            sessions, asked = {}, []
    if asked:
        yield Person(_NAMELESS, _in_time(sessions.values()), tuple(asked))


def _chat(turns: Sequence[_Message]) -> Iterator[Exchange]:
    """The person is the user, as in a chat export: see `docs/memories.md` on the mode dual."""
    for own, reply in pairwise(turns):
        if (own.role, reply.role) == ("user", "assistant") and own.content.strip() and reply.content.strip():
            yield Exchange((Turn("user", own.content.strip()), Turn("assistant", reply.content.strip())), "dual")


def _in_time(sessions: Any) -> tuple[Session, ...]:
    return tuple(sorted(sessions, key=lambda session: (session.at, session.name)))


def _moment(field: str, value: Any) -> datetime:
    """A time as the sets write it, or as memories do. Raises ValueError, naming the field."""
    text = value.strip() if isinstance(value, str) else ""
    for form in _TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    found = moment(text.rpartition(" on ")[2]) if text else None
    if found is None:
        raise ValueError(f"{field} is no time")
    return found if found.tzinfo else found.replace(tzinfo=UTC)
