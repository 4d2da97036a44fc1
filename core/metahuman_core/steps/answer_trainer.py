"""The Trainer of this project: loss on answers alone, an order that a resume repeats, checkpoints with their mark.

Invariant: a checkpoint's mark is written after all the rest of it is on the disk.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from metahuman_core.durable import fsync_tree, write_text
from metahuman_core.errors import DivergedError
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.steps.cpu import attention_for
from metahuman_core.steps.order import Order
from metahuman_core.steps.rows import answer_nats, learned_tokens, longest_sample

MARK = "COMPLETE"
"""The file whose presence says that a checkpoint is whole."""


class AnswerTrainer(Trainer):
    """Computes logits only where a sample of the batch has an answer token to predict: the vocabulary is the cost."""

    # What `compute_loss` gives is a part of the step's mean already, whatever the architecture says of itself.
    loss_is_scaled_for_ga = True

    def __init__(self, order: Order, **wires: Any) -> None:
        self._order = order
        super().__init__(**wires)

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self._order

    def _get_num_items_in_batch(self, batch_samples: Any, device: torch.device) -> torch.Tensor:
        """Of all that make one step: the halves of a batch weigh as in the whole."""
        return torch.stack([learned_tokens(rows) for rows in batch_samples]).sum().to(device)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Both passes with one kernel: the backward pass may compute activations again (gradient checkpointing)."""
        with attention_for(self.args.device, inputs["input_ids"].shape[1]):
            return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        width = inputs["input_ids"].shape[1]
        if self.neftune_noise_alpha:
            # transformers makes the noise smaller the longer the row; what counts is the sample's length.
            embeddings = model.get_base_model().get_input_embeddings()
            embeddings.neftune_noise_alpha = self.neftune_noise_alpha * math.sqrt(width / longest_sample(inputs))
        nats = answer_nats(model, inputs)
        loss = nats / (num_items_in_batch if num_items_in_batch is not None else learned_tokens(inputs))
        return (loss, None) if return_outputs else loss


class Wires(TrainerCallback):
    """Reports each step, marks checkpoints, and turns a wish to stop into a checkpoint."""

    def __init__(self, report: Report, stop: StopRequested) -> None:
        self._report = report
        self._stop = stop

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._report(Progress("train", state.global_step, state.max_steps, "steps"))

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        if logs and "loss" in logs:
            loss = float(logs["loss"])
            self._report(Progress("train", state.global_step, state.max_steps, "steps", loss))
            if loss != loss:  # noqa: PLR0124  # not a number: nothing that comes after can mend it
                raise DivergedError("the loss is no number any more", "lower training.learning_rate")

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> TrainerControl:
        if self._stop() and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        fsync_tree(folder)
        write_text(folder / MARK, "")
