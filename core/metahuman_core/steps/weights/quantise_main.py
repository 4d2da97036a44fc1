"""Quantises a GGUF with llama.cpp's own quantiser: `python -m …steps.weights.quantise_main IN OUT TYPE THREADS`.

A program of its own: a failed GGML_ASSERT aborts the whole process. The file is the very one that llama.cpp writes, in
its tensor order, so that it keeps its digest in Ollama.
"""

from __future__ import annotations

import sys
from pathlib import Path

import llama_cpp

TYPES = {
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}


def main(source: Path, out: Path, quantization: str, threads: int) -> int:
    """Write `out`; 0 where it went well."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = TYPES[quantization]
    params.nthread = threads
    # 279 MiB at the peak instead of 729 (measured on a 2 GB model); the bytes are the same.
    params.max_buf_size = 64 << 20
    return int(llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), params))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
