"""Trains one LoRA adapter on a dataset: peft and transformers' Trainer, loss on answers only.

Invariants: a checkpoint counts only with its mark, which is written after the rest is on the disk; a run that was
stopped or killed goes on from the last marked one, and on a CPU ends with the same bits as one that was not.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainingArguments, set_seed

from metahuman_core.adapter_config import name_base
from metahuman_core.dataset.samples import Sample, read_samples
from metahuman_core.durable import making, sha256_file, size_bytes, write_text
from metahuman_core.errors import MetahumanError, StoppedError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Adapter
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps.answer_trainer import MARK, AnswerTrainer, Wires
from metahuman_core.steps.cpu import fast_matmul
from metahuman_core.steps.encode import ChatEncoder, encode_samples
from metahuman_core.steps.fits import Fits, LayOut
from metahuman_core.steps.fused_lora import fused_lora
from metahuman_core.steps.loading import Base
from metahuman_core.steps.loss_curve import loss_svg
from metahuman_core.steps.model_folder import load_tokenizer
from metahuman_core.steps.order import Order
from metahuman_core.steps.rows import lay_out, packing_of
from metahuman_core.steps.samples import Samples, write_samples
from metahuman_core.steps.saved_bytes import recomputing


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is trained on: the model's folder, its name in the registry, and the adapter to go on from."""

    folder: Path
    name: str
    revision: str
    warm_start: Path | None


def train(
    dataset: Path,
    anchor: Anchor,
    base: Base,
    recipe: TrainingSettings,
    run_dir: Path,
    remembered: Path,
    report: Report,
    stop: StopRequested,
    *,
    dataset_sha256: str,
    rate_factor: float = 1.0,
) -> Adapter:
    """Make `run_dir/adapter`, `train-log.jsonl` and `loss.svg`. Raises StoppedError after writing a checkpoint.

    `base` stays loaded, and is afterwards as it was. `remembered`: the file with what training needed of memory.
    Raises MetahumanError where `dataset` is not the file of that hash, DivergedError where the loss is no number.
    """
    if sha256_file(dataset) != dataset_sha256:
        raise MetahumanError(f"{dataset} is not what was built: it was changed or cut off since", "--discard it")
    tokenizer = load_tokenizer(anchor.folder)
    # Another dataset, or another length, has other tokens.
    folder = run_dir / "samples" / f"{dataset_sha256[:16]}-{recipe.max_tokens}"
    samples = _tokenised(dataset, tokenizer, recipe.max_tokens, folder, report, stop)
    if not samples:
        raise MetahumanError("no sample is left to train on", "see the reasons in `metahuman status`")
    report(Progress("train", note="loading the base"))
    fits = Fits(samples, f"{anchor.name}@{anchor.revision}", recipe, run_dir, remembered, report)
    pad = tokenizer.pad_token_id or 0
    while (trained := _trained(samples, pad, anchor, base, fits, recipe, rate_factor, run_dir, report, stop)) is None:
        # Loaded anew: a broken-off Trainer leaves its hooks on the model.
        base.let_go()
        if not fits.go_down():
            in_four_bits = "" if recipe.quantize_base == "nf4" else 'set training.quantize_base = "nf4", '
            raise MetahumanError(
                "memory has no room for a training step of one sample",
                f"lower training.max_tokens, {in_four_bits}or take a smaller base",
            )
    model, trainer = trained
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    with making(run_dir / "adapter") as folder:
        # The embeddings are never trained; else peft asks the Hub whether the vocabulary changed.
        model.save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        name_base(folder, anchor.name, anchor.revision)
    model.unload()
    write_text(run_dir / "train-log.jsonl", "".join(json.dumps(entry, sort_keys=True) + "\n" for entry in log))
    write_text(run_dir / "loss.svg", loss_svg([(int(e["step"]), float(e["loss"])) for e in log]))
    tail = log[-max(1, len(log) // 10) :]
    weights = run_dir / "adapter" / "adapter_model.safetensors"
    return Adapter(
        sha256=sha256_file(weights),
        size_bytes=size_bytes(weights.parent),
        steps=trainer.state.global_step,
        samples=len(samples),
        final_loss=sum(float(e["loss"]) for e in tail) / len(tail),
    )


def _tokenised(
    dataset: Path,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    folder: Path,
    report: Report,
    stop: StopRequested,
) -> Samples:
    """What is trained of the dataset, from `folder` where it lies there already. Raises StoppedError."""

    def trained() -> Iterator[Sample]:
        for sample in read_samples(dataset):
            if stop():
                raise StoppedError("stopped while tokenising", "the same command goes on")
            if sample.split == "train":
                yield sample

    if not folder.is_dir():
        report(Progress("train", note="tokenising the samples"))
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_samples(folder, encode_samples(ChatEncoder(tokenizer), trained(), max_tokens))
    return Samples(folder)


def _trained(
    samples: Samples,
    pad: int,
    anchor: Anchor,
    base: Base,
    fits: Fits,
    recipe: TrainingSettings,
    rate_factor: float,
    run_dir: Path,
    report: Report,
    stop: StopRequested,
) -> tuple[PeftModel, Trainer] | None:
    """The model with the adapter as it was trained; None where memory ran out, with nothing of it held any more."""
    try:
        model = _with_adapter(base, anchor, recipe)
        collate = partial(lay_out, pad=pad, packing=packing_of(model.config))
        with fused_lora(model):
            fit = fits.fit(model, collate)
            with recomputing(model) if fit.recompute else nullcontext():
                return model, _run(model, samples, collate, recipe, rate_factor, fit.rows, run_dir, report, stop)
    except torch.OutOfMemoryError:
        return None


def _with_adapter(base: Base, anchor: Anchor, recipe: TrainingSettings) -> PeftModel:
    model = base.model()
    # Behind the load, so that the bits are the same whether something was loaded or not.
    set_seed(recipe.seed)
    if anchor.warm_start is not None:
        return PeftModel.from_pretrained(model, anchor.warm_start, is_trainable=True)
    shape = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, shape)


def _run(
    model: PeftModel,
    samples: Samples,
    collate: LayOut,
    recipe: TrainingSettings,
    rate_factor: float,
    rows: int,
    run_dir: Path,
    report: Report,
    stop: StopRequested,
) -> Trainer:
    checkpoints = run_dir / "checkpoints"
    order = Order(samples.lengths(), samples.turns(), recipe.begun_epochs, recipe.batch_samples, recipe.seed)
    per_epoch = -(-len(order) // recipe.batch_samples)
    steps = max(1, round(per_epoch * recipe.epochs))
    rate = recipe.learning_rate or rate_for(model.config.get_text_config().hidden_size)
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=recipe.batch_samples // rows,
        max_steps=steps,
        learning_rate=rate_factor * rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(steps * recipe.warmup_ratio),
        weight_decay=recipe.weight_decay,
        optim="adamw_torch_fused",
        max_grad_norm=1.0,
        neftune_noise_alpha=recipe.embedding_noise or None,
        logging_strategy="steps",
        logging_steps=1,
        # A loss that is no number would be left out of the log, and nobody would stop.
        logging_nan_inf_filter=False,
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
    # One card: several would each take a part of a packed row.
    arguments._n_gpu = min(1, arguments.n_gpu)  # noqa: SLF001
    trainer = AnswerTrainer(
        order,
        model=model,
        args=arguments,
        train_dataset=samples,
        data_collator=collate,
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
