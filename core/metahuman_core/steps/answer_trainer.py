"""The Trainer of this project: loss on answers alone, an order that a resume repeats, checkpoints with their mark.

Invariant: a checkpoint's mark is written after all the rest of it is on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from metahuman_core.durable import fsync_tree, write_text
from metahuman_core.errors import MetahumanError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.steps.cpu import attention_for
from metahuman_core.steps.encode import IGNORED, Encoded
from metahuman_core.steps.order import Order

MARK = "COMPLETE"
"""The file whose presence says that a checkpoint is whole."""


class Samples(TorchDataset[dict[str, list[int]]]):
    """Encoded samples as the Trainer takes them."""

    def __init__(self, encoded: Sequence[Encoded]) -> None:
        self._encoded = encoded

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        return {"input_ids": self._encoded[index].ids, "labels": self._encoded[index].labels}


class Collator:
    """Pads on the right to the longest of the batch."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)
        ids = [row["input_ids"] + [self._pad] * (width - len(row["input_ids"])) for row in rows]
        labels = [row["labels"] + [IGNORED] * (width - len(row["labels"])) for row in rows]
        mask = [[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows]
        return {
            "input_ids": torch.tensor(ids),
            "labels": torch.tensor(labels),
            "attention_mask": torch.tensor(mask),
        }


class AnswerTrainer(Trainer):
    """Computes logits only where a sample of the batch has an answer token to predict: the vocabulary is the cost."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        samples: Any = self.train_dataset
        batch_samples = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return Order([len(sample["input_ids"]) for sample in samples], batch_samples, self.args.seed)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        labels = inputs.pop("labels")[:, 1:]
        predicting = (labels != IGNORED).any(dim=0).nonzero().squeeze(-1)
        with attention_for(labels.device, labels.shape[1]):
            outputs = model(**inputs, logits_to_keep=predicting, use_cache=False)
        wanted = labels[:, predicting]
        loss = torch.nn.functional.cross_entropy(
            outputs.logits.float().flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        loss = loss / (num_items_in_batch if num_items_in_batch is not None else (wanted != IGNORED).sum())
        return (loss, outputs) if return_outputs else loss


class Wires(TrainerCallback):
    """Reports each step, marks checkpoints, and turns a wish to stop into a checkpoint."""

    def __init__(self, report: Report, stop: StopRequested) -> None:
        self._report = report
        self._stop = stop

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            loss = float(logs["loss"])
            self._report(Progress("train", state.global_step, state.max_steps, "steps", loss))
            if loss != loss:  # noqa: PLR0124  # not a number: nothing that comes after can mend it
                raise MetahumanError("the loss is no number any more", "lower training.learning_rate")

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> TrainerControl:
        if self._stop() and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        fsync_tree(folder)
        write_text(folder / MARK, "")
