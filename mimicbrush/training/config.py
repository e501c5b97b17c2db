"""Configuration of a training run: data, network, recipe, length, hardware and records."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mimicbrush.data.config import DataConfig
from mimicbrush.diffusion.config import DDIM, MAX_GUIDANCE, MAX_STEPS
from mimicbrush.errors import Faults
from mimicbrush.model.config import NetworkConfig

OptimizerName = Literal["adamw", "adamw8bit", "muon"]
TrainPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]
FrozenPrecision = Literal["float32", "bfloat16", "float16"]
ReferenceGradient = Literal["full", "detached"]
ClockKind = Literal["wall", "cpu"]


@dataclass(frozen=True, kw_only=True)
class FewStepsConfig:
    """Distillation of trained weights into adapters with which they edit in few steps, without guidance."""

    guidance_scale: float = 2.0
    """Guidance of the teacher; with the adapters, the weights edit as they do with this guidance."""
    teacher_steps: int = 2
    """Steps that the teacher takes in place of each step of the student."""
    huber_width: float = 0.001
    """Width of the pseudo-Huber loss, below which it is quadratic; 0: the squared error."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 1 <= self.guidance_scale <= MAX_GUIDANCE:
            faults.add(f"guidance_scale is {self.guidance_scale:g}, expected 1 to {MAX_GUIDANCE}")
        if self.teacher_steps < 1:
            faults.add(f"teacher_steps is {self.teacher_steps}, expected at least 1")
        if not 0 <= self.huber_width < math.inf:
            faults.add(f"huber_width is {self.huber_width:g}, expected a positive number, or 0 for the squared error")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """Learning rate, losses, and the parts that are trained (paper, section 4.1)."""

    learning_rate: float = 1e-5
    """Peak learning rate of AdamW."""
    warmup_steps: int = 500
    """Steps over which the learning rate rises linearly from 0; then it stays constant."""
    cooldown_steps: int = 0
    """Last steps of the run, over which the learning rate falls linearly to 0; 0: none, as in the paper."""
    weight_decay: float = 0.0
    """Weight decay of AdamW; at 0 it is plain Adam, as in the paper."""
    mask_weight: float = 1.0
    """Loss weight of masked latent positions relative to the others; the authors use 1."""
    matching_weight: float = 0.0
    """Weight of an additional loss, not in the paper, that draws attention in the reference to the matching points. It
    helps U-Nets with random weights, which otherwise find no matches for thousands of steps. 0: none."""
    min_snr_gamma: float = 0.0
    """Gamma of Min-SNR loss weights (arXiv 2303.09556, which uses 5): less weight for timesteps with a higher
    signal-to-noise ratio. 0: equal weights, as in the MimicBrush paper. Recorded losses are never weighted."""
    reference_drop_prob: float = 0.1
    """Probability that a sample trains without its reference, for classifier-free guidance (paper, 4.1)."""
    shape_drop_prob: float = 0.5
    """Probability that a sample trains without its source's shape map (paper, 3.2)."""
    train_reference: bool = False
    """Train the reference U-Net too; false: it keeps the weights it was loaded with."""
    reference_gradient: ReferenceGradient = "full"
    """Gradient of the image projector, whose tokens enter both U-Nets. full: through both; detached: not through the
    reference U-Net, which saves its backward pass where it is not trained."""
    imitative_lora: int = 0
    """Rank of adapters (LoRA) that are trained in place of the imitative U-Net, together with its first layer; 0: train
    all of the U-Net."""
    reference_lora: int = 0
    """Rank of adapters (LoRA) that are trained on the frozen reference U-Net; 0: none."""
    few_steps: FewStepsConfig | None = None
    """Distil the network into its adapters (imitative_lora), so that it edits in few steps without guidance; null:
    train as the paper does."""
    optimizer: OptimizerName = "adamw"
    """adamw8bit keeps optimiser states in a quarter of the memory; it needs bitsandbytes (extra `lowmem` in
    pyproject.toml). muon updates matrices and convolutions by Muon and the rest by AdamW, at the same learning rate."""

    def __post_init__(self) -> None:
        faults = Faults()
        if not 0 < self.learning_rate < math.inf:
            faults.add(f"learning_rate is {self.learning_rate}, expected a positive number")
        for name in ("warmup_steps", "cooldown_steps"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 0")
        for name in ("imitative_lora", "reference_lora"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}, expected a rank, or 0 for no adapters")
        if self.train_reference and self.reference_lora:
            faults.add("train_reference trains the whole reference U-Net, reference_lora adapters alone; unset one")
        if self.few_steps is not None:
            self._check_few_steps(faults)
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

    def _check_few_steps(self, faults: Faults) -> None:
        if not self.imitative_lora:
            faults.add("imitative_lora is 0, but few_steps trains adapters; give their rank, 16 for instance")
        others = ("train_reference", "reference_lora", "matching_weight", "min_snr_gamma", "reference_drop_prob")
        if given := [name for name in others if getattr(self, name)]:
            faults.add(
                f"{', '.join(given)}: not for few_steps, which trains adapters of the imitative U-Net with every"
                " reference; set to 0 or false"
            )

    def learning_rate_factor(self, step: int, max_steps: int) -> float:
        """Factor on the learning rate at this step, counted from 0."""
        rising = (step + 1) / max(1, self.warmup_steps)
        falling = max(max_steps - step, 0) / self.cooldown_steps if self.cooldown_steps else 1.0
        return min(1.0, rising, falling)


MIN_LOSSES = 50
"""Smallest number of losses for a median; in earlier steps no loss counts as a spike."""


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """Gradient clipping, and the handling of steps whose loss or gradient is not finite, or whose loss is a spike."""

    gradient_clip: float = 1.0
    """Largest norm of the gradient, which is clipped to it; 0: no clipping."""
    spike_factor: float = 10.0
    """A loss above this many times the median of the last losses counts as a spike; 0: no spikes."""
    spike_window: int = 200
    """Number of last losses that the median for spike_factor is taken over."""
    bad_step: Literal["skip", "stop"] = "skip"
    """Handling of a bad step, one with a spike or a value that is not finite. skip: leave the weights unchanged and
    continue; stop: end the run. Either way the batch is kept in `bad_steps`."""
    max_bad_steps: int = 10
    """End the run after this many bad steps in a row, even with bad_step skip."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name in ("gradient_clip", "spike_factor"):
            if getattr(self, name) < 0:
                faults.add(f"{name} is {getattr(self, name)}, expected at least 0")
        for name, least in (("spike_window", MIN_LOSSES), ("max_bad_steps", 1)):
            if getattr(self, name) < least:
                faults.add(f"{name} is {getattr(self, name)}, expected at least {least}")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Length of training, hardware, precision, checkpoints and records."""

    max_steps: int = 100_000
    """Length of the training run in optimiser steps."""
    samples_per_step: int | None = None
    """Total batch size of an optimiser step, shared equally by all devices; each splits its share into equal batches of
    at most data.batch_size. null: devices x data.batch_size x accumulate."""
    accumulate: int | None = None
    """Batches whose gradients are summed for one optimiser step; null: as many as samples_per_step needs, or 1."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """Gradient clipping, and the handling of steps that would harm the weights."""
    precision: TrainPrecision = "bf16-mixed"
    """Precision of training, as Lightning names it; bf16-mixed and 16-mixed compute in half precision and keep the
    weights in float32."""
    frozen_precision: FrozenPrecision = "float32"
    """Precision in which frozen parts are kept and computed; half precision takes half the memory. The depth model
    always stays in float32, as in the release."""
    accelerator: Literal["auto", "cpu", "cuda", "gpu", "mps"] = "auto"
    """Hardware to train on, as Lightning names it; auto takes a GPU if there is one."""
    devices: int | Literal["auto"] = "auto"
    """Number of GPUs (or CPU processes) on each node; srun and torchrun set it themselves."""
    num_nodes: int = 1
    """Number of nodes; srun and torchrun set it themselves."""
    ema_decay: float = 0.9999
    """Decay per step of the averaged weights (EMA), which previews and edits use; 0 to less than 1."""
    tf32: bool = True
    """Multiply float32 matrices in TensorFloat-32 on GPUs that support it: faster, slightly less precise."""
    compile: bool = False
    """Compile both U-Nets (torch.compile): minutes at the start, faster steps after. Previews run uncompiled."""
    gradient_checkpointing: bool = False
    """Compute activations of the trained U-Nets twice instead of keeping them: less memory, about a tenth more
    operations."""
    channels_last: bool = True
    """Store convolutions channels last, which is faster on CPUs, and on GPUs in half precision."""
    checkpoint_every: int = 1000
    """Steps between checkpoints. The last two are kept, so that the run can resume if the newest is damaged."""
    keep_checkpoint_every: int = 0
    """Steps between additional checkpoints that are never deleted; 0: none."""
    record_every: int = 50
    """Steps between rows of metrics.csv."""
    preview_every: int = 1000
    """Steps between preview pictures; 0: none."""
    num_previews: int = 6
    """Number of held-out pairs in a preview picture."""
    preview_steps: int = 30
    """Sampling steps of the edits in a preview."""
    reference_use_every: int = 5000
    """Steps between measurements of how much the network uses its reference; 0: none."""
    num_reference_use_pairs: int = 128
    """Number of held-out pairs for the measurement of reference use."""
    heldout_loss_every: int = 1000
    """Steps between measurements of the held-out loss; the lowest is kept as checkpoints/best.ckpt. 0: none."""
    num_heldout_loss_pairs: int = 64
    """Largest number of held-out pairs for the held-out loss. If it changes when a run resumes, the search for the
    lowest loss starts again."""
    patience: int | None = None
    """Stop training after this many measurements without a lower held-out loss; null: never."""
    wandb: Literal["off", "offline", "online"] = "off"
    """Send records to Weights & Biases as well; offline stores them locally and needs no account."""

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
    """Train a MimicBrush network on shards."""

    output: Path
    """Folder of the run: checkpoints, config.yaml, metrics.csv, loss.png and previews. Running the same command
    again resumes the run."""
    seed: int = 0
    """Seed for random weights, data order, masks, augmentations and noise."""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Sizes and options of the network, and where the weights of its parts come from."""
    data: DataConfig
    """The shards to train on, and how batches are made of them."""
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    """Learning rate, losses, and the parts that are trained (paper, section 4.1)."""
    run: RunConfig = field(default_factory=RunConfig)
    """Length of training, hardware, precision, checkpoints and records."""
    overfit: bool = False
    """Train on the first batch only, as a test: a network that cannot learn one batch by heart has a fault."""
    check: bool = False
    """Do not train: check data, network and machine, print all findings, and write pictures to output/check."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.run.patience is not None and self.data.heldout is None:
            faults.add("run.patience needs held-out pairs; give data.heldout, or set run.patience to null")
        if self.recipe.few_steps is not None:
            self._check_few_steps(faults)
        has_adapters = self.recipe.imitative_lora or self.recipe.reference_lora
        if has_adapters and self.run.frozen_precision != "float32" and self.run.precision == "32-true":
            faults.add(
                f"run.frozen_precision is {self.run.frozen_precision}, in which adapters train under autocast only; set"
                " run.precision to bf16-mixed or 16-mixed"
            )
        faults.refuse()

    def _check_few_steps(self, faults: Faults) -> None:
        if self.network.weights is None:
            faults.add("network.weights is null, but recipe.few_steps distils trained weights; name them")
        recommended = self.network.recommended
        sampler = recommended.scheduler, recommended.timestep_spacing
        if sampler != (DDIM, "trailing") or recommended.guidance_scale > 1:
            faults.add(
                f"network.recommended has {' '.join(sampler)} and guidance_scale {recommended.guidance_scale:g}, with"
                f" which distilled weights cannot edit; set scheduler to {DDIM}, timestep_spacing to trailing,"
                " guidance_scale to 1, and num_inference_steps to 4 for instance"
            )
        parts = recommended.num_inference_steps * self.recipe.few_steps.teacher_steps
        if parts > MAX_STEPS:
            faults.add(
                f"network.recommended.num_inference_steps times recipe.few_steps.teacher_steps is {parts}, expected at"
                f" most {MAX_STEPS}"
            )
