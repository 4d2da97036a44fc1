"""Talks to a version's GGUF through llama-cpp-python, in a process of its own: no server is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from metahuman_core.errors import MetahumanError
from metahuman_core.parent_death import named_parent


class Talk:
    """A conversation with one GGUF. Use as a context manager; `system` opens it, and the history is kept."""

    def __init__(self, gguf: Path, system: str, num_ctx: int = 4096) -> None:
        if not gguf.is_file():
            raise MetahumanError(f"there is no GGUF {gguf}", "see `metahuman history` for the versions that have one")
        self._opening = [{"role": "system", "content": system}] if system else []
        self._history: list[dict[str, str]] = []
        command = [sys.executable, "-m", "metahuman_core.steps.programs", "metahuman_core.steps.talk_main"]
        self._process = subprocess.Popen(
            [*command, str(gguf), str(num_ctx)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
            env={**os.environ, **named_parent()},
        )

    def __enter__(self) -> Self:
        if not self._read().get("ready"):
            raise MetahumanError("the GGUF cannot be loaded")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, question: str, *, temperature: float, max_tokens: int, remember: bool = True) -> Iterator[str]:
        """The answer in pieces, as they come. Raises MetahumanError where the context is full."""
        turn = {"role": "user", "content": question}
        request = {
            "messages": [*self._opening, *self._history, turn],
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        assert self._process.stdin is not None  # noqa: S101  # opened as a pipe above
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = ""
        while not (line := self._read()).get("done"):
            if "error" in line:
                raise MetahumanError(str(line["error"]), "begin a new conversation")
            piece = str(line["text"])
            answer += piece
            yield piece
        if remember:
            self._history += [turn, {"role": "assistant", "content": answer}]

    def _read(self) -> dict[str, object]:
        assert self._process.stdout is not None  # noqa: S101  # opened as a pipe above
        line = self._process.stdout.readline()
        if not line:
            raise MetahumanError(
                f"the GGUF cannot be run (exit status {self._process.wait()})", "check it: metahuman doctor"
            )
        parsed: dict[str, object] = json.loads(line)
        return parsed
