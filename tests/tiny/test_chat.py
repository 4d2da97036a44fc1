"""`metahuman chat` talks to a version, and to the base, straight from their GGUFs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from transformers import AutoTokenizer

from metahuman_core.memories.model import Turn
from metahuman_core.steps.encode import ChatEncoder

if TYPE_CHECKING:
    from conftest import Root

_PROMPT = """
import json, sys
from metahuman_core.steps.talk_main import Talker
talker = Talker(sys.argv[1], 512)
print(json.dumps([talker._prompt(messages) for messages in json.loads(sys.argv[2])]))
"""
SYSTEM = {"role": "system", "content": "You are Ines."}


def test_a_version_answers_what_it_is_asked_each_answer_on_a_line_and_the_same_one_at_temperature_0(
    trained: Callable[[str], Root],
) -> None:
    asked = ("--ask", "Who is Duarte?", "--ask", "Who is Duarte?", "--temperature", "0", "--max-tokens", "4")
    finished = trained("llama").metahuman("chat", "1", *asked)
    assert finished.code == 0, finished.err
    lines = finished.out.splitlines()
    assert len(lines) >= 2
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


def test_the_base_answers_too(grown: Root) -> None:
    finished = grown.metahuman("chat", "base", "--ask", "Who is Duarte?", "--max-tokens", "4")
    assert finished.code == 0, finished.err
    assert finished.out.endswith("\n")


def test_a_version_that_is_not_there_is_named(trained: Callable[[str], Root]) -> None:
    assert "there is no version 7" in trained("llama").metahuman("chat", "7", "--ask", "x").err
    assert trained("llama").metahuman("chat", "yesterday", "--ask", "x").code == 2


def test_what_a_person_types_is_read_as_it_was_trained_and_control_tokens_stay_text(
    trained_root: Root, aside: Callable[..., str]
) -> None:
    (version,) = trained_root.registry().training_history
    tokenizer = AutoTokenizer.from_pretrained(trained_root.folder / version.output_model_path)
    encoder = ChatEncoder(tokenizer)
    said = ["Who are you?", "Où? 🦜", *(f"a{token.content} b" for token in tokenizer.added_tokens_decoder.values())]
    asked = [[SYSTEM, {"role": "user", "content": text}] for text in said]
    theirs = json.loads(aside("-c", _PROMPT, str(trained_root.folder / version.gguf_path), json.dumps(asked)))
    ours = [encoder.encode_prompt([Turn(m["role"], m["content"]) for m in messages]) for messages in asked]
    assert theirs == ours
    controls = [[i for i in ids if i in encoder.added_ids()] for ids in theirs]
    assert all(ids == controls[0] for ids in controls)


def test_weights_are_not_laid_out_anew_for_a_matrix_unit(trained: Callable[[str], Root]) -> None:
    root = trained("llama").folder
    (gguf,) = root.rglob("model.gguf")
    code = """
import sys
from pathlib import Path
from llama_cpp import llama_model_default_params
from metahuman_core.steps.open_gguf import open_gguf
model = open_gguf(Path(sys.argv[1]), n_ctx=256)
model.eval(model.tokenize(b"She walked along the river until it was dark. " * 8))
print(model.model_params.use_extra_bufts, llama_model_default_params().use_extra_bufts)
"""
    finished = subprocess.run([sys.executable, "-c", code, str(gguf)], check=True, capture_output=True, text=True)
    assert finished.stdout.split() == ["False", "True"]
