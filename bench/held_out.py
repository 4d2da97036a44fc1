"""How well an adapter answers what was kept out: `python bench/held_out.py DATASET [ADAPTER]` (none: the base alone).

The last line of stdout is `{"nats"}`: the mean cross-entropy of the probes' answer tokens, computed the plain way, one
probe at a time, for whoever trained the adapter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from example_samples import BASE
from metahuman_core.dataset.samples import read_samples
from metahuman_core.steps.encode import ChatEncoder, encode_samples

_MOST_TOKENS = 1024


@torch.inference_mode()
def main(dataset: Path, adapter: Path | None) -> None:
    """Measure, and tell."""
    tokenizer: Any = AutoTokenizer.from_pretrained(BASE)
    model: Any = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).eval()
    probes = [sample for sample in read_samples(dataset) if sample.split == "probe" and sample.role != "general"]
    nats, tokens = 0.0, 0
    for probe in encode_samples(ChatEncoder(tokenizer), probes, _MOST_TOKENS):
        labels = torch.tensor([probe.labels])
        learned = int((labels >= 0).sum())
        nats += float(model(input_ids=torch.tensor([probe.ids]), labels=labels).loss) * learned
        tokens += learned
    print(json.dumps({"nats": nats / tokens}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)  # noqa: PLR2004
