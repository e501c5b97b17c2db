"""Attention of the imitative U-Net over its own tokens and the reference's (paper, section 3.2 and equation 1).

Both U-Nets are stock `UNet2DConditionModel`s whose attention processors are replaced. Reference features travel in a
dict, layer name -> states, through `cross_attention_kwargs`: as `captured` out of the reference U-Net, as `reference`
into the imitative one. Nothing is kept on modules between calls, so previews, gradient checkpointing and a second
network never see each other's features.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

ReferenceFeatures = dict[str, Tensor]
"""Layer name -> the reference's normed hidden states before that self-attention, (R, L, C)."""


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
        captured: ReferenceFeatures | None = None,
        keep_reference: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.to_q(hidden_states)
        return _project_out(attn, _attend(attn, query, attn.to_k(context), attn.to_v(context)))


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
    equation 1 of the paper is 1.0. The reference's states go through the *imitative* projections, as in the release.
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
        captured: ReferenceFeatures | None = None,
        keep_reference: Tensor | None = None,
    ) -> Tensor:
        """hidden_states: (B, L, C). The first R <= B rows see the reference; the others have none.

        keep_reference: (R,), false for rows that train without their reference.
        """
        query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        if not reference or self.blend == 0:
            return _project_out(attn, _attend(attn, query, key, value))
        states = reference[self.name].to(hidden_states.dtype)
        num_rows = len(states)
        if keep_reference is not None:
            # A row attending to its own tokens twice is plain self-attention, exactly, at no extra pass and no mask.
            states = torch.where(keep_reference[:, None, None], states, hidden_states[:num_rows])
        joint_key = torch.cat([key[:num_rows], attn.to_k(states)], dim=1)
        joint_value = torch.cat([value[:num_rows], attn.to_v(states)], dim=1)
        attended = _attend(attn, query[:num_rows], joint_key, joint_value)
        if self.blend < 1:
            # to_out is affine, so blending before it equals blending two projected outputs.
            attended = torch.lerp(
                _attend(attn, query[:num_rows], key[:num_rows], value[:num_rows]), attended, self.blend
            )
        if num_rows < len(hidden_states):
            alone = _attend(attn, query[num_rows:], key[num_rows:], value[num_rows:])
            attended = torch.cat([attended, alone])
        return _project_out(attn, attended)


class LastStates(nn.Module):
    """Stands where the reference U-Net's last used self-attention was: hands its input over; nothing follows it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, hidden_states: Tensor, *, captured: ReferenceFeatures | None = None, **kwargs) -> Tensor:
        if captured is not None:
            captured[self.name] = hidden_states
        return hidden_states


def make_imitative(unet: UNet2DConditionModel, blend: float) -> UNet2DConditionModel:
    """Let the U-Net's mid and up self-attentions see reference features; changes it in place."""
    shared = set(shared_layers(unet))
    _set_processors(unet, lambda name: ReferenceAttention(name, blend) if name in shared else PlainAttention())
    return unet


def make_reference(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Let the U-Net capture features, and drop everything behind its last used layer; changes it in place.

    What lies behind gets no gradient and influences nothing: 24 tensors of Stable Diffusion 1.5 (662 are left).
    """
    shared = shared_layers(unet)
    _set_processors(unet, lambda name: CapturingAttention(name) if name in shared else PlainAttention())
    _drop_tail(unet, last=shared[-1])
    return unet


def _attend(attn: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(B, L, C), (B, M, C), (B, M, C) -> (B, L, C)."""
    query, key, value = (x.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def _project_out(attn: Attention, attended: Tensor) -> Tensor:
    linear, dropout = attn.to_out
    return dropout(linear(attended))


def _attention_layers(unet: UNet2DConditionModel) -> list[str]:
    """Names of all attention layers, mid block before up blocks, as the forward pass meets them."""
    names = [name for name, module in unet.named_modules() if isinstance(module, Attention)]
    order = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}
    return sorted(names, key=lambda name: order[name.split(".")[0]])


def _set_processors(unet: UNet2DConditionModel, processor_of) -> None:
    unet.set_attn_processor({f"{name}.processor": processor_of(name) for name in _attention_layers(unet)})


def _drop_tail(unet: UNet2DConditionModel, last: str) -> None:
    """Remove the rest of the last used transformer block, later up blocks, and the output layers."""
    _, block_number, _, attention_number, *_ = last.split(".")
    up_block = unet.up_blocks[int(block_number)]
    transformer = up_block.attentions[int(attention_number)]
    block = transformer.transformer_blocks[0]
    block.attn1, block.norm2, block.attn2 = LastStates(last), None, None
    block.norm3, block.ff, transformer.proj_out = nn.Identity(), nn.Identity(), nn.Identity()
    up_block.upsamplers = None
    unet.up_blocks = unet.up_blocks[: int(block_number) + 1]
    unet.conv_norm_out, unet.conv_out = None, nn.Identity()
