"""Computes a GGUF's logits: `python -m metahuman_core.steps.logits_main GGUF REQUEST OUT`.

REQUEST is a JSON list of {"pieces": [[text, control?], …]} or {"ids": [...]}; OUT becomes a NumPy archive with, for
each text n, `ids_n` (the GGUF's own tokens) and `logits_n` (float32, tokens x vocabulary), and `template`, the GGUF's
chat template. A program of its own: native code may abort.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from metahuman_core.steps.open_gguf import open_gguf


def main(gguf: Path, request: Path, out: Path) -> None:
    """Write `out`."""
    texts = json.loads(request.read_text(encoding="utf-8"))
    longest = max(len(text["ids"]) for text in texts)
    model = open_gguf(gguf, n_ctx=longest + 8, n_batch=longest + 8, logits_all=True, n_gpu_layers=0)
    arrays: dict[str, np.ndarray] = {"template": np.array(model.metadata.get("tokenizer.chat_template", ""))}
    for number, text in enumerate(texts):
        own: list[int] = []
        for piece, control in text["pieces"]:
            own += model.tokenize(piece.encode(), add_bos=False, special=control)
        model.reset()  # type: ignore[no-untyped-call]
        model.eval(text["ids"])
        arrays[f"ids_{number}"] = np.array(own, dtype=np.int64)
        arrays[f"logits_{number}"] = np.array(model.scores[: len(text["ids"])], dtype=np.float32)
    with out.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
