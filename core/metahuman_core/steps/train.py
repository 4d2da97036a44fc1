"""Trains one LoRA adapter on a dataset: peft and transformers' Trainer, loss on answers only.

Invariants: a checkpoint counts only with its mark, which is written after the rest is on the disk; a run that was
stopped or killed goes on from the last marked one, and on a CPU ends with the same bits as one that was not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from metahuman_core.adapter_config import name_base
from metahuman_core.dataset.build import read_samples
from metahuman_core.durable import making, sha256_file, size_bytes, write_text
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Adapter
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps.answer_trainer import MARK, AnswerTrainer, Collator, Samples, Wires
from metahuman_core.steps.cpu import fast_matmul
from metahuman_core.steps.encode import ChatEncoder, Encoded, encode_samples
from metahuman_core.steps.loading import choose_device, choose_dtype, load_model, load_tokenizer
from metahuman_core.steps.loss_curve import loss_svg

_HALVINGS = 4


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is trained on: the model's folder, its name in the registry, and the adapter to go on from."""

    folder: Path
    name: str
    revision: str
    warm_start: Path | None


def train(
    dataset: Path, anchor: Anchor, recipe: TrainingSettings, run_dir: Path, report: Report, stop: StopRequested
) -> Adapter:
    """Make `run_dir/adapter`, `train-log.jsonl` and `loss.svg`. Raises StoppedError after writing a checkpoint."""
    report(Progress("train", note="loading the base"))
    tokenizer = load_tokenizer(anchor.folder)
    samples = [s for s in read_samples(dataset) if s.split == "train"]
    encoded = encode_samples(ChatEncoder(tokenizer), samples, recipe.max_tokens)
    if not encoded:
        raise MetahumanError("no sample is left to train on", "see the reasons in `metahuman status`")
    device = choose_device(recipe.device)
    micro = recipe.batch_samples
    for _ in range(_HALVINGS + 1):
        set_seed(recipe.seed)
        model = _with_adapter(anchor, recipe, device)
        try:
            trainer = _run(model, encoded, tokenizer.pad_token_id or 0, recipe, micro, run_dir, report, stop)
            break
        except torch.OutOfMemoryError:
            if micro == 1:
                raise
            micro = max(1, micro // 2)
            report(Progress("train", note=f"out of memory: {micro} samples at a time from here"))
    else:
        raise MetahumanError("the base does not fit into memory for training", "take a smaller base or max_tokens")
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    with making(run_dir / "adapter") as partial:
        # The embeddings are never trained; else peft asks the Hub whether the vocabulary changed.
        model.save_pretrained(str(partial), save_embedding_layers=False)
        (partial / "README.md").unlink(missing_ok=True)
        name_base(partial, anchor.name, anchor.revision)
    write_text(run_dir / "train-log.jsonl", "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in log))
    write_text(run_dir / "loss.svg", loss_svg([(int(e["step"]), float(e["loss"])) for e in log]))
    tail = log[-max(1, len(log) // 10) :]
    weights = run_dir / "adapter" / "adapter_model.safetensors"
    return Adapter(
        sha256=sha256_file(weights),
        size_bytes=size_bytes(weights.parent),
        steps=trainer.state.global_step,
        samples=len(encoded),
        final_loss=sum(float(e["loss"]) for e in tail) / len(tail),
    )


def _with_adapter(anchor: Anchor, recipe: TrainingSettings, device: torch.device) -> PeftModel:
    base = load_model(anchor.folder, choose_dtype(device), device)
    base.config.use_cache = False
    if anchor.warm_start is not None:
        return PeftModel.from_pretrained(base, anchor.warm_start, is_trainable=True)
    shape = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, shape)


def _run(
    model: PeftModel,
    encoded: Sequence[Encoded],
    pad: int,
    recipe: TrainingSettings,
    micro: int,
    run_dir: Path,
    report: Report,
    stop: StopRequested,
) -> Trainer:
    checkpoints = run_dir / "checkpoints"
    per_epoch = -(-len(encoded) // recipe.batch_samples)
    steps = max(1, round(per_epoch * recipe.epochs))
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=max(1, recipe.batch_samples // micro),
        max_steps=steps,
        learning_rate=recipe.learning_rate or rate_for(model.config.get_text_config().hidden_size),
        lr_scheduler_type="cosine",
        warmup_steps=round(steps * recipe.warmup_ratio),
        weight_decay=recipe.weight_decay,
        optim="adamw_torch",
        max_grad_norm=1.0,
        neftune_noise_alpha=recipe.embedding_noise or None,
        logging_strategy="steps",
        logging_steps=1,
        save_strategy="steps",
        save_steps=recipe.checkpoint_every_steps,
        save_total_limit=2,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=model.device.type == "cpu",
        bf16=model.device.type == "cuda",
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=Samples(encoded),
        data_collator=Collator(pad),
        callbacks=[Wires(report, stop)],
    )
    trainer.remove_callback(PrinterCallback)
    last = _last_complete(checkpoints)
    if last is not None:
        report(Progress("train", note=f"going on from step {last.name.rpartition('-')[2]}"))
    with fast_matmul(model.device):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.state.global_step < steps:
        raise StoppedError(
            f"stopped at training step {trainer.state.global_step} of {steps}", "the same command goes on"
        )
    return trainer


def rate_for(hidden_size: int) -> float:
    """A LoRA rate by the model's width: 3e-4 at Qwen3-14B's 5,120 (the original's), more the narrower it is.

    Measured at the narrow end: of the example's 25 older questions, SmolLM2-135M (576) answered 18 after 204 steps at
    2e-3, and 21 at 3.5e-3.
    """
    return min(3e-3, 3e-4 * 5120 / hidden_size)


def _last_complete(checkpoints: Path) -> Path | None:
    """The newest checkpoint with its mark; those without were being written when the power failed, and go."""
    found = sorted(checkpoints.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    for folder in found:
        if not (folder / MARK).is_file():
            shutil.rmtree(folder)
    complete = [folder for folder in found if (folder / MARK).is_file()]
    return complete[-1] if complete else None
