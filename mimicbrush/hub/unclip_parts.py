"""Stable unCLIP: load its parts, and compute the conditions of its U-Net as diffusers' pipeline does.

The U-Net receives text by cross-attention and a noised image embedding of CLIP as its class label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL, DDPMScheduler, ModelMixin, UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from mimicbrush.diffusion.config import ScheduleConfig
from mimicbrush.errors import Faults, UserError
from mimicbrush.files import read_object
from mimicbrush.hub.known_words import require_known_words
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.local_networks import load_files
from mimicbrush.hub.locations import PartLocation, open_location
from mimicbrush.hub.part_files import find_part
from mimicbrush.hub.pipeline_files import SCHEDULER, load_tokenizer, read_schedule
from mimicbrush.hub.weight_files import DIFFUSERS, TRANSFORMERS
from mimicbrush.pictures.conversion import to_levels

PIPELINE = "StableUnCLIPImg2ImgPipeline"
"""Class of the pipeline in diffusers, named by the index of such a folder."""
INDEX, PREPROCESSING = "model_index.json", "preprocessor_config.json"
NETWORKS: dict[str, type[nn.Module]] = {
    "unet": UNet2DConditionModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "image_encoder": CLIPVisionModelWithProjection,
    "image_normalizer": StableUnCLIPImageNormalizer,
}
"""Subfolder and class of each network."""
FOLDERS = (*NETWORKS, "tokenizer", "feature_extractor", "image_noising_scheduler", "scheduler")
"""Subfolders of the layout."""
ADVICE = "give stable-diffusion-2-1-unclip, stable-diffusion-2-1-unclip-small, or a folder in their layout"


@dataclass(frozen=True)
class UnclipParts:
    """Everything that generates pictures with Stable unCLIP; the networks are for inference."""

    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    image_encoder: CLIPVisionModelWithProjection
    feature_extractor: CLIPImageProcessorPil
    """Preprocessing of the image encoder."""
    image_normalizer: StableUnCLIPImageNormalizer
    """Mean and standard deviation of image embeddings."""
    image_noising_scheduler: DDPMScheduler
    """Noise schedule of image embeddings."""
    schedule: ScheduleConfig
    """Noise schedule of latents."""

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by the names of their folders."""
        return {name: getattr(self, name) for name in NETWORKS}

    def to(self, device: torch.device) -> UnclipParts:
        """Move the networks in place."""
        for network in self.networks.values():
            network.to(device)
        self.image_normalizer.requires_grad_(False)  # its `to` makes new parameters
        return self


def is_unclip(location: PartLocation) -> bool:
    """Whether a place has the part that only Stable unCLIP has, the normaliser of image embeddings."""
    return bool(location.files_in("image_normalizer"))


def load_unclip(
    pretrained: str, *, variant: str | None = None, revision: str | None = None, dtype: torch.dtype = torch.float32
) -> UnclipParts:
    """Load all parts from a hub repository, a folder in the layout of stable-diffusion-2-1-unclip, or asset:NAME.

    Raises UserError where the place holds another kind of model, or where parts are missing, damaged, or do not fit.
    """
    location = open_location(pretrained, revision)
    _require_folders(location)
    networks = {
        name: _load_network(pretrained, name, kind, variant, revision, dtype) for name, kind in NETWORKS.items()
    }
    parts = UnclipParts(
        **networks,
        tokenizer=load_tokenizer(location),
        feature_extractor=_load_small(location, "feature_extractor", PREPROCESSING, CLIPImageProcessorPil),
        image_noising_scheduler=_load_small(location, "image_noising_scheduler", SCHEDULER, DDPMScheduler),
        schedule=read_schedule(location),
    )
    require_fitting(parts, pretrained)
    return parts


def require_fitting(parts: UnclipParts, name: str) -> None:
    """Raise UserError, which opens with the model's name, where parts do not belong together."""
    faults = Faults()
    for fault in _misfits(parts):
        faults.add(f"{name}: {fault}; {ADVICE}")
    faults.refuse()


@torch.no_grad()
def embed_pictures(parts: UnclipParts, pictures: Tensor) -> Tensor:
    """Embed pictures (B, 3, H, W) in [0, 1] with the image encoder: (B, d), without noise."""
    pixels = parts.feature_extractor(images=[to_levels(picture) for picture in pictures], return_tensors="pt")
    encoder = parts.image_encoder
    return encoder(pixels.pixel_values.to(encoder.device, encoder.dtype)).image_embeds


@torch.no_grad()
def embed_prompts(parts: UnclipParts, prompts: list[str]) -> Tensor:
    """Text tokens (B, N, D) of prompts, cut to the longest text that the tokenizer allows.

    Raises UserError for words that the text encoder was never trained on.
    """
    require_known_words(parts.tokenizer, prompts, reader="the text encoder")
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    token_ids = parts.tokenizer(prompts, **options).input_ids
    return parts.text_encoder(token_ids.to(parts.text_encoder.device))[0].to(parts.unet.dtype)


@torch.no_grad()
def image_condition(
    parts: UnclipParts,
    embedding: Tensor,
    *,
    noise_level: int | Tensor = 0,
    generator: torch.Generator | list[torch.Generator] | None = None,
) -> Tensor:
    """Class labels (B, 2d) of the U-Net: embeddings (B, d), noised to a level, beside the level's own embedding.

    noise_level: 0 to 999, one for all rows or (B,); even 0 adds a little noise. Without an image, the U-Net receives
    zeros (B, 2d).
    """
    levels = torch.as_tensor(noise_level, device=embedding.device).expand(len(embedding))
    noise = randn_tensor(embedding.shape, generator=generator, device=embedding.device, dtype=embedding.dtype)
    normalizer = parts.image_normalizer
    noised = parts.image_noising_scheduler.add_noise(normalizer.scale(embedding), noise, levels)
    embedded_levels = get_timestep_embedding(levels, embedding.shape[1], flip_sin_to_cos=True, downscale_freq_shift=0)
    return torch.cat([normalizer.unscale(noised), embedded_levels.to(embedding.dtype)], dim=1)


def _require_folders(location: PartLocation) -> None:
    """Raise UserError, which says what the place holds instead, where a part has no files."""
    lacking = [name for name in FOLDERS if not location.files_in(name)]
    if lacking and location.is_partial:
        location.list_remote_files()
        lacking = [name for name in FOLDERS if not location.files_in(name)]
    if not lacking:
        return
    found = "no model of diffusers"
    if INDEX in location.files_in(""):
        found = str(read_object(location.fetch("", {INDEX}) / INDEX).get("_class_name"))
    listed = f"lacks {', '.join(lacking)}"
    if found == PIPELINE:
        raise UserError(f"{location.name} {listed}; copy or fetch the whole folder")
    raise UserError(f"{location.name} {listed}: expected Stable unCLIP ({PIPELINE}), found {found}; {ADVICE}")


def _load_network(
    pretrained: str,
    name: str,
    kind: type[nn.Module],
    variant: str | None,
    revision: str | None,
    dtype: torch.dtype,
) -> nn.Module:
    stems = DIFFUSERS if issubclass(kind, ModelMixin) else TRANSFORMERS
    options = {"class_name": kind.__name__, "subfolder": name, "variant": variant, "revision": revision}
    return load_files(find_part(pretrained, stems, **options), kind, dtype).eval().requires_grad_(False)


def _load_small(location: PartLocation, subfolder: str, file: str, kind: type) -> object:
    """Load a part that is a single small file."""
    folder = location.fetch(subfolder, {file})
    try:
        with quiet_libraries():
            return kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{folder / file} could not be loaded ({reason_of(error)}); copy or fetch it again") from None


def _misfits(parts: UnclipParts) -> Iterator[str]:
    """Say which parts do not belong together."""
    unet, channels = parts.unet.config, parts.vae.config.latent_channels
    if unet.class_embed_type != "projection":
        yield (
            f"its U-Net has no class embedding by projection (class_embed_type is {unet.class_embed_type}), through"
            " which Stable unCLIP receives the image embedding"
        )
        return
    width, normalized = parts.image_encoder.config.projection_dim, parts.image_normalizer.config.embedding_dim
    sizes = {
        "the U-Net's class labels": (unet.projection_class_embeddings_input_dim, 2 * width),
        "image_normalizer's embeddings": (normalized, width),
        "the U-Net's text tokens": (unet.cross_attention_dim, parts.text_encoder.config.hidden_size),
        "the U-Net's input": (unet.in_channels, channels),
        "the U-Net's output": (unet.out_channels, channels),
    }
    for name, (found, expected) in sizes.items():
        if found != expected:
            yield f"{name} have {found} channels, expected {expected} by its other parts"
