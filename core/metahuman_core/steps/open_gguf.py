"""Opens a GGUF for the programs that compute with it.

llama.cpp can lay weights out anew for a CPU's matrix unit, and computes with AMX then. Built by GCC that ends the
process (SIGILL): the compiler drops what configures the unit, see https://github.com/ggml-org/llama.cpp/pull/26954. So
the weights stay as the file has them; llama-cpp-python has no argument for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp import llama_cpp as library


def open_gguf(path: Path, **options: Any) -> llama_cpp.Llama:
    """The model, silent. `options` are llama-cpp-python's own. Raises ValueError where llama.cpp cannot load it."""
    defaults = library.llama_model_default_params

    def as_the_file_has_them() -> Any:
        params = defaults()
        params.use_extra_bufts = False
        return params

    library.llama_model_default_params = as_the_file_has_them
    try:
        return llama_cpp.Llama(str(path), verbose=False, **options)
    finally:
        library.llama_model_default_params = defaults
