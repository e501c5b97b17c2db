"""The released sampling algorithm written out, for comparison with ours; nothing else uses it.

It computes more than the network needs: the reference U-Net also runs for the unconditional row, whose features are not
used, and each shared layer attends three times, once with queries of reference tokens whose results are discarded.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from diffusers import SchedulerMixin
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.reference_attention import NO_CONTEXT, AttentionContext, PlainAttention, shared_layers

BLEND = 0.5


class ReleasedAttention:
    """Self-attention of a shared layer as released; the first half of the rows is unconditional."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attend = AttnProcessor2_0()

    def __call__(self, attn: Attention, hidden_states: Tensor, *args, context=NO_CONTEXT, **kwargs) -> Tensor:
        both = torch.cat([hidden_states, context.captured[self.name]], dim=1)
        joint = self.attend(attn, both, encoder_hidden_states=both)[:, : hidden_states.shape[1]]
        alone = self.attend(attn, hidden_states, encoder_hidden_states=hidden_states)
        attended = joint * BLEND + alone * (1 - BLEND)
        unconditional = hidden_states[: len(hidden_states) // 2]
        attended[: len(unconditional)] = self.attend(attn, unconditional, encoder_hidden_states=unconditional)
        return attended


def use_released_attention(network: MimicBrushNetwork) -> MimicBrushNetwork:
    """Return a network with the same weights (not copies) and the released attention."""
    released = copy.deepcopy(network, {id(parameter): parameter for parameter in network.parameters()})
    unet = released.imitative_unet
    shared = {f"{name}.processor": ReleasedAttention(name) for name in shared_layers(unet)}
    unet.set_attn_processor({name: shared.get(name, PlainAttention()) for name in unet.attn_processors})
    return released


@torch.no_grad()
def sample_as_released(
    network: MimicBrushNetwork,
    conditions: Conditions,
    noise: Tensor,
    *,
    scheduler: SchedulerMixin,
    num_inference_steps: int,
    guidance_scale: float,
    on_step: Callable[[int, Tensor], None],
) -> Tensor:
    """Run the released sampling loop on a network of `use_released_attention`."""
    scheduler.set_timesteps(num_inference_steps, device=noise.device)
    absent = network.absent_tokens().expand_as(conditions.image_tokens)
    doubled = Conditions(*(torch.cat([value, value]) for value in conditions))
    doubled = doubled._replace(image_tokens=torch.cat([absent, conditions.image_tokens]))
    latent = noise
    for step, timestep in enumerate(scheduler.timesteps):
        context = {"context": AttentionContext(captured={})}
        at = torch.zeros_like(timestep) if network.options.reference_timestep == "zero" else timestep
        network.reference_unet(doubled.reference_latent, at, doubled.image_tokens, cross_attention_kwargs=context)
        channels = (torch.cat([latent, latent]), doubled.mask, doubled.background_latent, doubled.shape_latent)
        prediction = network.imitative_unet(
            torch.cat(channels, dim=1), timestep, doubled.image_tokens, cross_attention_kwargs=context
        ).sample
        unconditional, conditional = prediction.chunk(2)
        guided = unconditional + guidance_scale * (conditional - unconditional)
        latent = scheduler.step(guided, timestep, latent, return_dict=False)[0]
        on_step(step, latent)
    return latent
