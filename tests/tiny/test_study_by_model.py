"""A model asks about memories before a run, through the command line: what it asks is trained, and once is enough."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metahuman_core.dataset.samples import Sample, read_samples
from metahuman_core.durable import sha256_file
from metahuman_core.journal import read_run_file
from metahuman_core.ollama.client import OllamaClient

sys.path.insert(0, str(Path(__file__).parents[1] / "ollama"))  # the tests are no package

from double import OllamaDouble
from double_gguf import Tensor, write

if TYPE_CHECKING:
    from conftest import Root

MODEL = "asker:latest"
SAIL = "Which boat has a red sail?"
LIES = ("Who taught you to bake bread?", "Margriet taught me to bake bread in 1999.")


def asks(request: dict[str, Any]) -> str:
    """A good question about the boat, nonsense about coffee, a lie about all else."""
    shown = request["messages"][-1]["content"]
    if "coffee" in shown:
        return "I would rather not."
    ask, answer = (SAIL, "She is a yellow dinghy with a red sail.") if "sail" in shown else LIES
    return json.dumps({"questions": [{"ask": ask, "answer": answer, "ask_other_words": []}]})


def with_a_model(double: OllamaDouble, folder: Path) -> None:
    """Put a model into the server that asks about memories."""
    gguf = folder / "asker.gguf"
    write(gguf, {"general.architecture": "llama", "general.file_type": 7}, (Tensor("t", "F32", (64,)),))
    sha256 = sha256_file(gguf)
    with OllamaClient(double.url) as client:
        client.ensure_blob(gguf, sha256)
        client.create({"model": MODEL, "files": {"model.gguf": f"sha256:{sha256}"}, "template": "{{ .Prompt }}!"})
    double.structured = asks


def of_model(run_dir: Path) -> list[Sample]:
    return [sample for sample in read_samples(run_dir / "dataset.jsonl") if sample.form == "model"]


def test_what_a_model_asks_is_trained_and_asked_once(root: Root, tmp_path: Path) -> None:
    with OllamaDouble("0.33.0-rc2", tmp_path / "models") as double:
        with_a_model(double, tmp_path)
        root.set("ollama", f'host = "{double.url}"')
        root.set("dataset", "questions_per_memory = 8")  # of three, all would be the templates'
        settings = root.config.read_text(encoding="utf-8")
        root.config.write_text(f'{settings}\n[study]\nollama_model = "{MODEL}"\n', encoding="utf-8")
        ahead = root.fine_tune("--dry-run", "--base-model", "base")
        assert f"{MODEL} would be asked" in ahead.out
        assert double.asked("/api/chat") == []
        done = root.fine_tune("--base-model", "base")
        assert done.code == 0, done.err
        assert f"questions by {MODEL}: 1 about 1 memory (asked about 8 now, 0 before); 7 refused" in done.err
        assert "Margriet" not in done.err
        run_dir = root.run_dir(root.registry().training_history[-1])
        (sample,) = of_model(run_dir)
        assert sample.turns[-2].text == SAIL
        assert sample.turns[-1].text == "My boat is called Marram. She is a yellow dinghy with a red sail."
        file = read_run_file(run_dir)
        assert file is not None
        assert file.inputs["questions_sha256"]
        for name in ("dataset.jsonl", "questions.jsonl"):
            assert "Margriet" not in (run_dir / name).read_text(encoding="utf-8")
        same = root.fine_tune("--base-model", "base")
        assert "was made by just this" in same.err, same.err
        assert len(double.asked("/api/chat")) == 8
