"""What an epoch has to compute: `python bench/step_work.py FOLDER` (its dataset.jsonl and recipe.json).

The last line of stdout: samples, tokens, answer tokens, tokens a step, and the floating-point operations that the model
asks for without padding: 4 for each frozen weight and token (forward, and backward to the layer before), 6 for each
weight of the LoRA, the head at answer tokens alone. Attention and the small operations are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from example_samples import BASE
from matmul_limit import head_shape, linear_shapes
from metahuman_core.dataset.samples import read_samples
from metahuman_core.settings import TrainingSettings
from metahuman_core.steps.encode import ChatEncoder, encode_samples


def main(folder: Path) -> None:
    """Count, and tell."""
    recipe = TrainingSettings.model_validate_json((folder / "recipe.json").read_text(encoding="utf-8"))
    tokenizer: Any = AutoTokenizer.from_pretrained(BASE)
    samples = [sample for sample in read_samples(folder / "dataset.jsonl") if sample.split == "train"]
    encoded = list(encode_samples(ChatEncoder(tokenizer), samples, recipe.max_tokens))
    tokens = sum(len(one.ids) for one in encoded)
    answer_tokens = sum(label >= 0 for one in encoded for label in one.labels)
    frozen = sum(out * into for out, into in linear_shapes())
    lora = sum(recipe.rank * (out + into) for out, into in linear_shapes())
    out, into = head_shape()
    counted = {
        "samples": len(encoded),
        "tokens": tokens,
        "answer_tokens": answer_tokens,
        "tokens_a_step": tokens / len(encoded) * recipe.batch_samples,
        "operations": tokens * (4 * frozen + 6 * lora) + answer_tokens * 4 * out * into,
    }
    print(json.dumps(counted))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
