"""The journal of a run (`run.json`): what it was asked, and each step that is done.

Invariant: an entry is written after its step's artefact has its real name and is on the disk; so an entry means done,
and an artefact without one is made again. Killed anywhere, the same command goes on behind the last entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from metahuman_core.durable import write_text
from metahuman_core.errors import MetahumanError

T = TypeVar("T")
NAME = "run.json"


class StepEntry(BaseModel):
    """A step that is done: the digest of what went in, what came out, when."""

    model_config = ConfigDict(frozen=True)

    inputs_sha256: str
    result: Any
    done_at: datetime


class RunFile(BaseModel):
    """The whole of `run.json`. A broken model's measures are no numbers, and stand there as NaN and Infinity."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    run_label: str
    inputs: dict[str, Any]
    steps: dict[str, StepEntry] = Field(default_factory=dict)
    ended: str = ""


def digest_of(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON; pydantic models and dataclasses count by their fields."""
    plain = to_jsonable_python(value)
    return hashlib.sha256(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def read_run_file(run_dir: Path) -> RunFile | None:
    """What a run's journal says, for who can do without: None where there is none, or it cannot be understood."""
    try:
        return RunFile.model_validate_json((run_dir / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Journal:
    """One run's journal, on disk at every moment."""

    def __init__(self, run_dir: Path, file: RunFile, now: Callable[[], datetime]) -> None:
        self.run_dir = run_dir
        self.file = file
        self._now = now

    @classmethod
    def begin(cls, run_dir: Path, plan: Any, now: Callable[[], datetime]) -> Journal:
        """Write a new run's journal: `plan` (a frozen dataclass) is all that it was asked."""
        journal = cls(run_dir, RunFile(run_label=run_dir.name, inputs=as_plain(plan)), now)
        journal._write()
        return journal

    @classmethod
    def open(cls, run_dir: Path, now: Callable[[], datetime]) -> Journal:
        """Read a run's journal. Raises MetahumanError where it cannot be understood."""
        try:
            file = RunFile.model_validate_json((run_dir / NAME).read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            raise MetahumanError(
                f"the journal {run_dir / NAME} cannot be read", "start again with --discard"
            ) from error
        return cls(run_dir, file, now)

    def step(self, name: str, result_type: type[T], inputs: Any, do: Callable[[], T]) -> T:
        """Do a step, or give back what it gave when it was done before with the same inputs."""
        inputs_sha256 = digest_of(inputs)
        done = self.file.steps.get(name)
        adapter = TypeAdapter(result_type)
        if done is not None and done.inputs_sha256 == inputs_sha256:
            return adapter.validate_python(done.result)
        result = do()
        plain = adapter.dump_python(result, mode="json")
        entry = StepEntry(inputs_sha256=inputs_sha256, result=plain, done_at=self._now())
        self.file = self.file.model_copy(update={"steps": {**self.file.steps, name: entry}})
        self._write()
        return result

    def known(self, name: str, result_type: type[T]) -> T | None:
        """What a step gave, whatever went into it; None where it was not done."""
        done = self.file.steps.get(name)
        return None if done is None else TypeAdapter(result_type).validate_python(done.result)

    def end(self, how: str) -> None:
        """Close the run: `registered`, `rejected`, `failed` or `discarded`."""
        self.file = self.file.model_copy(update={"ended": how})
        self._write()

    def _write(self) -> None:
        write_text(self.run_dir / NAME, self.file.model_dump_json(indent=2) + "\n")


def as_plain(value: Any) -> dict[str, Any]:
    """A frozen dataclass as JSON values."""
    plain: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return plain
