"""What makes a CPU faster is there only while it is asked for, and gives the same numbers."""

from __future__ import annotations

import torch

from metahuman_core.steps.cpu import attention_for, fast_matmul

CPU = torch.device("cpu")


def test_the_library_for_matmul_is_the_users_again_afterwards() -> None:
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    with fast_matmul(CPU):
        assert matmul.fp32_precision == "bf16"
    assert matmul.fp32_precision == before
    with fast_matmul(torch.device("meta")):
        assert matmul.fp32_precision == before


def test_matmul_and_attention_are_right_to_what_bf16_operands_allow() -> None:
    torch.manual_seed(20)
    query, key, value = (torch.randn(2, 3, 40, 16) for _ in range(3))
    mask = torch.ones(40, 40, dtype=torch.bool).tril()
    attend = torch.nn.functional.scaled_dot_product_attention
    expected = attend(query, key, value, attn_mask=mask)
    with attention_for(CPU, 40):
        torch.testing.assert_close(attend(query, key, value, attn_mask=mask), expected, rtol=1e-4, atol=1e-5)
    left, right = torch.randn(70, 64), torch.randn(64, 90)
    with fast_matmul(CPU):
        torch.testing.assert_close(left @ right, (left.double() @ right.double()).float(), rtol=2e-2, atol=2e-1)
