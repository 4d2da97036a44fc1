"""Q8_0 and the plain types are ggml's own bytes, for hard values too, however they are cut into blocks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metahuman_core.errors import MetahumanError
from metahuman_core.steps.weights.blocks import BLOCK_VALUES, Blocks
from metahuman_core.steps.weights.encoding import Kind, encode, encoded_bytes

_GGML = """
import ctypes, sys
from pathlib import Path
import llama_cpp
ggml = ctypes.CDLL(str(Path(llama_cpp.__file__).parent / "lib" / "libggml-base.so"))
ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
ints = [ctypes.c_int64] * 3
ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *ints, ctypes.c_void_p]
values = Path(sys.argv[1]).read_bytes()
count = len(values) // 4
out = ctypes.create_string_buffer(count // 32 * 34)
ggml.ggml_quantize_chunk(8, values, out, 0, 1, count, None)
Path(sys.argv[2]).write_bytes(out.raw)
"""


def hard_values() -> torch.Tensor:
    """Ties, zeros of both signs, subnormals, very large and very small ones, and many ordinary ones."""
    torch.manual_seed(11)
    ties = torch.arange(-127, 128).float() / 2
    ties = torch.cat([ties, torch.full((1,), 127.0)])
    # In each block one value makes the scale exactly 1, so that halves stay halves.
    ties = torch.cat([torch.cat([part, torch.tensor([127.0])]) for part in ties[:248].split(31)])
    nearly = torch.cat([torch.nextafter(ties, torch.tensor(up)) for up in (-1e9, 1e9)])
    zeros = torch.tensor([0.0, -0.0]).repeat(16)
    tiny = torch.randn(32 * 64) * torch.logspace(-45, -30, 64).repeat_interleave(32)
    huge = torch.rand(32 * 8).mul(8e6)
    ordinary = torch.randn(32 * 20000)
    scaled = torch.randn(32 * 4000) * torch.logspace(-12, 5, 4000).repeat_interleave(32)
    return torch.cat([ties, nearly, zeros, tiny, huge, ordinary, scaled])


def encoded(values: torch.Tensor, through: Kind, into: Kind) -> bytes:
    out = torch.empty(encoded_bytes(values.numel(), into), dtype=torch.uint8)
    encode(values, through, into, out, Blocks(), "it")
    return out.numpy().tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_q8_0_is_ggmls_own_bit_for_bit(dtype: torch.dtype, aside: Callable[..., str], tmp_path: Path) -> None:
    values = hard_values().to(dtype)
    assert values.numel() > 2 * BLOCK_VALUES
    (tmp_path / "values").write_bytes(values.float().numpy().tobytes())
    aside("-c", _GGML, str(tmp_path / "values"), str(tmp_path / "theirs"))
    through = Kind.F32 if dtype is torch.float32 else Kind.BF16
    ours, theirs = encoded(values, through, Kind.Q8_0), (tmp_path / "theirs").read_bytes()
    assert [at for at in range(0, len(ours), 34) if ours[at : at + 34] != theirs[at : at + 34]] == []


def test_values_go_through_the_converters_type_first() -> None:
    values = torch.randn(640, dtype=torch.float16)
    assert encoded(values, Kind.BF16, Kind.Q8_0) == encoded(values.bfloat16(), Kind.BF16, Kind.Q8_0)
    assert encoded(values, Kind.BF16, Kind.Q8_0) != encoded(values.float(), Kind.F32, Kind.Q8_0)


@pytest.mark.parametrize("into", [Kind.F32, Kind.F16, Kind.BF16, Kind.Q8_0])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused_in_every_type(into: Kind, bad: float) -> None:
    values = torch.ones(64)
    values[40] = bad
    with pytest.raises(MetahumanError, match="it holds values that are no numbers"):
        encoded(values, Kind.F32, into)


def test_a_scale_too_large_for_half_precision_is_refused() -> None:
    with pytest.raises(MetahumanError, match="no numbers"):
        encoded(torch.full((32,), 1e7), Kind.F32, Kind.Q8_0)
