"""A version of a synthetic base, made by the product: only the training is left out, and the adapter is random.

`begin_run` freezes the example's memories into a run. Its first three steps (dataset, train, evaluate) are entered in
the run's journal as done, with an adapter of random values in peft's format; then `metahuman fine-tune` goes on with
that run, as it goes on with any: it merges, converts, checks and registers.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save_file

from metahuman_core.config import load_settings
from metahuman_core.converter import data_folder
from metahuman_core.dataset.build import Dataset, build_dataset
from metahuman_core.durable import sha256_file, size_bytes, write_text
from metahuman_core.gate import Evaluation, Measure
from metahuman_core.journal import Journal
from metahuman_core.layout import ProfilePaths
from metahuman_core.ledger import Ledger
from metahuman_core.plan import Plan, read_memories, read_plan
from metahuman_core.prepare import Wish, begin_run, choose, look, pinned_plan
from metahuman_core.results import Adapter
from metahuman_core.settings import Settings
from metahuman_core.shipped import shipped
from metahuman_core.steps.loss_curve import loss_svg
from qwen3_shapes import Shape

PROFILE = "tamsin"
BASE = "base"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_SPREAD = 0.02
_STEPS = 400
_CONFIG = f"""
root = "."

[profiles.{PROFILE}]
person = "Tamsin"

[training]
rank = 16
device = "cpu"

[weights]
max_kl = 1000
min_top1 = 0.0001

[ollama]
enabled = false
"""  # what a random model says is no measure


def lay_out(root: Path, shape: Shape) -> Settings:
    """A root with a config, the example's memories and a base of this shape."""
    shutil.copytree(shipped("profiles/example"), ProfilePaths(root, PROFILE).home)
    write_text(root / "config.toml", _CONFIG)
    write_base(root / BASE, shape)
    return load_settings(root / "config.toml")


def begin_version(settings: Settings, shape: Shape, now: datetime) -> Path:
    """Begin a run, its first steps done. Gives its folder; `fine-tune --base-model base` goes on with it."""
    with Ledger(ProfilePaths(settings.root, PROFILE).ledger) as ledger:
        look(settings, PROFILE, ledger, None)
        wish = Wish(PROFILE, BASE)
        choice = choose(settings, wish, ledger, None)
        run_dir = begin_run(settings, choice, pinned_plan(settings, wish, choice, _nothing_to_fetch), lambda: now)
    journal = Journal.open(run_dir, lambda: datetime.now(UTC))
    plan = read_plan(journal.file.inputs)
    dataset = _dataset(journal, plan)
    adapter = journal.step(
        "train",
        Adapter,
        [dataset.sha256, plan.anchor, plan.anchor_revision, plan.warm_start, plan.training],
        lambda: _random_adapter(run_dir, shape, plan, dataset.samples),
    )
    nothing = Measure(0, 0.0, 0.0)
    evaluation = Evaluation(nothing, nothing, nothing)
    journal.step(
        "evaluate", Evaluation, [adapter.sha256, dataset.sha256, plan.ancestry, plan.stale], lambda: evaluation
    )
    write_text(run_dir / "evaluation.json", json.dumps(asdict(evaluation)) + "\n")
    return run_dir


def _nothing_to_fetch(name: str, _: str) -> str:
    raise AssertionError(f"{name} lies in a folder and must not be fetched")


def _dataset(journal: Journal, plan: Plan) -> Dataset:
    new, replay = read_memories(journal.run_dir)
    return journal.step(
        "dataset",
        Dataset,
        [plan.memories_sha256, plan.ancestry, plan.dataset, plan.system],
        lambda: build_dataset(new, replay, [], plan.dataset, plan.system, journal.run_dir / "dataset.jsonl"),
    )


def write_base(folder: Path, shape: Shape, spread: float = _SPREAD) -> None:
    """Write a base of this shape: random weights of this standard deviation, the tokenizer of the demo's model."""
    folder.mkdir()
    chance = torch.Generator().manual_seed(20)
    weights = {
        name: torch.ones(size, dtype=torch.bfloat16)
        if len(size) == 1
        else torch.empty(size, dtype=torch.bfloat16).normal_(0, spread, generator=chance)
        for name, size in shape.tensors()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "dtype": "bfloat16",
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocabulary,
        "tie_word_embeddings": shape.tied,
        "attention_bias": False,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000,
        "max_position_embeddings": 2048,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    for name in _TOKENIZER:
        shutil.copyfile(data_folder() / "SmolLM2-135M-Instruct" / name, folder / name)


def _random_adapter(run_dir: Path, shape: Shape, plan: Plan, samples: int) -> Adapter:
    """What `train` leaves in a run's folder, with random values."""
    rank, adapter = plan.training.rank, run_dir / "adapter"
    adapter.mkdir(mode=0o700)
    chance = torch.Generator().manual_seed(21)
    factors = {
        f"base_model.model.model.layers.{layer}.{module}.lora_{side}.weight": torch.empty(size).normal_(
            0, _SPREAD, generator=chance
        )
        for layer in range(shape.layers)
        for module, (out, into) in shape.linear().items()
        for side, size in (("A", (rank, into)), ("B", (out, rank)))
    }
    weights = adapter / "adapter_model.safetensors"
    save_file(factors, weights, metadata={"format": "pt"})
    config = {
        "base_model_name_or_path": plan.anchor,
        "bias": "none",
        "fan_in_fan_out": False,
        "lora_alpha": plan.training.alpha,
        "peft_type": "LORA",
        "r": rank,
        "revision": plan.anchor_revision or None,
        "target_modules": sorted({module.rpartition(".")[2] for module in shape.linear()}),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
    }
    write_text(adapter / "adapter_config.json", json.dumps(config, indent=2, sort_keys=True) + "\n")
    losses = [(step, 3.0 / step**0.5) for step in range(1, _STEPS + 1)]
    log = [{"epoch": step / 80, "grad_norm": 1 / step, "learning_rate": 3e-4, "loss": loss, "step": step}
           for step, loss in losses]  # fmt: skip
    write_text(run_dir / "train-log.jsonl", "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in log))
    write_text(run_dir / "loss.svg", loss_svg(losses))
    return Adapter(sha256_file(weights), size_bytes(adapter), _STEPS, samples, losses[-1][1])
