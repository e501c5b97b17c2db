"""A training run: what it trains on, how the network learns, how long, where, and what is recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.data.config import AugmentConfig, DataConfig
from mimicbrush.errors import Faults
from mimicbrush.model.config import NetworkConfig

OptimizerName = Literal["adamw", "adamw8bit"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
FrozenPrecision = Literal["float32", "bfloat16", "float16"]
ReferenceGradient = Literal["full", "detached"]
ClockKind = Literal["wall", "cpu"]


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """How the network learns (paper, section 4.1)."""

    learning_rate: float = 1e-5
    """Peak learning rate of AdamW."""
    warmup_steps: int = 500
    """Steps over which the learning rate rises from 0; it is constant from then on."""
    cooldown_steps: int = 0
    """Last steps, over which the learning rate falls to 0; the paper says nothing of one."""
    weight_decay: float = 0.0
    """AdamW's weight decay; at 0 it is Adam, which the paper names."""
    mask_weight: float = 1.0
    """Loss weight of the masked latent positions relative to the others; the authors use 1."""
    matching_weight: float = 0.0
    """Loss weight of joint attention's distance from matched keypoints and, in stills, from matched points. Ours; for
    U-Nets of random weights, which else find no matching place for thousands of steps. 0: none, as in the paper."""
    min_snr_gamma: float = 0.0
    """Min-SNR loss weights (arXiv 2303.09556), which weaken timesteps whose signal-to-noise ratio exceeds gamma; that
    paper uses 5. 0: all timesteps weigh the same, as in the MimicBrush paper. Recorded losses are never weighted."""
    reference_drop_prob: float = 0.1
    """Chance that a sample trains without its reference, tokens and features together, for classifier-free guidance
    (paper, 4.1)."""
    shape_drop_prob: float = 0.5
    """Chance that a sample trains without its source's shape map (paper, 3.2)."""
    train_reference: bool = False
    """Train the reference U-Net too; by default it stays as it was loaded."""
    reference_gradient: ReferenceGradient = "full"
    """Gradient of the image projector, whose tokens enter the cross-attention of both U-Nets: full, or detached, which
    leaves out the path through the reference U-Net and spares the backward pass of a frozen one."""
    imitative_lora: int = 0
    """Rank of the adapters (LoRA) trained in place of the imitative U-Net, whose first layer is trained beside them;
    0: all of it is trained."""
    reference_lora: int = 0
    """Rank of the adapters (LoRA) trained beside a frozen reference U-Net; 0: none."""
    optimizer: OptimizerName = "adamw"
    """adamw8bit keeps its moments in a quarter of the memory; it needs bitsandbytes (`lowmem` in pyproject.toml)."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.learning_rate <= 0:
            faults.add(f"learning_rate is {self.learning_rate}, expected a positive number")
        if self.warmup_steps < 0 or self.cooldown_steps < 0:
            faults.add("warmup_steps and cooldown_steps must be at least 0")
        for name in ("imitative_lora", "reference_lora"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}, expected a rank, or 0 for no adapters")
        if self.train_reference and self.reference_lora:
            faults.add("train_reference trains the whole reference U-Net, reference_lora adapters alone; unset one")
        if self.matching_weight < 0:
            faults.add(f"matching_weight is {self.matching_weight}, expected at least 0")
        if self.min_snr_gamma < 0:
            faults.add(f"min_snr_gamma is {self.min_snr_gamma}, expected a positive number, or 0 for equal weights")
        if self.mask_weight <= 0:
            faults.add(f"mask_weight is {self.mask_weight}, expected a positive number")
        for name in ("reference_drop_prob", "shape_drop_prob"):
            if not 0 <= getattr(self, name) <= 1:
                faults.add(f"{name} is {getattr(self, name)}, expected a probability")
        faults.refuse()

    def learning_rate_factor(self, step: int, max_steps: int) -> float:
        """What the learning rate is multiplied by at this step, counted from 0."""
        rising = (step + 1) / max(1, self.warmup_steps)
        falling = max(max_steps - step, 0) / self.cooldown_steps if self.cooldown_steps else 1.0
        return min(1.0, rising, falling)


MIN_LOSSES = 50
"""Steps after which a spike can be told from the loss's usual changes."""


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """What happens to a step whose loss or gradient is not finite, or whose loss is far above the last ones'."""

    gradient_clip: float = 1.0
    """Largest gradient norm; 0: gradients are not clipped."""
    spike_factor: float = 10.0
    """A loss so many times the median of the last ones is a spike; 0: none is."""
    spike_window: int = 200
    """How many last losses that median is of."""
    bad_step: Literal["skip", "stop"] = "skip"
    """Leave the weights as they were and go on, or end the run. Either way the batch is kept in `bad_steps`."""
    max_bad_steps: int = 10
    """Bad steps in a row after which the run ends all the same."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("gradient_clip", "spike_factor"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 0")
        if self.spike_window < MIN_LOSSES or self.max_bad_steps < 1:
            faults.add(f"spike_window must be at least {MIN_LOSSES}, max_bad_steps at least 1")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How long, where, and what is recorded on the way."""

    max_steps: int = 100_000
    """Optimiser steps."""
    samples_per_step: int | None = None
    """Samples whose gradients make one step, shared equally among all devices, each of which takes its share in equal
    batches of at most data.batch_size. null: devices x data.batch_size x accumulate."""
    accumulate: int | None = None
    """Batches whose gradients are summed for one step; null: as many as samples_per_step takes, without it 1."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """Clipping of gradients, and what happens to steps that would harm the weights."""
    precision: Precision = "bf16-mixed"
    """Lightning's precision."""
    frozen_precision: FrozenPrecision = "float32"
    """In which frozen weights are kept, and compute: in half precision they take half the memory. The depth model's
    stay in float32, as in the release."""
    accelerator: Literal["auto", "cpu", "cuda", "gpu", "mps"] = "auto"
    """Lightning's accelerator."""
    devices: int | Literal["auto"] = "auto"
    """Devices on each node; srun and torchrun say how many ranks there are themselves."""
    num_nodes: int = 1
    """Nodes; see devices."""
    ema_decay: float = 0.9999
    """Decay of the averaged weights that previews and edits use."""
    tf32: bool = True
    """Multiply float32 matrices in TensorFloat-32 on GPUs that can."""
    compile: bool = False
    """Compile both U-Nets (torch.compile): minutes at the start, faster steps after; previews run uncompiled."""
    gradient_checkpointing: bool = False
    """Compute activations of the trained U-Nets twice instead of keeping them: less memory, a tenth more operations."""
    channels_last: bool = True
    """Memory order of the convolutions, in which they are faster on CPUs, and on GPUs in half precision."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; the last two stay, so that a run can go on should the newest be damaged."""
    keep_checkpoint_every: int = 0
    """Steps between checkpoints that stay; 0: only the last two do."""
    record_every: int = 50
    """Steps between lines of metrics.csv."""
    preview_every: int = 1000
    """Steps between preview pictures; 0: none."""
    num_previews: int = 6
    """Held-out pairs on a preview."""
    preview_steps: int = 30
    """Sampling steps of a preview."""
    reference_use_every: int = 5000
    """Steps between measurements of reference use; 0: none."""
    num_reference_use_pairs: int = 128
    """Held-out pairs of that measurement."""
    heldout_loss_every: int = 1000
    """Steps between measurements of the held-out loss; checkpoints/best.ckpt is that of the lowest. 0: none."""
    num_heldout_loss_pairs: int = 64
    """Held-out pairs of that measurement, or as many as there are; with another number, the search for the
    lowest loss starts again."""
    patience: int | None = None
    """Training stops when the held-out loss has not fallen for so many measurements; null: never."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Whether wandb gets the records too; without an account, choose offline."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("samples_per_step", "accumulate"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 1, or null")
        counts = ("max_steps", "num_nodes", "checkpoint_every", "record_every", "preview_steps")
        for name in (*counts, "num_previews"):
            if getattr(self, name) < 1:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 1")
        for name in ("keep_checkpoint_every", "preview_every", "reference_use_every", "heldout_loss_every"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 0")
        other = {"bf16-mixed": "float16", "16-mixed": "bfloat16"}.get(self.precision)
        if self.frozen_precision == other:
            faults.add(f"frozen_precision is {other}, precision {self.precision}; make both the same half")
        if not 0 <= self.ema_decay < 1:
            faults.add(f"ema_decay is {self.ema_decay}, expected 0 to less than 1")
        for name in ("num_reference_use_pairs", "num_heldout_loss_pairs"):
            if getattr(self, name) < 2:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 2")
        if self.patience is not None and (self.patience < 1 or not self.heldout_loss_every):
            faults.add(
                f"patience is {self.patience}, heldout_loss_every {self.heldout_loss_every}; patience counts"
                " measurements of the held-out loss: both must be at least 1, or patience null"
            )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    output: Path
    """Folder of the run: checkpoints, config.yaml, metrics.csv, loss.png, previews."""
    seed: int = 0
    """Of random weights, data order, masks, augmentations and noise."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """The two U-Nets and what is around them."""
    data: DataConfig
    """Shards and batches."""
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """How the network learns."""
    run: RunConfig = field(default_factory=RunConfig)
    """How long, where, and what is recorded."""
    overfit: bool = False
    """Train on the first batch alone, again and again: a network that cannot learn it by heart learns nothing."""
    check: bool = False
    """Train nothing: examine data, network and machine, say all that was found, and leave pictures in output/check."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.run.patience is not None and self.data.heldout is None:
            faults.add("run.patience needs held-out pairs; give data.heldout, or set run.patience to null")
        has_adapters = self.recipe.imitative_lora or self.recipe.reference_lora
        if has_adapters and self.run.frozen_precision != "float32" and self.run.precision == "32-true":
            faults.add(
                f"run.frozen_precision is {self.run.frozen_precision}, in which adapters train under autocast only; set"
                " run.precision to bf16-mixed or 16-mixed"
            )
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """A small AutoencoderKL trained on crops of shards' pictures."""

    output: Path
    """Folder of the finished autoencoder, in diffusers' layout."""
    shards: list[Path]
    """Folders of shards to learn from."""
    heldout: Path
    """Folder of shards to judge the reconstruction on."""
    arguments: dict
    """Sizes: arguments of diffusers' AutoencoderKL."""
    start: str | None = None
    """A folder in diffusers' layout to go on from, instead of random weights."""
    colours: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(brightness=0.3, contrast=0.3, saturation=0.9, hue=0.5, colour_prob=0.7)
    )
    """Colour changes of the crops: a few pictures' colours are not all colours. Its geometry is not used."""
    crop: int = 64
    """Pixels of a square training crop."""
    judged_size: int = 128
    """Pixels of the square pictures that the reconstruction is judged on."""
    min_scale: float = 0.3
    """Smallest resize of a picture before it is cropped; the largest is 1."""
    batch_size: int = 16
    """Crops a step."""
    max_steps: int = 5000
    """Optimiser steps."""
    learning_rate: float = 2e-3
    """Peak of a one-cycle schedule of AdamW."""
    gradient_weight: float = 0.5
    """Weight of the difference of image gradients, which keeps edges sharp."""
    kl_weight: float = 1e-6
    """Weight of the latent's divergence from a standard normal distribution."""
    seed: int = 0
    """Of weights and data order."""

    def __post_init__(self) -> None:
        if not 0 < self.min_scale <= 1:
            raise ValueError(f"min_scale is {self.min_scale}, expected more than 0, at most 1")
