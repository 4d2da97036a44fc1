"""From `model/` to `model.gguf`: llama.cpp's converter to bf16 or f32, then llama.cpp's quantiser.

Invariant: the quantised file is the one that llama.cpp makes of `model/`, with the same bytes wherever it is made.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from metahuman_core.converter import VERSION, require_converter
from metahuman_core.durable import making, partial_of, remove, sha256_file
from metahuman_core.progress import Progress, Report, StopRequested
from metahuman_core.results import Gguf
from metahuman_core.steps.encode import serving_template
from metahuman_core.steps.loading import load_tokenizer, refuse_code
from metahuman_core.steps.programs import run_program


def make_gguf(model: Path, out: Path, quantization: str, report: Report, stop: StopRequested) -> Gguf:
    """Convert and quantise `model` to `out`. Raises MetahumanError where the converter does not know the model."""
    require_converter()
    refuse_code(model)
    log = out.with_name("convert.log")
    full = partial_of(out.with_name("unquantised.gguf"))
    template = partial_of(out.with_name("chat_template.jinja"))
    threads = str(os.cpu_count() or 1)
    try:
        tokenizer = load_tokenizer(model)
        template.write_text(serving_template(str(tokenizer.chat_template)), encoding="utf-8")
        report(Progress("convert", note="llama.cpp's converter"))
        kind = "f32" if _is_float32(model) else "bf16"
        run_program(
            "convert_main", str(model), str(full), kind, str(template), what="converting to GGUF", log=log, stop=stop
        )
        report(Progress("convert", note=f"quantising to {quantization}"))
        with making(out) as partial:
            run_program(
                "quantise_main", str(full), str(partial), quantization, threads, what="quantising", log=log, stop=stop
            )
    finally:
        remove(full)
        remove(template)
    return Gguf(
        sha256=sha256_file(out),
        size_bytes=out.stat().st_size,
        quantization=quantization,
        made_with=f"llama-cpp-python {VERSION}",
    )


def _is_float32(model: Path) -> bool:
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return "float32" in str(config.get("dtype") or config.get("torch_dtype") or "")
