"""A base in 4 bit (NF4, by bitsandbytes), for LoRA to be trained and measured on: QLoRA.

Invariant: only what is frozen, and held for training or measuring, is quantised. The adapter that comes of it is one
like any other, and is merged into the base as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import BitsAndBytesConfig

from metahuman_core.errors import MetahumanError
from metahuman_core.qlora import HOW_TO_INSTALL


@contextmanager
def in_nf4(dtype: torch.dtype) -> Iterator[BitsAndBytesConfig]:
    """What to give `from_pretrained` inside: all linear layers but the head in NF4, computing in `dtype`.

    The scales of the blocks of 64 weights are quantised as well: 4.13 bits a weight, and not 4.5. Raises MetahumanError
    where bitsandbytes is missing, or has nothing for this machine; that the memory is short stays what it is.
    """
    try:
        yield BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    except torch.OutOfMemoryError:
        raise
    except (ImportError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MetahumanError(
            f"bitsandbytes cannot quantise the base on this machine: {first}",
            f'{HOW_TO_INSTALL}, or set training.quantize_base = "none"',
        ) from error
