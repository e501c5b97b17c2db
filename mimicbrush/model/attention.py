"""Scaled dot-product attention, alone and beside a reference's keys and values (paper, equation 1).

Everything here is (B, L, C), heads side by side in the channels, before any output projection.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class KeyValue(NamedTuple):
    """Keys and values of an attention layer."""

    key: Tensor
    """(B, M, C)"""
    value: Tensor
    """(B, M, C)"""


def attend(query: Tensor, own: KeyValue, *, num_heads: int) -> Tensor:
    """Attend from queries (B, L, C) to keys and values (B, M, C): (B, L, C)."""
    heads = [_split_heads(states, num_heads) for states in (query, *own)]
    return _join_heads(F.scaled_dot_product_attention(*heads))


def attend_with_reference(query: Tensor, own: KeyValue, reference: KeyValue, *, blend: float, num_heads: int) -> Tensor:
    """Blend joint attention to own and reference tokens with attention to own tokens alone.

    query, own: (B, L, C); reference: (R, M, C), for the first R <= B rows; the others attend to their own tokens.
    blend: weight of the joint attention.
    """
    if not torch.is_grad_enabled() and _has_log_sum_exp(query):
        return _merge(query, own, reference, blend=blend, num_heads=num_heads)
    num_rows = len(reference.key)
    first, joint = query[:num_rows], KeyValue(*(_append(*pair) for pair in zip(own, reference, strict=True)))
    attended = attend(first, joint, num_heads=num_heads)
    if blend < 1:
        alone = attend(first, KeyValue(*(states[:num_rows] for states in own)), num_heads=num_heads)
        attended = torch.lerp(alone, attended, blend)
    if num_rows == len(query):
        return attended
    rest = attend(query[num_rows:], KeyValue(*(states[num_rows:] for states in own)), num_heads=num_heads)
    return torch.cat([attended, rest])


def _append(own: Tensor, reference: Tensor) -> Tensor:
    return torch.cat([own[: len(reference)], reference], dim=1)


def _merge(query: Tensor, own: KeyValue, reference: KeyValue, *, blend: float, num_heads: int) -> Tensor:
    """Compute the same from one pass over the own tokens of all rows and one over the reference's tokens.

    Joint attention is the mean of the two, weighted by their sums of exponentials: with w = sigmoid(log-sum-exp of the
    reference's scores - that of the own), joint = (1 - w) own + w reference. This saves half of
    the joint pass, and the blend needs no further pass. It is only for inference: torch's log-sum-exp carries no
    gradient, and the gradients of queries and keys would be silently wrong.
    """
    num_rows = len(reference.key)
    query, own_key, own_value, key, value = (_split_heads(states, num_heads) for states in (query, *own, *reference))
    attended, own_sum = _attend_with_log_sum_exp(query, own_key, own_value)
    beside, sum_beside = _attend_with_log_sum_exp(query[:num_rows], key, value)
    weight = blend * torch.sigmoid(sum_beside - own_sum[:num_rows])
    attended[:num_rows].lerp_(beside, weight[..., None].to(beside.dtype))
    return _join_heads(attended)


def _has_log_sum_exp(query: Tensor) -> bool:
    """Whether torch has an attention kernel for this device that also returns the log-sum-exp of the scores."""
    return query.device.type in ("cpu", "cuda")


def _attend_with_log_sum_exp(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """(B, heads, L, D), (B, heads, M, D) twice -> attended (B, heads, L, D), log-sum-exp (B, heads, L) in float32.

    These are the kernels behind `scaled_dot_product_attention`, which returns only the first of the two.
    """
    if query.device.type == "cpu":
        # This kernel reads keys and values many times, and is faster if those of one head are contiguous.
        key, value = key.contiguous(), value.contiguous()
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(query, key, value)[:2]
    if _is_for_flash(query):
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[:2]
    attended, log_sum_exp = torch.ops.aten._scaled_dot_product_efficient_attention(query, key, value, None, True)[:2]
    # This kernel pads the rows of its log-sum-exp.
    return attended, log_sum_exp[..., : query.shape[-2]]


def _is_for_flash(query: Tensor) -> bool:
    """Whether flash attention supports it: half precision, head size a multiple of 8 up to 256, Ampere or newer."""
    is_half = query.dtype in (torch.float16, torch.bfloat16)
    fits = query.shape[-1] % 8 == 0 and query.shape[-1] <= 256
    return is_half and fits and torch.cuda.get_device_capability(query.device) >= (8, 0)


def _split_heads(states: Tensor, num_heads: int) -> Tensor:
    return states.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _join_heads(states: Tensor) -> Tensor:
    return states.transpose(1, 2).flatten(2)
