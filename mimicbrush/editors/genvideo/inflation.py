"""Inflation of a U-Net for pictures to one for clips, whose rows are the frames.

The U-Net stays diffusers' `UNet2DConditionModel`, with all its embeddings. Self-attentions see the first and the
previous frame, and each transformer block ends with an attention over time, whose output is zero at first. Convolutions
and group norms treat each frame alone. `num_frames` travels through cross_attention_kwargs, so that modules store
nothing between calls.
"""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from mimicbrush.errors import UserError
from mimicbrush.model.attention import KeyValue, attend
from mimicbrush.model.reference_attention import PlainAttention

PLAIN_ATTENTION = PlainAttention()
TEMPORAL = "temporal_attention"
QUERIES = (".attn1.to_q.", ".attn2.to_q.")


class SparseCausalAttention:
    """Self-attention of each frame over the first and the previous frame; the first one sees itself twice."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        num_frames: int = 1,
    ) -> Tensor:
        """hidden_states: (clips x frames, L, C), frames of a clip side by side."""
        first, previous = seen_frames(num_frames)
        own = KeyValue(attn.to_k(hidden_states), attn.to_v(hidden_states))
        by_clip = [states.unflatten(0, (-1, num_frames)) for states in own]
        seen = [torch.cat([states[:, first], states[:, previous]], dim=2).flatten(0, 1) for states in by_clip]
        return _project_out(attn, attend(attn.to_q(hidden_states), KeyValue(*seen), num_heads=attn.heads))


class FrameTextAttention:
    """Cross-attention to the text, for each frame alone; it takes `num_frames`, which diffusers passes to all."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        num_frames: int = 1,
    ) -> Tensor:
        return PLAIN_ATTENTION(attn, hidden_states, encoder_hidden_states)


class TemporalAttention(nn.Module):
    """Attention over the frames at each position, added to its input; the output layer starts at zero."""

    def __init__(self, channels: int, *, num_heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads=num_heads, dim_head=channels // num_heads)
        self.attention.set_processor(FrameTextAttention())
        for parameter in self.attention.to_out[0].parameters():
            nn.init.zeros_(parameter)

    def forward(self, hidden_states: Tensor, num_frames: int) -> Tensor:
        """hidden_states: (clips x frames, L, C) -> the same shape."""
        over_time = hidden_states.unflatten(0, (-1, num_frames)).transpose(1, 2)
        attended = self.attention(self.norm(over_time.flatten(0, 1))).unflatten(0, over_time.shape[:2])
        return hidden_states + attended.transpose(1, 2).flatten(0, 1)


class ClipTransformerBlock(nn.Module):
    """A transformer block of the U-Net for pictures, and an attention over time after it."""

    def __init__(self, spatial: BasicTransformerBlock, *, num_heads: int) -> None:
        super().__init__()
        self.spatial = spatial
        self.add_module(TEMPORAL, TemporalAttention(spatial.dim, num_heads=num_heads))

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        timestep: Tensor | None = None,
        cross_attention_kwargs: dict[str, object] | None = None,
        class_labels: Tensor | None = None,
    ) -> Tensor:
        """Arguments are those of `BasicTransformerBlock`, in its order, because checkpointing passes them by place."""
        hidden_states = self.spatial(
            hidden_states,
            attention_mask=attention_mask,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            timestep=timestep,
            cross_attention_kwargs=cross_attention_kwargs,
            class_labels=class_labels,
        )
        return self.temporal_attention(hidden_states, (cross_attention_kwargs or {}).get("num_frames", 1))


def seen_frames(num_frames: int) -> tuple[list[int], list[int]]:
    """Numbers of the first and of the previous frame, for each frame of a clip."""
    return [0] * num_frames, [max(number - 1, 0) for number in range(num_frames)]


def inflate(unet: UNet2DConditionModel, *, seed: int = 0) -> UNet2DConditionModel:
    """Let a U-Net see clips; changes it in place. seed: for the new attentions' projections.

    Only the published parameters require gradients afterwards: queries of self-attention and cross-attention, and the
    attentions over time. Raises UserError for a U-Net that takes no image embedding as its class.
    """
    _check_unet(unet)
    unet.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, module in list(unet.named_modules()):
            if isinstance(module, BasicTransformerBlock):
                module.attn1.set_processor(SparseCausalAttention())
                module.attn2.set_processor(FrameTextAttention())
                place, _, last = name.rpartition(".")
                block = ClipTransformerBlock(module, num_heads=module.attn1.heads)
                unet.get_submodule(place)[int(last)] = block.to(unet.device)
    for name, parameter in unet.named_parameters():
        if is_tuned(name):
            # AdamW's steps are smaller than half precision resolves.
            parameter.data = parameter.data.float()
            parameter.requires_grad_()
    return unet


def is_tuned(name: str) -> bool:
    """Whether a parameter is tuned on a clip."""
    return TEMPORAL in name or any(part in f".{name}" for part in QUERIES)


def tuned_parameters(unet: UNet2DConditionModel) -> dict[str, nn.Parameter]:
    """Parameters of an inflated U-Net that are tuned on a clip, by name."""
    return {name: parameter for name, parameter in unet.named_parameters() if is_tuned(name)}


def _check_unet(unet: UNet2DConditionModel) -> None:
    config = unet.config
    if unet.class_embedding is None or config.class_embed_type != "projection":
        raise UserError(
            f"the U-Net has class_embed_type {config.class_embed_type}, and GenVideo needs one that takes an image"
            " embedding (class_embed_type projection); give weights of unCLIP, such as stable-diffusion-2-1-unclip"
        )
    if config.resnet_time_scale_shift != "default" or config.class_embeddings_concat:
        raise UserError(
            "the U-Net does not add its time embedding to the features (resnet_time_scale_shift"
            f" {config.resnet_time_scale_shift}), as Stable Diffusion does; give weights of stable-diffusion-2-1-unclip"
        )


def _project_out(attn: Attention, attended: Tensor) -> Tensor:
    linear, dropout = attn.to_out
    return dropout(linear(attended))
