"""The reference that our one pass is held against: llama.cpp's converter writes a file, and its quantiser another.

`python bench/reference_weights.py convert MODEL OUT TYPE TEMPLATE`, `… quantise IN OUT TYPE THREADS`, with the
converter and its `gguf` on PYTHONPATH (`metahuman_core.converter.python_path`). Programs, because a failed assertion in
native code takes the process with it. Invariant: nothing of ours makes a byte; only the metadata is pinned as ours is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import llama_cpp

from metahuman_core.steps.weights.quantise_main import TYPES

_NAME = "metahuman"


def convert(model: Path, out: Path, out_type: str, template: Path) -> None:
    """Write `out` (GGUF) of the model folder; `template` is the file with the chat template to embed."""
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    gguf.Metadata.load = staticmethod(lambda *_, **__: gguf.Metadata(name=_NAME))
    with torch.inference_mode():
        hparams = ModelBase.load_hparams(model, False)
        model_class = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        if getattr(model_class, "supports_mtp_export", False):
            model_class.no_mtp = not _has_mtp(hparams)
        types = {
            "bf16": gguf.LlamaFileType.MOSTLY_BF16,
            "f16": gguf.LlamaFileType.MOSTLY_F16,
            "f32": gguf.LlamaFileType.ALL_F32,
        }
        instance = model_class(model, types[out_type], out, hparams=hparams)
        add_template = instance.gguf_writer.add_chat_template
        served = template.read_text(encoding="utf-8")
        instance.gguf_writer.add_chat_template = lambda _: add_template(served)
        instance.write()


def _has_mtp(hparams: dict[str, Any]) -> bool:
    return bool(hparams.get("num_nextn_predict_layers") or hparams.get("mtp_num_hidden_layers"))


def quantise(source: Path, out: Path, quantization: str, threads: int) -> int:
    """Write `out`, with llama.cpp's own buffers; 0 where it went well."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = TYPES[quantization]
    params.nthread = threads
    return int(llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), params))


if __name__ == "__main__":
    what, source, out, kind, last = sys.argv[1:6]
    if what == "convert":
        convert(Path(source), Path(out), kind, Path(last))
    else:
        sys.exit(quantise(Path(source), Path(out), kind, int(last)))
