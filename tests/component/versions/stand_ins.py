"""A stand-in for the pass over the weights, on made-up versions: the same bytes as when they were made up, in no time.

A made-up adapter tells by its size which version it belongs to, and so does a made-up model.
"""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from made_up_root import _gguf, _model

from metahuman_core.durable import making, sha256_file, sha256_tree, size_bytes
from metahuman_core.results import Gguf, Merged, Weights

_GGUF_KIB = 48


@dataclass(frozen=True)
class MakesWeights:
    """As `steps.weights.make.make_weights`, with what that leaves beside its results while it works.

    `torch_bits`: what another torch makes of a merged model's first bytes. `other_llama`: the bytes of the model change
    those of the GGUF, as in life.
    """

    torch_bits: bytes = b""
    other_llama: bool = False

    def __call__(
        self,
        base: Path,
        adapter: Path | None,
        model: Path | None,
        gguf: Path | None,
        quantization: str,
        *_: object,
    ) -> Weights:
        """All or nothing."""
        assert (base / "config.json").is_file()
        weights = adapter / "adapter_model.safetensors" if adapter else base / "model.safetensors"
        number = weights.stat().st_size - (3000 if adapter else 60_000)
        with tempfile.TemporaryDirectory() as aside, making(model) if model else nullcontext() as partial:
            merged = partial or Path(aside) / "model"
            _model(merged, number)
            with (merged / "model.safetensors").open("r+b") as file:
                file.write(self.torch_bits if adapter else weights.read_bytes())
            made_with = "torch 9" if self.torch_bits else ""
            return Weights(
                Merged(sha256_tree(merged), size_bytes(merged), made_with),
                self._gguf(merged, number, gguf, quantization) if gguf else None,
            )

    def _gguf(self, model: Path, number: int, out: Path, quantization: str) -> Gguf:
        between = out.with_name("unquantised.gguf.partial")
        between.write_bytes(b"in 16 bit")
        with out.with_name("convert.log").open("ab") as log:
            log.write(b"converted\n")
        with making(out) as partial:
            _gguf(partial, number, _GGUF_KIB)
            if self.other_llama:
                with partial.open("ab") as file:
                    file.write(sha256_tree(model).encode())
        between.unlink()
        return Gguf(sha256_file(out), size_bytes(out), quantization)


make_weights = MakesWeights()
