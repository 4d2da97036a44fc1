"""The cycle, for each architecture: what comes out of it loads, says the same, and is entered as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from metahuman_core.durable import sha256_file, sha256_tree
from metahuman_core.errors import MetahumanError
from metahuman_core.shipped import shipped
from metahuman_core.steps.loading import load_model

if TYPE_CHECKING:
    from conftest import Root

_LOAD_GGUF = """
import json, sys, llama_cpp
model = llama_cpp.Llama(sys.argv[1], n_ctx=256, verbose=False)
texts = json.loads(sys.argv[2])
print(json.dumps([model.tokenize(text.encode(), add_bos=False, special=False) for text in texts]))
"""


def test_the_version_is_live_and_the_files_are_the_ones_that_were_registered(trained_root: Root) -> None:
    (version,) = trained_root.registry().training_history
    assert (version.version, version.outcome, version.storage) == (1, "live", "full")
    assert (version.base_model_used, version.anchor_model, version.parent_version) == ("base", "base", None)
    assert (version.memories_trained, version.memories_replayed) == (8, 0)
    folder = trained_root.folder
    assert trained_root.registry().current_base_model == version.output_model_path
    assert sha256_file(folder / version.gguf_path) == version.gguf_sha256
    assert sha256_tree(folder / version.output_model_path) == version.model_sha256
    assert sha256_file(folder / version.adapter_path / "adapter_model.safetensors") == version.adapter_sha256
    run_dir = trained_root.run_dir(version)
    assert sha256_file(run_dir / "dataset.jsonl") == version.dataset_sha256
    assert (run_dir / "Modelfile").read_text(encoding="utf-8").startswith("FROM ./model.gguf\n")
    for name in ("train-log.jsonl", "evaluation.json", "loss.svg", "report.html"):
        assert (run_dir / name).stat().st_size, name
    assert not list(run_dir.glob("*.partial"))
    assert not (run_dir / "checkpoints").exists()


def test_the_model_folder_loads_and_is_no_longer_the_base(trained_root: Root) -> None:
    (version,) = trained_root.registry().training_history
    model = AutoModelForCausalLM.from_pretrained(trained_root.folder / version.output_model_path, dtype="auto")
    base = AutoModelForCausalLM.from_pretrained(trained_root.folder / "base", dtype="auto")
    assert type(model) is type(base)
    changed = {name for name, tensor in model.state_dict().items() if not tensor.equal(base.state_dict()[name])}
    assert len(changed) == 14
    assert all(name.endswith("_proj.weight") for name in changed)


def test_the_gguf_loads_and_has_the_models_tokens(trained_root: Root, aside: Callable[..., str]) -> None:
    (version,) = trained_root.registry().training_history
    texts = [*shipped("etc/check-text.txt").read_text(encoding="utf-8").split("\n\n"), "Où? 🦜 東京 12345  x\n\n\ty"]
    theirs = json.loads(aside("-c", _LOAD_GGUF, str(trained_root.folder / version.gguf_path), json.dumps(texts)))
    tokenizer = AutoTokenizer.from_pretrained(trained_root.folder / version.output_model_path)
    assert theirs == [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def test_the_gguf_says_what_the_model_says(trained_root: Root) -> None:
    (version,) = trained_root.registry().training_history
    assert version.metrics["gguf_mean_kl"] < 0.01
    assert version.metrics["gguf_top1"] > 0.97


@pytest.mark.parametrize("file", ["model.py", "config.json"])
def test_a_base_that_brings_code_is_refused_before_anything_of_it_is_loaded(root: Root, file: str) -> None:
    path = root.folder / "base" / file
    if file == "config.json":
        config = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**config, "auto_map": {"AutoModel": "model.Model"}}), encoding="utf-8")
    else:
        path.write_text("raise SystemExit('run!')\n", encoding="utf-8")
    with pytest.raises(MetahumanError, match="brings code of its own"):
        load_model(root.folder / "base", torch.float32, torch.device("cpu"))


def test_the_same_command_with_the_base_named_makes_no_second_version_of_the_same_bytes(grown: Root) -> None:
    """It may have been killed behind its entry; what is new since makes it another command."""
    for memory in sorted((grown.folder / "profiles").rglob("2031/03/04/*.json")):
        memory.unlink()
    before = grown.registry()
    finished = grown.fine_tune("--base-model", "base")
    assert finished.code == 0
    assert "version 1 was made by just this" in finished.err
    assert grown.registry() == before
    runs = (grown.folder / "profiles" / "ines" / "out" / "fine-tuned-models").glob("*/*")
    assert [run.name for run in runs] == [before.training_history[0].run_label]
