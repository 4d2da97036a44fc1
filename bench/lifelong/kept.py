"""What is kept: each version's result as a small file, and beside them the folders of versions that others need.

Invariant: a result's name appears when it is whole, so that a bench that is killed anywhere goes on with the same
command; a file that cannot be read is no result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from metahuman_core.durable import remove, write_text

_KEY_CHARS = 20


@dataclass(frozen=True, slots=True)
class Answered:
    """What a version said to a probe; `outdated`: it gave an answer that was corrected."""

    batch: int
    about: str
    ask: str
    key: str
    answer: str
    recalled: bool
    correction: bool = False
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """Whether a version recalled one of the phrasings that the gate asks of a memory (its digest)."""

    memory: str
    recalled: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """One version's result. `general_bits` and `general_bytes` are of the general prompts' answers, one by one.

    `prose_nats`: mean negative log likelihood of a token of plain prose, which is like nothing that is trained.
    `version_bytes`: what it keeps, the adapter or the merged model. `went_on`: training was broken off in between, so
    that `train_s` is not all of it.
    """

    key: str
    strategy: str
    seed: int
    cycle: int
    answers: tuple[Answered, ...]
    watched: tuple[Watched, ...]
    general_bits: tuple[float, ...]
    general_bytes: tuple[int, ...]
    prose_nats: float
    samples: int
    steps: int
    train_s: float
    measure_s: float
    went_on: bool
    version_bytes: int


_ONE = TypeAdapter(Measured)


class Kept:
    """The results of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Measured | None:
        """A version's result; None where there is none."""
        try:
            measured = _ONE.validate_json(self._file(key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError, UnicodeDecodeError):
            return None
        return measured if measured.key == key else None

    def put(self, measured: Measured) -> None:
        """Keep a result."""
        write_text(self._file(measured.key), _ONE.dump_json(measured).decode() + "\n")

    def work(self, key: str) -> Path:
        """Where a version is made, and lies as long as others need it."""
        return self.folder / "work" / key[:_KEY_CHARS]

    def let_go(self, keys: Iterable[str]) -> None:
        """Delete the folders of versions that nobody needs any more. Others' are left alone."""
        for key in keys:
            remove(self.work(key))

    def _file(self, key: str) -> Path:
        return self.folder / f"{key[:_KEY_CHARS]}.json"
