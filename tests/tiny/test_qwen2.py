"""Qwen2, and a vocabulary that llama.cpp's converter does not know: the error is clear, and all before it is sound.

transformers gives every Qwen2 model Qwen2's own splitting into words, whatever its tokenizer.json says. With the
vocabulary of the tiny bases that is a tokenizer that nobody has seen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM

from metahuman_core.layout import ProfilePaths
from metahuman_core.settings import WeightSettings
from metahuman_core.steps.check import check_gguf

if TYPE_CHECKING:
    from conftest import Finished, Root

_CONVERT_AS_QWEN2 = """
import sys
from pathlib import Path
from conversion.base import TextModel
from metahuman_core.steps.weights.make import make_weights
TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
make_weights(*map(Path, sys.argv[1:5]), "Q8_0", lambda _: None, lambda: False)
"""


@dataclass(frozen=True)
class Failed:
    """A run that got no further than its conversion."""

    root: Root
    finished: Finished
    run_dir: Path


@pytest.fixture(scope="module")
def failed(new_root: Callable[[str], Root]) -> Failed:
    """A run on a Qwen2 base. Shared: look, and change nothing."""
    root = new_root("qwen2")
    finished = root.fine_tune("--base-model", "base")
    (run_dir,) = ProfilePaths(root.folder, "ines").run_dirs()
    return Failed(root, finished, run_dir)


def test_a_tokenizer_that_the_converter_does_not_know_is_one_clear_error(failed: Failed) -> None:
    assert failed.finished.code == 1
    assert "llama.cpp's converter does not know this model: BPE pre-tokenizer was not recognized" in failed.finished.err
    assert "Traceback" not in failed.finished.err


def test_the_run_is_listed_as_failed_with_the_reason_and_the_base_stays(failed: Failed) -> None:
    registry = failed.root.registry()
    assert registry.training_history == ()
    assert registry.current_base_model == registry.original_base_model == "base"
    (entry,) = registry.failed_runs
    assert (entry.run_label, entry.step, entry.base_model_used) == (failed.run_dir.name, "weights", "base")
    assert "does not know this model" in entry.reason


def test_all_steps_before_it_are_done_and_nothing_half_made_is_left(failed: Failed) -> None:
    journal = json.loads((failed.run_dir / "run.json").read_text(encoding="utf-8"))
    assert list(journal["steps"]) == ["dataset", "train", "evaluate"]
    assert not list(failed.run_dir.glob("*.gguf*"))
    assert not list(failed.run_dir.glob("model*"))


def test_converted_with_qwen2s_splitting_it_has_the_models_tokens_and_logits(
    failed: Failed, aside: Callable[..., str], tmp_path: Path
) -> None:
    model, gguf = tmp_path / "model", tmp_path / "model.gguf"
    base, adapter = failed.root.folder / "base", failed.run_dir / "adapter"
    aside("-c", _CONVERT_AS_QWEN2, str(base), str(adapter), str(model), str(gguf))
    assert isinstance(AutoModelForCausalLM.from_pretrained(model), Qwen2ForCausalLM)
    checked = check_gguf(model, gguf, None, WeightSettings(), "cpu", lambda _: None, lambda: False)
    assert checked.reasons == ()
    assert checked.mean_kl < 0.01
    assert checked.top1_agreement > 0.97
