"""Runs llama.cpp's own converter on a model folder, with the metadata pinned by us.

A program of its own (`python -m metahuman_core.steps.convert_main MODEL OUT TYPE TEMPLATE`), since the converter is not
installed but lies on this process's path, and a failed assertion in it must not take anything with it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# The name inside the file: by default it is the folder's, and then the same weights elsewhere are other bytes.
MODEL_NAME = "metahuman"


def main(model: Path, out: Path, out_type: str, template: Path) -> None:
    """Write `out` (GGUF) of the model folder; `template` is the file with the chat template to embed."""
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    def pinned(*_: Any, **__: Any) -> Any:
        return gguf.Metadata(name=MODEL_NAME)

    gguf.Metadata.load = staticmethod(pinned)
    with torch.inference_mode():
        hparams = ModelBase.load_hparams(model, False)
        architecture = get_model_architecture(hparams, ModelType.TEXT)
        model_class = get_model_class(architecture)
        if getattr(model_class, "supports_mtp_export", False):
            model_class.no_mtp = not _has_mtp(hparams)
        file_type = {"bf16": gguf.LlamaFileType.MOSTLY_BF16, "f32": gguf.LlamaFileType.ALL_F32}[out_type]
        instance = model_class(model, file_type, out, hparams=hparams)
        add_template = instance.gguf_writer.add_chat_template
        served = template.read_text(encoding="utf-8")
        instance.gguf_writer.add_chat_template = lambda _: add_template(served)
        instance.write()


def _has_mtp(hparams: dict[str, Any]) -> bool:
    return bool(hparams.get("num_nextn_predict_layers") or hparams.get("mtp_num_hidden_layers"))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    except NotImplementedError as error:
        # The converter knows tokenizers by a hash of what they make of a test text.
        sys.exit(f"llama.cpp's converter does not know this model: {str(error).splitlines()[0]}")
