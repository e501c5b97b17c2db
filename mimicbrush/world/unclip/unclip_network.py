"""The small Stable unCLIP: a U-Net with random weights, beside frozen encoders that were trained before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableUnCLIPImg2ImgPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPVisionModelWithProjection

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.errors import UserError
from mimicbrush.hub.library_messages import quiet_libraries
from mimicbrush.hub.local_networks import load_files
from mimicbrush.hub.locations import open_location
from mimicbrush.hub.part_files import find_part
from mimicbrush.hub.pipeline_files import load_tokenizer
from mimicbrush.hub.unclip_parts import PREPROCESSING, UnclipParts, load_unclip
from mimicbrush.hub.weight_files import DIFFUSERS, TRANSFORMERS
from mimicbrush.world.unclip.config import UnclipTrainingConfig

SCHEDULE = ScheduleConfig(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
"""Noise schedule of the latents; its last level has practically no signal (2e-9 of the variance)."""
NORM_GROUPS = 8
CHANNELS_PER_HEAD = 32
FROZEN = ("vae", "text_encoder", "tokenizer", "image_encoder", "feature_extractor")
"""Parts that are not trained, by their fields in `UnclipParts`."""
POOLING_HEADS = 4
"""Heads of the attention that pools text tokens to one vector beside the timestep's."""

T = TypeVar("T", bound=nn.Module)


def build_parts(config: UnclipTrainingConfig) -> UnclipParts:
    """Load the frozen parts, and the U-Net to begin with; raises UserError where they are missing or do not fit."""
    earlier = None if config.start is None else load_unclip(config.start)
    # A U-Net that is trained further knows the latents and embeddings of its own parts, which may be older.
    frozen = _load_frozen(config) if earlier is None else {name: getattr(earlier, name) for name in FROZEN}
    vae, text_encoder, image_encoder = (frozen[name] for name in ("vae", "text_encoder", "image_encoder"))
    vae.register_to_config(_name_or_path="")  # the path means nothing on another machine
    frozen["tokenizer"].model_max_length = config.max_tokens
    stride = 2 ** (len(vae.config.block_out_channels) - 1)
    shape = {
        "sample_size": config.image_size // stride,
        "in_channels": vae.config.latent_channels,
        "out_channels": vae.config.latent_channels,
        "cross_attention_dim": text_encoder.config.hidden_size,
        "projection_class_embeddings_input_dim": 2 * image_encoder.config.projection_dim,
    }
    return UnclipParts(
        unet=build_unet(config, shape, earlier),
        **frozen,
        image_normalizer=StableUnCLIPImageNormalizer(image_encoder.config.projection_dim).requires_grad_(False),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        schedule=SCHEDULE,
    )


def build_unet(
    config: UnclipTrainingConfig, shape: Mapping[str, int], earlier: UnclipParts | None = None
) -> UNet2DConditionModel:
    """Draw random weights, or copy those of an earlier model, whose sizes must be the same."""
    # On a CPU, attention at a finer level costs more time than it is worth; the pooled text reaches all levels.
    attends = [False] * (len(config.channels) - 1) + [True]
    unet = UNet2DConditionModel(
        **shape,
        block_out_channels=config.channels,
        down_block_types=["CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends],
        up_block_types=["CrossAttnUpBlock2D" if each else "UpBlock2D" for each in reversed(attends)],
        # diffusers' name for the number of heads.
        attention_head_dim=[max(1, channels // CHANNELS_PER_HEAD) for channels in config.channels],
        layers_per_block=1,
        norm_num_groups=NORM_GROUPS,
        class_embed_type="projection",
        addition_embed_type="text",
        addition_embed_type_num_heads=POOLING_HEADS,
    )
    if earlier is None:
        return unet
    weights = earlier.unet.state_dict()
    if {name: each.shape for name, each in weights.items()} != {
        name: each.shape for name, each in unet.state_dict().items()
    }:
        raise UserError(f"start: the U-Net of {config.start} has other sizes; give both runs the same")
    unet.load_state_dict(weights)
    return unet


@torch.no_grad()
def fit_normalizer(parts: UnclipParts, embeddings: Tensor, *, is_new: bool) -> None:
    """Set mean and deviation of image embeddings (N, d) in place.

    is_new: the U-Net has random weights; its first layer of image embeddings is then set up to standardise them.
    """
    normalizer = parts.image_normalizer
    deviation, mean = torch.std_mean(embeddings.float(), dim=0)
    normalizer.mean.copy_(mean[None])
    normalizer.std.copy_(deviation[None].clamp(min=1e-6))
    if is_new:
        # The U-Net receives embeddings that are not standardised; their spread would hide their differences.
        layer, width = parts.unet.class_embedding.linear_1, embeddings.shape[1]
        layer.weight[:, :width] /= normalizer.std
        layer.bias -= layer.weight[:, :width] @ normalizer.mean[0]


def save_parts(parts: UnclipParts, folder: Path) -> None:
    """Write the folder in half precision, as diffusers' own pipeline does; the networks in memory are rounded to it."""
    scheduler = DDIMScheduler(**parts.schedule.as_options(), clip_sample=False, set_alpha_to_one=False, steps_offset=1)
    with quiet_libraries():
        StableUnCLIPImg2ImgPipeline(
            **{name: network.half() for name, network in parts.networks.items()},
            tokenizer=parts.tokenizer,
            feature_extractor=parts.feature_extractor,
            image_noising_scheduler=parts.image_noising_scheduler,
            scheduler=scheduler,
        ).save_pretrained(folder)
        for network in parts.networks.values():
            network.float()


def _load_frozen(config: UnclipTrainingConfig) -> dict[str, object]:
    """Load the parts named in `FROZEN` from the config's autoencoder and CLIP."""
    clip = open_location(config.clip)
    return {
        "vae": _load(config.autoencoder, AutoencoderKL, "autoencoder"),
        "image_encoder": _load(config.clip, CLIPVisionModelWithProjection, "clip"),
        "text_encoder": _load(config.clip, CLIPTextModel, "clip"),
        "tokenizer": load_tokenizer(clip, ""),
        "feature_extractor": CLIPImageProcessorPil.from_pretrained(
            clip.fetch("", {PREPROCESSING}), local_files_only=True
        ),
    }


def _load(pretrained: str, kind: type[T], field: str) -> T:
    stems = DIFFUSERS if issubclass(kind, AutoencoderKL) else TRANSFORMERS
    try:
        found = find_part(pretrained, stems, class_name=kind.__name__)
        return load_files(found, kind).eval().requires_grad_(False)
    except UserError as error:
        raise UserError(f"{field}: {error}") from None
