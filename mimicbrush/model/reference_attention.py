"""Attention of the imitative U-Net over its own tokens and the reference's (paper, section 3.2 and equation 1).

Both U-Nets are stock `UNet2DConditionModel`s whose attention processors are replaced. Reference features travel in a
dict, layer name -> states, through `cross_attention_kwargs`: as `captured` out of the reference U-Net, as `reference`
into the imitative one. Nothing is kept on modules between calls, so previews, gradient checkpointing and a second
network never see each other's features.
"""

from __future__ import annotations

from typing import Literal

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from mimicbrush.model.attention import KeyValue, attend, attend_with_reference

ReferenceProjections = Literal["imitative", "reference"]

ReferenceStates = dict[str, Tensor]
"""Layer name -> the reference's normed hidden states before that self-attention, (R, L, C)."""

ReferenceFeatures = dict[str, KeyValue]
"""Layer name -> the reference's keys and values there, (R, L, C) each."""


def shared_layers(unet: UNet2DConditionModel) -> list[str]:
    """The self-attentions that meet the reference, in forward order: all of the mid block and the up blocks.

    For Stable Diffusion 1.5 these are ten.
    """
    return [name for name in _attention_layers(unet) if name.endswith("attn1") and not name.startswith("down_blocks")]


class PlainAttention:
    """Scaled dot-product attention that ignores references: cross-attention, and self-attention of the down blocks."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        reference: ReferenceFeatures | None = None,
        captured: ReferenceStates | None = None,
        keep_reference: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        attended = attend(attn.to_q(hidden_states), _project(attn, context), num_heads=attn.heads)
        return _project_out(attn, attended)


class CapturingAttention(PlainAttention):
    """Self-attention of the reference U-Net: hands its normed input over, then attends as ever."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, attn: Attention, hidden_states: Tensor, *args, captured=None, **kwargs) -> Tensor:
        if captured is not None:
            captured[self.name] = hidden_states
        return super().__call__(attn, hidden_states, *args, **kwargs)


class ReferenceAttention:
    """Self-attention of the imitative U-Net over its own tokens and the reference's.

    blend: share of the joint attention, the rest is plain self-attention. The released weights were trained with 0.5;
    equation 1 of the paper is 1.0.
    """

    def __init__(self, name: str, blend: float) -> None:
        self.name = name
        self.blend = blend

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        reference: ReferenceFeatures | None = None,
        captured: ReferenceStates | None = None,
        keep_reference: Tensor | None = None,
    ) -> Tensor:
        """hidden_states: (B, L, C). The first R <= B rows see the reference; the others have none.

        keep_reference: (R,), false for rows that train without their reference.
        """
        query, own = attn.to_q(hidden_states), _project(attn, hidden_states)
        if not reference or self.blend == 0:
            return _project_out(attn, attend(query, own, num_heads=attn.heads))
        theirs = reference[self.name]
        if keep_reference is not None:
            theirs = _own_where_dropped(theirs, own, keep_reference)
        attended = attend_with_reference(query, own, theirs, blend=self.blend, num_heads=attn.heads)
        return _project_out(attn, attended)


class LastAttention(nn.Module):
    """Stands where the reference U-Net's last used self-attention was: hands its input over; nothing follows it.

    to_k, to_v: the layer's own projections, where they are used.
    """

    def __init__(self, name: str, to_k: nn.Linear | None = None, to_v: nn.Linear | None = None) -> None:
        super().__init__()
        self.name = name
        self.to_k = to_k
        self.to_v = to_v

    def forward(self, hidden_states: Tensor, *, captured: ReferenceStates | None = None, **kwargs) -> Tensor:
        if captured is not None:
            captured[self.name] = hidden_states
        return hidden_states


def make_imitative(unet: UNet2DConditionModel, blend: float) -> UNet2DConditionModel:
    """Let the U-Net's mid and up self-attentions see reference features; changes it in place."""
    shared = set(shared_layers(unet))
    _set_processors(unet, lambda name: ReferenceAttention(name, blend) if name in shared else PlainAttention())
    return unet


def make_reference(unet: UNet2DConditionModel, projections: ReferenceProjections = "imitative") -> UNet2DConditionModel:
    """Let the U-Net capture states, and drop everything behind its last used layer; changes it in place.

    What lies behind gets no gradient and influences nothing: 24 tensors of Stable Diffusion 1.5 (662 are left), or 22
    where the reference's own `projections` make its keys and values.
    """
    shared = shared_layers(unet)
    _set_processors(unet, lambda name: CapturingAttention(name) if name in shared else PlainAttention())
    _drop_tail(unet, last=shared[-1], keep_projections=projections == "reference")
    return unet


def project_states(states: ReferenceStates, unet: UNet2DConditionModel) -> ReferenceFeatures:
    """Captured states -> keys and values, by the projections of `unet`.

    Those of the imitative U-Net in the release, those of the reference U-Net in the paper's equation 1.
    """
    return {name: _project(unet.get_submodule(name), state) for name, state in states.items()}


def _project(attn: nn.Module, context: Tensor) -> KeyValue:
    return KeyValue(attn.to_k(context), attn.to_v(context))


def _project_out(attn: Attention, attended: Tensor) -> Tensor:
    linear, dropout = attn.to_out
    return dropout(linear(attended))


def _own_where_dropped(theirs: KeyValue, own: KeyValue, keep: Tensor) -> KeyValue:
    """A row attending to its own tokens twice is plain self-attention, exactly, at no extra pass and no mask."""
    return KeyValue(*(torch.where(keep[:, None, None], t, o[: len(t)]) for t, o in zip(theirs, own, strict=True)))


def _attention_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of all attention layers, mid block before up blocks, as the forward pass meets them."""
    names = [name for name, module in unet.named_modules() if isinstance(module, Attention)]
    order = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}
    return sorted(names, key=lambda name: order[name.split(".")[0]])


def _set_processors(unet: UNet2DConditionModel, processor_of) -> None:
    unet.set_attn_processor({f"{name}.processor": processor_of(name) for name in _attention_layers(unet)})


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
