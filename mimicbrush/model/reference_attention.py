"""Attention of the imitative U-Net over its own tokens and the reference's (paper, section 3.2 and equation 1).

Both U-Nets are stock `UNet2DConditionModel`s whose attention processors are replaced. Reference features travel in
dicts, layer name -> states, through `cross_attention_kwargs`: out of the reference U-Net, then into the imitative one.
Modules store nothing between calls, so previews, gradient checkpointing and a second network never see each other's
features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from mimicbrush.model.attention import KeyValue, attend, attend_with_reference
from mimicbrush.model.config import ReferenceProjections

ReferenceStates = dict[str, Tensor]
"""Layer name -> the reference's normed hidden states before that self-attention, (R, L, C)."""

ReferenceFeatures = dict[str, KeyValue]
"""Layer name -> the reference's keys and values in this layer, (R, L, C) each."""


def shared_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of the self-attentions that see the reference, in forward order: all of the mid block and the up blocks.

    For Stable Diffusion 1.5 these are ten.
    """
    return [name for name in _attention_layers(unet) if name.endswith("attn1") and not name.startswith("down_blocks")]


class CapturedStates:
    """Collects states by layer name. It is not a dict, because hooks that move a module's inputs copy dicts."""

    def __init__(self) -> None:
        self.states: ReferenceStates = {}

    def __setitem__(self, name: str, states: Tensor) -> None:
        self.states[name] = states


class AttentionContext(NamedTuple):
    """Further inputs of the attention layers: the one entry, `context`, of cross_attention_kwargs."""

    captured: CapturedStates | ReferenceStates | None = None
    """States, filled in by the reference U-Net."""
    queries: CapturedStates | ReferenceStates | None = None
    """Queries (B, L, heads, C / heads), filled in by the imitative U-Net's layers that see the reference."""
    reference: ReferenceFeatures | None = None
    """Features for the imitative U-Net's first R <= B rows; the other rows have none."""
    keep_reference: Tensor | None = None
    """(R,), false for rows that train without their reference."""
    twins: bool = False
    """Whether the second half of the rows differs from the first only in image tokens and reference, as in guidance."""


NO_CONTEXT = AttentionContext()


class PlainAttention:
    """Scaled dot-product attention that ignores references: cross-attention, and self-attention of the down blocks."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        context: AttentionContext = NO_CONTEXT,
    ) -> Tensor:
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        attended = attend(attn.to_q(hidden_states), _project(attn, seen), num_heads=attn.heads)
        return _project_out(attn, attended)


class FirstAttention(PlainAttention):
    """The imitative U-Net's first self-attention: twin rows are still equal here, so one half is computed."""

    def __call__(self, attn: Attention, hidden_states: Tensor, *args, context=NO_CONTEXT, **kwargs) -> Tensor:
        if not context.twins:
            return super().__call__(attn, hidden_states)
        first, _ = hidden_states.chunk(2)
        return super().__call__(attn, first).repeat(2, 1, 1)


class CapturingAttention(PlainAttention):
    """Self-attention of the reference U-Net, which captures its normed input before it attends."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, attn: Attention, hidden_states: Tensor, *args, context=NO_CONTEXT, **kwargs) -> Tensor:
        if context.captured is not None:
            context.captured[self.name] = hidden_states
        return super().__call__(attn, hidden_states)


class ReferenceAttention:
    """Self-attention of the imitative U-Net over its own tokens and the reference's.

    blend: weight of the joint attention; the rest is plain self-attention. The released weights were trained with 0.5;
    equation 1 of the paper is 1.0.
    """

    def __init__(self, name: str, blend: float) -> None:
        self.name = name
        self.blend = blend

    def __call__(self, attn: Attention, hidden_states: Tensor, *args, context=NO_CONTEXT, **kwargs) -> Tensor:
        """hidden_states: (B, L, C) -> (B, L, C)."""
        query, own = attn.to_q(hidden_states), _project(attn, hidden_states)
        if context.queries is not None:
            context.queries[self.name] = query.unflatten(-1, (attn.heads, -1))
        if not context.reference or self.blend == 0:
            return _project_out(attn, attend(query, own, num_heads=attn.heads))
        reference = KeyValue(*(states.to(query.dtype) for states in context.reference[self.name]))
        if context.keep_reference is not None:
            reference = _own_where_dropped(reference, own, context.keep_reference)
        attended = attend_with_reference(query, own, reference, blend=self.blend, num_heads=attn.heads)
        return _project_out(attn, attended)


class LastAttention(nn.Module):
    """Replaces the reference U-Net's last used self-attention: captures its input; nothing is computed after it.

    to_k, to_v: the layer's own projections, if they are used.
    """

    def __init__(self, name: str, to_k: nn.Linear | None = None, to_v: nn.Linear | None = None) -> None:
        super().__init__()
        self.name = name
        self.to_k = to_k
        self.to_v = to_v

    def forward(self, hidden_states: Tensor, *, context: AttentionContext = NO_CONTEXT, **kwargs) -> Tensor:
        if context.captured is not None:
            context.captured[self.name] = hidden_states
        return hidden_states


def make_imitative(unet: UNet2DConditionModel, blend: float) -> UNet2DConditionModel:
    """Let the U-Net's mid and up self-attentions see reference features; changes it in place."""
    first, *_ = _attention_layers(unet)
    processors = {first: FirstAttention()} | {name: ReferenceAttention(name, blend) for name in shared_layers(unet)}
    _set_processors(unet, processors)
    return unet


def make_reference(unet: UNet2DConditionModel, projections: ReferenceProjections = "imitative") -> UNet2DConditionModel:
    """Let the U-Net capture states, and drop everything after its last used layer; changes it in place.

    The dropped layers would get no gradient and influence nothing: 24 tensors of Stable Diffusion 1.5 (662 are left),
    or 22 where the reference's own `projections` make its keys and values.
    """
    shared = shared_layers(unet)
    _set_processors(unet, {name: CapturingAttention(name) for name in shared})
    _drop_tail(unet, last=shared[-1], keep_projections=projections == "reference")
    return unet


def project_states(states: ReferenceStates, unet: UNet2DConditionModel) -> ReferenceFeatures:
    """Project captured states to keys and values, by the projections of `unet`.

    That is the imitative U-Net in the release, and the reference U-Net in the paper's equation 1.
    """
    layers = {name: unet.get_submodule(name) for name in states}
    # The two U-Nets may compute in different precisions.
    return {name: _project(layer, states[name].to(layer.to_k.weight.dtype)) for name, layer in layers.items()}


def _project(attn: nn.Module, tokens: Tensor) -> KeyValue:
    return KeyValue(attn.to_k(tokens), attn.to_v(tokens))


def _project_out(attn: Attention, attended: Tensor) -> Tensor:
    linear, dropout = attn.to_out
    return dropout(linear(attended))


def _own_where_dropped(reference: KeyValue, own: KeyValue, keep: Tensor) -> KeyValue:
    """Replace dropped references by the row's own tokens: attending to these twice is exactly self-attention."""
    return KeyValue(*(torch.where(keep[:, None, None], r, o[: len(r)]) for r, o in zip(reference, own, strict=True)))


def _attention_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of all attention layers in the order of the forward pass, mid block before up blocks."""
    names = [name for name, module in unet.named_modules() if isinstance(module, Attention)]
    order = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}
    return sorted(names, key=lambda name: order[name.split(".")[0]])


def _set_processors(unet: UNet2DConditionModel, processors: dict[str, Callable[..., Tensor]]) -> None:
    """Set the processors of the named layers, and plain ones for all other layers."""
    layers = _attention_layers(unet)
    unet.set_attn_processor({f"{name}.processor": processors.get(name, PlainAttention()) for name in layers})


def _drop_tail(unet: UNet2DConditionModel, last: str, *, keep_projections: bool) -> None:
    """Remove the rest of the last used transformer block, later up blocks, and the output layers."""
    _, block_number, _, attention_number, *_ = last.split(".")
    up_block = unet.up_blocks[int(block_number)]
    transformer = up_block.attentions[int(attention_number)]
    block = transformer.transformer_blocks[0]
    kept = (block.attn1.to_k, block.attn1.to_v) if keep_projections else ()
    block.attn1, block.norm2, block.attn2 = LastAttention(last, *kept), None, None
    block.norm3, block.ff, transformer.proj_out = nn.Identity(), nn.Identity(), nn.Identity()
    up_block.upsamplers = None
    unet.up_blocks = unet.up_blocks[: int(block_number) + 1]
    unet.conv_norm_out, unet.conv_out = None, nn.Identity()
