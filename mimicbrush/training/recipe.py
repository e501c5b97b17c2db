"""How the network learns (paper, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mimicbrush.training.optimizer import OptimizerName

ReferenceGradient = Literal["full", "detached"]


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
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}, expected a positive number")
        if self.warmup_steps < 0 or self.cooldown_steps < 0:
            raise ValueError("warmup_steps and cooldown_steps must be at least 0")
        for name in ("imitative_lora", "reference_lora"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a rank, or 0 for no adapters")
        if self.train_reference and self.reference_lora:
            raise ValueError(
                "train_reference trains the whole reference U-Net, reference_lora adapters alone; unset one"
            )
        if self.matching_weight < 0:
            raise ValueError(f"matching_weight is {self.matching_weight}, expected at least 0")
        if self.min_snr_gamma < 0:
            raise ValueError(
                f"min_snr_gamma is {self.min_snr_gamma}, expected a positive number, or 0 for equal weights"
            )
        if self.mask_weight <= 0:
            raise ValueError(f"mask_weight is {self.mask_weight}, expected a positive number")
        for name in ("reference_drop_prob", "shape_drop_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a probability")

    def learning_rate_factor(self, step: int, max_steps: int) -> float:
        """What the learning rate is multiplied by at this step, counted from 0."""
        rising = (step + 1) / max(1, self.warmup_steps)
        falling = max(max_steps - step, 0) / self.cooldown_steps if self.cooldown_steps else 1.0
        return min(1.0, rising, falling)
