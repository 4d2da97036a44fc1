"""Two ways to merge an adapter: `python bench/merging.py ours|peft BASE ADAPTER OUT` (a program of its own for each).

`ours` is the product's one pass: OUT/model and OUT/model.gguf. `peft` is what one would write oneself: load the base in
its own dtype, put the adapter on it, `merge_and_unload`, `save_pretrained`: OUT/model alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def _ours(base: Path, adapter: Path, out: Path) -> None:
    from metahuman_core.steps.weights.make import make_weights

    made = make_weights(
        base, adapter, out / "model", out / "model.gguf", "Q8_0", report=lambda _: None, stop=lambda: False
    )
    print(made)


def _peft(base: Path, adapter: Path, out: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.save_pretrained(out / "model")
    AutoTokenizer.from_pretrained(base).save_pretrained(out / "model")


if __name__ == "__main__":
    {"ours": _ours, "peft": _peft}[sys.argv[1]](*map(Path, sys.argv[2:]))
