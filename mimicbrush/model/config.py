"""The network: its sizes and options, its parts, and where their weights come from."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from mimicbrush.errors import Faults

PredictionType = Literal["epsilon", "v_prediction"]
ReferenceTimestep = Literal["current", "zero"]
ReferenceProjections = Literal["imitative", "reference"]
DepthInput = Literal["released", "standard"]
NUM_INPUT_CHANNELS = 13
"""Noisy latent 4, mask 1, background latent 4, shape latent 4, in this order."""
MAX_STEPS = 1000
"""Sampling steps of the noise schedule; a sampler may allow fewer."""
MAX_GUIDANCE = 100
"""Far beyond what anyone uses: more gives pictures of noise."""


def check_sampling(*, num_inference_steps: int, guidance_scale: float, max_steps: int = MAX_STEPS) -> None:
    """Raise UserError, naming each number that is outside its limits."""
    faults = Faults()
    faults.check(
        1 <= num_inference_steps <= max_steps,
        f"num_inference_steps is {num_inference_steps}, expected 1 to {max_steps}",
    )
    faults.check(
        0 <= guidance_scale <= MAX_GUIDANCE, f"guidance_scale is {guidance_scale:g}, expected 0 to {MAX_GUIDANCE}"
    )
    faults.refuse()


@dataclass(frozen=True, kw_only=True)
class RecommendedSettings:
    """Settings of an edit that gives none itself. They are stored with the weights; training does not use them."""

    num_inference_steps: int = 50
    """Sampling steps; the release takes 50."""
    guidance_scale: float = 5.0
    """How strongly to follow the reference; the release takes 5, small networks do best with about 2."""

    def __post_init__(self) -> None:
        check_sampling(num_inference_steps=self.num_inference_steps, guidance_scale=self.guidance_scale)


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """How the parts meet; trained weights are of use only with the options they were trained with.

    Defaults follow the release; `configs/train/mimicbrush_paper.yaml` follows the paper where the two differ.
    """

    size: int = 512
    """Pixels of the square pictures the network works on."""
    depth_input: DepthInput = "released"
    """Normalisation of the depth model's input: the release's quirk, which its weights need, or the standard one."""
    shape_channels: tuple[int, ...] = (16, 32, 64, 128)
    """Widths of the shape projector; one more than the autoencoder's halvings."""
    shape_in_channels: Literal[1, 3] = 1
    """Channels in which the shape projector takes the one-channel shape map: 1 in the release, 3 in the paper."""
    reference_projections: ReferenceProjections = "imitative"
    """Whose to_k and to_v make keys and values of the reference's states: the imitative U-Net's (release), or the
    reference U-Net's own (the paper's equation 1), whose last used layer then keeps these two."""
    reference_blend: float = 0.5
    """Share of joint attention, the rest is plain self-attention: 0.5 in the release, 1.0 in the paper's equation 1."""
    use_image_tokens: bool = True
    """Whether cross-attention is told the reference's image tokens; false is an ablation: it is always told none."""
    reference_timestep: ReferenceTimestep = "current"
    """Timestep of the reference U-Net: each step's own, as in the release (the paper is silent), or zero; its features
    are then computed once per edit."""
    prediction_type: PredictionType = "epsilon"
    """What the imitative U-Net predicts: epsilon, the noise, as Stable Diffusion 1.5 and the release do; v_prediction,
    the velocity, which from random weights finds colours and shapes in far fewer steps."""
    recommended: RecommendedSettings = field(default_factory=RecommendedSettings)
    """Settings of an edit with these weights that gives none itself."""

    def __post_init__(self) -> None:
        if not 0 <= self.reference_blend <= 1:
            raise ValueError(f"reference_blend is {self.reference_blend}, expected 0 to 1")
        if self.size <= 0:
            raise ValueError(f"size is {self.size}, expected a positive multiple of the autoencoder's stride")


@dataclass(frozen=True, kw_only=True)
class PartConfig:
    """One pretrained part, or the sizes of a random one."""

    pretrained: str | None = None
    """Hub repository, local folder, `asset:NAME` for weights shipped with this package, or, for the U-Nets and the
    autoencoder, a single Stable Diffusion file (.ckpt, .safetensors); null: random weights."""
    subfolder: str | None = None
    """Folder of the part inside `pretrained`, for instance `unet`."""
    variant: str | None = None
    """Variant of the files of weights, for instance `fp16` or `non_ema`; null: the plain ones, or the only variant."""
    revision: str | None = None
    """Branch, tag or commit of a hub repository; null: `main`. Only a full commit hash stays the same for ever."""
    arguments: dict = field(default_factory=dict)
    """Sizes, where `pretrained` is null or a single file without a config.json beside it: the arguments of the part's
    diffusers or transformers config; of a single file, empty means those of Stable Diffusion 1."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(NetworkOptions):
    """The parts of the network, where their weights come from, and how they meet."""

    weights: str | None = None
    """Trained weights to start from, in place of the parts' own: a released mimicbrush.bin, a training run, a folder or
    hub repository made by `python -m mimicbrush.model.weights convert`, or asset:NAME for what comes with this package.
    Sizes and options stay those given here."""
    imitative_unet: PartConfig = field(default_factory=PartConfig)
    """4, 9 or 13 input channels; 9 are read as Stable Diffusion inpainting's. Random weights start as the reference's,
    as two U-Nets of one family do."""
    reference_unet: PartConfig = field(default_factory=PartConfig)
    """4 input channels."""
    autoencoder: PartConfig = field(default_factory=PartConfig)
    """AutoencoderKL; never trained here."""
    image_encoder: PartConfig = field(default_factory=PartConfig)
    """CLIP vision model with projection; never trained here."""
    depth: PartConfig | None = None
    """Depth Anything; null: the shape map is made of the source's edges, which needs no weights."""
    conv_in: Literal["inherit", "random"] = "inherit"
    """First layer of the imitative U-Net: keep pretrained input channels and zero the new ones, or start at random, as
    the authors did."""

    @property
    def options(self) -> NetworkOptions:
        """How the parts meet, without where they come from."""
        return NetworkOptions(**{field.name: getattr(self, field.name) for field in fields(NetworkOptions)})


def released_network() -> NetworkConfig:
    """The release's: Stable Diffusion 1.5 sizes, CLIP ViT-H/14, Depth Anything ViT-B.

    Sizes of what `mimicbrush.bin` holds, sources of what it does not.
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
    """The release's sizes, all from arguments: random weights, nothing is fetched."""
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
