"""Stand-ins for merging and converting, on made-up versions: the same bytes as when they were made up, in little time.

A made-up adapter tells by its size which version it belongs to, and so does a made-up model.
"""

from __future__ import annotations

from pathlib import Path

from made_up_root import _gguf, _model

from metahuman_core.durable import making, sha256_file, sha256_tree, size_bytes
from metahuman_core.progress import Report, StopRequested
from metahuman_core.results import Gguf, Merged

_GGUF_KIB = 48


def merge(base: Path, adapter: Path, out: Path, report: Report, stop: StopRequested, /) -> Merged:
    """As `steps.merge.merge`."""
    assert (base / "config.json").is_file()
    number = (adapter / "adapter_model.safetensors").stat().st_size - 3000
    with making(out) as partial:
        _model(partial, number)
    return Merged(sha256_tree(out), size_bytes(out))


def make_gguf(model: Path, out: Path, quantization: str, report: Report, stop: StopRequested, /) -> Gguf:
    """As `steps.gguf.make_gguf`, with what that leaves beside its result while it works."""
    number = (model / "model.safetensors").stat().st_size - 60_000
    between = out.with_name("unquantised.gguf.partial")
    between.write_bytes(b"in 16 bit")
    with out.with_name("convert.log").open("ab") as log:
        log.write(b"converted\n")
    with making(out) as partial:
        _gguf(partial, number, _GGUF_KIB)
    between.unlink()
    return Gguf(sha256_file(out), size_bytes(out), quantization)
