"""Configuration of the network: sizes, options, and where the weights of its parts come from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from mimicbrush.diffusion.config import DDIM, PredictionType, TimestepSpacing, check_sampling

ReferenceTimestep = Literal["current", "zero"]
ReferenceProjections = Literal["imitative", "reference"]
DepthInput = Literal["released", "standard"]
NUM_INPUT_CHANNELS = 13
"""Noisy latent 4, mask 1, background latent 4, shape latent 4, in this order."""


@dataclass(frozen=True, kw_only=True)
class RecommendedSettings:
    """Default settings of an edit with these weights; they are stored with the weights and not used by training."""

    num_inference_steps: int = 50
    """Sampling steps; the release uses 50."""
    guidance_scale: float = 5.0
    """Strength of classifier-free guidance by the reference; the release uses 5, small networks do best with 2 to
    3."""
    scheduler: str = DDIM
    """Sampler, a scheduler class of diffusers."""
    timestep_spacing: TimestepSpacing = "leading"
    """Timesteps of the sampler, in diffusers' words; the release uses leading."""

    def __post_init__(self) -> None:
        check_sampling(num_inference_steps=self.num_inference_steps, guidance_scale=self.guidance_scale)

    @property
    def numbers(self) -> dict[str, float]:
        """Those settings that every edit can change: steps and guidance."""
        return {"num_inference_steps": self.num_inference_steps, "guidance_scale": self.guidance_scale}


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Options of the network; weights must be used with the options they were trained with.

    Defaults follow the release; `configs/train/mimicbrush_paper.yaml` follows the paper where the two differ.
    """

    size: int = 512
    """Side of the square pictures that the network works on, in pixels."""
    depth_input: DepthInput = "released"
    """Normalisation of the depth model's input. released: the released code's scaling, which the released weights need;
    standard: the scaling that the depth model expects."""
    shape_channels: tuple[int, ...] = (16, 32, 64, 128)
    """Channels of the shape projector's layers: one more layer than the autoencoder halves the resolution, so 4 for
    Stable Diffusion."""
    shape_in_channels: Literal[1, 3] = 1
    """Input channels of the shape projector; with 3 the shape map is repeated. The release uses 1, the paper 3."""
    reference_projections: ReferenceProjections = "imitative"
    """The U-Net whose to_k and to_v layers turn the reference's hidden states into keys and values: imitative, as in
    the release, or reference, as in the paper's equation 1."""
    reference_blend: float = 0.5
    """Weight of attention over both source and reference; the rest is plain self-attention. 0.5 in the release, 1.0 in
    the paper's equation 1."""
    use_image_tokens: bool = True
    """Feed the reference's CLIP image tokens to cross-attention; false, an ablation, always feeds the tokens of no
    reference."""
    reference_timestep: ReferenceTimestep = "current"
    """Timestep given to the reference U-Net. current: that of the sampling step, as in the release; zero: always 0, so
    that reference features are computed once per edit, which is faster."""
    prediction_type: PredictionType = "epsilon"
    """Output of the imitative U-Net. epsilon: the noise, as in Stable Diffusion 1.5 and the release; v_prediction: the
    velocity, which learns colours and shapes in far fewer steps when weights start at random."""
    recommended: RecommendedSettings = field(default_factory=RecommendedSettings)
    """Default settings of an edit with these weights."""

    def __post_init__(self) -> None:
        if not 0 <= self.reference_blend <= 1:
            raise ValueError(f"reference_blend is {self.reference_blend}, expected 0 to 1")
        if self.size <= 0:
            raise ValueError(f"size is {self.size}, expected a positive multiple of the autoencoder's stride")


@dataclass(frozen=True, kw_only=True)
class PartConfig:
    """One part of the network: pretrained weights, or sizes for random weights."""

    pretrained: str | None = None
    """Hub repository, local folder, or `asset:NAME` for weights shipped with this package; for the U-Nets and the
    autoencoder also a single Stable Diffusion file (.ckpt, .safetensors). null: random weights."""
    subfolder: str | None = None
    """Folder of the part inside `pretrained`, for instance `unet`."""
    variant: str | None = None
    """Variant of the weight files, for instance `fp16` or `non_ema`; null: files without a variant, or the only variant
    there is."""
    revision: str | None = None
    """Branch, tag or commit of a hub repository; null: `main`. Only a full commit hash never changes."""
    arguments: dict = field(default_factory=dict)
    """Sizes of the part, as arguments of its diffusers or transformers config. Needed where `pretrained` is null; for a
    single file without a config.json beside it, empty means the sizes of Stable Diffusion 1."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(NetworkOptions):
    """The network: its options, its parts, and where their weights come from."""

    weights: str | None = None
    """Trained weights of the whole network to start from, in place of those of the parts: a released mimicbrush.bin, a
    training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, or asset:NAME. Sizes
    and options must still be given here."""
    imitative_unet: PartConfig = field(default_factory=PartConfig)
    """The imitative U-Net, which denoises the source. A pretrained one may have 4, 9 (Stable Diffusion inpainting) or
    13 input channels; without `pretrained` and `arguments` it starts as a copy of the reference U-Net."""
    reference_unet: PartConfig = field(default_factory=PartConfig)
    """The reference U-Net, which extracts features of the reference; 4 input channels."""
    autoencoder: PartConfig = field(default_factory=PartConfig)
    """The autoencoder (AutoencoderKL), which is never trained by train.py."""
    image_encoder: PartConfig = field(default_factory=PartConfig)
    """The CLIP vision model with projection, which makes the image tokens; never trained."""
    depth: PartConfig | None = None
    """The Depth Anything model, whose depth map is the shape map; null: the source's edges are used, which needs no
    weights."""
    conv_in: Literal["inherit", "random"] = "inherit"
    """First layer of the imitative U-Net. inherit: keep the pretrained input channels and start the new ones at zero;
    random: start all at random, as the authors did."""

    @property
    def options(self) -> NetworkOptions:
        """These options without the parts and their weights."""
        return NetworkOptions(**{field.name: getattr(self, field.name) for field in fields(NetworkOptions)})


def released_network() -> NetworkConfig:
    """The released network: Stable Diffusion 1.5 sizes, CLIP ViT-H/14, Depth Anything ViT-B.

    Parts that `mimicbrush.bin` holds are given by their sizes, the others by the repository they come from.
    """
    unet = {"sample_size": 64, "in_channels": 4, "cross_attention_dim": 768}
    clip = {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "projection_dim": 1024,
        "hidden_act": "gelu",
    }
    return NetworkConfig(
        imitative_unet=PartConfig(arguments=unet | {"in_channels": NUM_INPUT_CHANNELS}),
        reference_unet=PartConfig(arguments=unet),
        autoencoder=PartConfig(pretrained="stabilityai/sd-vae-ft-mse"),
        image_encoder=PartConfig(arguments=clip),
        depth=PartConfig(pretrained="LiheYoung/depth-anything-base-hf"),
    )


def full_size_network() -> NetworkConfig:
    """The released network's sizes with random weights: nothing is downloaded."""
    widths = [128, 256, 512, 512]
    autoencoder = {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": 2,
        "sample_size": 256,
    }
    backbone = {
        "model_type": "dinov2",
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 518,
        "patch_size": 14,
        "out_indices": [9, 10, 11, 12],
        "reshape_hidden_states": False,
        "apply_layernorm": True,
    }
    depth = {
        "backbone_config": backbone,
        "reassemble_hidden_size": 768,
        "neck_hidden_sizes": [96, 192, 384, 768],
        "fusion_hidden_size": 128,
    }
    return replace(released_network(), autoencoder=PartConfig(arguments=autoencoder), depth=PartConfig(arguments=depth))
