"""A linear layer with its LoRA as one function of autograd: y = x·Wᵀ + s·(x·Aᵀ)·Bᵀ, and its gradients.

peft computes the same in five operations, each with a result as large as the layer's; here the small product is added
to the large one where that stands. Only plain LoRA on a plain linear layer is replaced: anything else stays peft's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear


class _LoraLinear(torch.autograd.Function):
    """All products in the weight's dtype, as autocast would have them."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        small_a, small_b = a.to(weight.dtype), b.to(weight.dtype)
        # What adds in place is left alone by autocast, and would meet with another dtype.
        with torch.autocast(x.device.type, enabled=False):
            low = rows @ small_a.T
            out = torch.nn.functional.linear(rows, weight, bias).addmm_(low, small_b.T, alpha=scale)
        ctx.save_for_backward(rows, low, weight, small_a, small_b)
        ctx.scale, ctx.shape, ctx.dtypes = scale, x.shape, (x.dtype, a.dtype, b.dtype)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, low, weight, a, b = ctx.saved_tensors
        of_x, of_a, of_b = ctx.dtypes
        grad = grad.reshape(-1, grad.shape[-1]).to(weight.dtype)
        low_grad = (grad @ b).mul_(ctx.scale)
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = (grad @ weight).addmm_(low_grad, a).view(ctx.shape).to(of_x)
        b_grad = (grad.T @ low).mul_(ctx.scale)
        return x_grad, None, None, (low_grad.T @ rows).to(of_a), b_grad.to(of_b), None


@contextmanager
def fused_lora(model: PeftModel) -> Iterator[None]:
    """Let the model's plain LoRA layers compute so within."""
    fused = [module for module in model.modules() if _plain(module)]
    for layer in fused:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in fused:
            del layer.forward


def _plain(module: Any) -> bool:
    # By type, not by kind: what a subclass or a quantised layer does is its own.
    if type(module) is not Linear or type(module.base_layer) is not torch.nn.Linear:
        return False
    (name, *others) = module.active_adapters
    return not (
        others
        or module.merged
        or module.disable_adapters
        or module.lora_variant
        or not isinstance(module.lora_dropout[name], torch.nn.Identity)
        or module.lora_bias[name]
    )


def _forward(layer: Any, x: torch.Tensor) -> torch.Tensor:
    (name,) = layer.active_adapters
    base = layer.base_layer
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    scale = layer.scaling[name]
    result: torch.Tensor = _LoraLinear.apply(x, base.weight, base.bias, a, b, scale)  # type: ignore[no-untyped-call]
    return result
