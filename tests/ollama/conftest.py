"""Puts the double beside the tests within reach, and gives one that runs."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests are no package (--import-mode=importlib)

from double import OllamaDouble
from double_gguf import Tensor, write
from double_gguf import own_order as in_own_order
from double_rules import CHATML_JINJA

NEW, OLD = "0.33.0-rc2", "0.24.0"


@pytest.fixture
def start_double(tmp_path: Path) -> Iterator[Callable[..., OllamaDouble]]:
    """Start a double of the given version, with an empty models folder; it stops when the test ends."""
    with ExitStack() as stack:

        def start(version: str = NEW, folder: str = "models") -> OllamaDouble:
            return stack.enter_context(OllamaDouble(version, tmp_path / folder))

        yield start


@pytest.fixture(params=[NEW, OLD])
def double(request: pytest.FixtureRequest, start_double: Callable[..., OllamaDouble]) -> OllamaDouble:
    """A double, once of each recorded version."""
    return start_double(request.param)


JINJA = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[assistant] " + "{# padding #}" * 99
_SHAPES = {"token_embd.weight": (64, 96), "blk.0.attn_q.weight": (64, 64), "output_norm.weight": (64,)}


def _write(path: Path, jinja: str, *, own_order: bool, architecture: str = "llama") -> tuple[Path, str]:
    values = {"general.architecture": architecture, "general.file_type": 7, "llama.context_length": 2048}
    values |= {"tokenizer.chat_template": jinja} if jinja else {}
    tensors = tuple(Tensor(name, "Q8_0" if len(shape) == 2 else "F32", shape) for name, shape in _SHAPES.items())
    write(path, values, in_own_order(tensors) if own_order else tensors)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def small_gguf(tmp_path: Path) -> tuple[Path, str]:
    """A GGUF of a few KiB whose chat template Ollama knows, and its SHA-256."""
    return _write(tmp_path / "model.gguf", CHATML_JINJA[0], own_order=False)


@pytest.fixture
def jinja_gguf(tmp_path: Path) -> tuple[Path, str]:
    """A GGUF whose chat template Ollama does not know."""
    return _write(tmp_path / "jinja.gguf", JINJA, own_order=False)


@pytest.fixture
def own_order_gguf(tmp_path: Path) -> tuple[Path, str]:
    """A GGUF as llama.cpp's quantiser would have written it: since 0.30 Ollama has no need to rewrite it."""
    return _write(tmp_path / "own.gguf", CHATML_JINJA[0], own_order=True)


@pytest.fixture
def broken_gguf(tmp_path: Path) -> tuple[Path, str]:
    """A GGUF whose Jinja template does not parse."""
    return _write(tmp_path / "broken.gguf", "{% for m in %}", own_order=False)


@pytest.fixture
def strange_gguf(tmp_path: Path) -> tuple[Path, str]:
    """A GGUF of an architecture that nobody knows."""
    return _write(tmp_path / "strange.gguf", "", own_order=False, architecture="nosucharch")
