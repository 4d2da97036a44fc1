"""One epoch by one of four ways: `python bench/trainers.py WAY FOLDER SEED` (a program of its own for each).

`ours` is the product's own step; `trainer` is transformers' Trainer with padded batches in random order; `sft` and
`sft-packed` are TRL's SFTTrainer. All take FOLDER/dataset.jsonl and FOLDER/recipe.json, the same LoRA (same seed, same
initial values), optimiser, schedule and samples a step; what differs is how a step is computed, and the order. Each
leaves FOLDER/WAY/adapter; the last line of stdout is `{"loop_s", "steps"}`, the training loop alone, without loading.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from example_samples import BASE
from metahuman_core.dataset.samples import Sample, read_samples
from metahuman_core.durable import sha256_file
from metahuman_core.progress import Progress
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps.encode import ChatEncoder, Encoded, encode_samples
from metahuman_core.steps.loading import Base
from metahuman_core.steps.train import Anchor, rate_for, train


@dataclass(slots=True)
class Clock:
    """Takes the time of a training loop, from what it reports."""

    began_s: float = 0.0
    ended_s: float = 0.0
    steps: int = 0

    def report(self, progress: Progress) -> None:
        """Ours: the loop begins at the last word before the first loss, and ends at the last loss."""
        if progress.loss is None and not self.steps:
            self.began_s = time.perf_counter()
        if progress.loss is not None:
            self.ended_s, self.steps = time.perf_counter(), int(progress.done)


class Timed(TrainerCallback):
    """The same for transformers' loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The loop begins."""
        self._clock.began_s = time.perf_counter()

    def on_train_end(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
        """The loop has ended."""
        self._clock.ended_s, self._clock.steps = time.perf_counter(), state.global_step


def main(way: str, folder: Path, seed: int) -> None:
    """Train, and tell."""
    recipe = TrainingSettings.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
    recipe = recipe.model_copy(update={"seed": seed})
    samples = [s for s in read_samples(folder / "dataset.jsonl") if s.split == "train"]
    out, clock = folder / way, Clock()
    out.mkdir()
    if way == "ours":
        _ours(folder / "dataset.jsonl", recipe, out, clock)
    elif way == "trainer":
        _trainer(samples, recipe, out, clock)
    else:
        _sft(samples, recipe, out, clock, packing=way == "sft-packed")
    print(json.dumps({"loop_s": clock.ended_s - clock.began_s, "steps": clock.steps}))


def _ours(dataset: Path, recipe: TrainingSettings, out: Path, clock: Clock) -> None:
    base = Base(BASE, recipe.device, recipe.quantize_base)
    anchor = Anchor(BASE, BASE.name, "", None)
    made = sha256_file(dataset)
    train(dataset, anchor, base, recipe, out, out / "fits.json", clock.report, lambda: False, dataset_sha256=made)


def _trainer(samples: list[Sample], recipe: TrainingSettings, out: Path, clock: Clock) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(BASE)
    rows = [
        {"input_ids": one.ids, "labels": one.labels, "attention_mask": [1] * len(one.ids)}
        for one in encoded(tokenizer, samples, recipe)
    ]
    model = _model(recipe)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**_arguments(model, recipe, out)),
        train_dataset=rows,  # type: ignore[arg-type]  # a list does
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
        callbacks=[Timed(clock)],
    )
    trainer.train()
    model.save_pretrained(str(out / "adapter"), save_embedding_layers=False)


def _sft(samples: list[Sample], recipe: TrainingSettings, out: Path, clock: Clock, *, packing: bool) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tokenizer: Any = AutoTokenizer.from_pretrained(BASE)
    lengths = [len(one.ids) for one in encoded(tokenizer, samples, recipe)]
    # Packed, a row takes the place of a batch: as long as the batch's samples are together.
    row_tokens = max(round(recipe.batch_samples * statistics.mean(lengths)), *lengths)
    packed = {"per_device_train_batch_size": 1, "packing": True, "max_length": row_tokens} if packing else {}
    # By default SFTTrainer checkpoints activations and computes in bf16: both make it slower here.
    flags = {"bf16": False, "gradient_checkpointing": False, **packed}
    turns = [[{"role": turn.role, "content": turn.text} for turn in sample.turns] for sample in samples]
    lines = [json.dumps({"prompt": one[:-1], "completion": one[-1:]}) + "\n" for one in turns]
    (out / "turns.jsonl").write_text("".join(lines), encoding="utf-8")
    model = _model(recipe)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**{**_arguments(model, recipe, out), **flags}),
        train_dataset=Dataset.from_json(str(out / "turns.jsonl"), cache_dir=str(out / "cache")),
        processing_class=tokenizer,
        callbacks=[Timed(clock)],
    )
    trainer.train()
    model.save_pretrained(str(out / "adapter"), save_embedding_layers=False)


def encoded(tokenizer: Any, samples: list[Sample], recipe: TrainingSettings) -> list[Encoded]:
    """The samples as the product encodes them: loss on the answer alone."""
    return list(encode_samples(ChatEncoder(tokenizer), samples, recipe.max_tokens))


def _model(recipe: TrainingSettings) -> PeftModel:
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="sdpa")
    model.config.use_cache = False
    set_seed(recipe.seed)
    shape = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, shape)


def _arguments(model: PeftModel, recipe: TrainingSettings, out: Path) -> dict[str, Any]:
    return {
        "output_dir": str(out / "trainer"),
        "per_device_train_batch_size": recipe.batch_samples,
        "num_train_epochs": recipe.epochs,
        "learning_rate": recipe.learning_rate or rate_for(model.config.get_text_config().hidden_size),
        "lr_scheduler_type": "cosine",
        "warmup_steps": recipe.warmup_ratio,
        "weight_decay": recipe.weight_decay,
        "optim": "adamw_torch",
        "max_grad_norm": 1.0,
        "neftune_noise_alpha": recipe.embedding_noise or None,
        "logging_steps": 10,
        "save_strategy": "no",
        "seed": recipe.seed,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
