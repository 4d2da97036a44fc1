"""Derives how a version is served from its tokenizer and template, and writes the Modelfile."""

from __future__ import annotations

from pathlib import Path

from metahuman_core.durable import write_text
from metahuman_core.ollama.modelfile import to_modelfile
from metahuman_core.ollama.template import derive_go_template
from metahuman_core.serving import Serving
from metahuman_core.steps.encode import ChatEncoder
from metahuman_core.steps.model_folder import load_tokenizer


def write_modelfile(model: Path, system: str, temperature: float, num_ctx: int, out: Path) -> Serving:
    """Write `out` (Modelfile), and give what it was made from."""
    tokenizer = load_tokenizer(model)
    eos = str(tokenizer.eos_token or "")
    # Only a BOS that runtimes set by themselves is left out. SmolLM2's is ChatML's <|im_start|>, and nobody sets that.
    sets_bos = tokenizer.bos_token_id in tokenizer("a")["input_ids"]
    bos = str(tokenizer.bos_token) if sets_bos else ""
    derived = derive_go_template(ChatEncoder(tokenizer).render, bos, (eos,) if eos else ())
    serving = Serving(
        system=system,
        go_template=derived.text if derived else "",
        stop=derived.stop if derived else ((eos,) if eos else ()),
        temperature=temperature,
        num_ctx=num_ctx,
    )
    write_text(out, to_modelfile(serving.ollama_model()))
    return serving
