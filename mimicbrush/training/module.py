"""One training step, read aloud: augment, condition, drop some references, add noise, predict, compare."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning import LightningModule
from torch import Tensor, nn

from mimicbrush.data.batch import BatchConfig, PairBatch, augment_and_mask
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.sampling import make_scheduler, prediction_target
from mimicbrush.training.loss import prediction_loss


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
    """AdamW's weight decay."""
    mask_weight: float = 1.0
    """Loss weight of the masked latent positions relative to the others; the authors use 1."""
    reference_drop_prob: float = 0.1
    """Chance that a sample trains without its reference, tokens and features together, for classifier-free guidance
    (paper, 4.1)."""
    shape_drop_prob: float = 0.5
    """Chance that a sample trains without its source's shape map (paper, 3.2)."""
    train_reference: bool = False
    """Train the reference U-Net too; by default it stays as it was loaded."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}, expected a positive number")
        if self.warmup_steps < 0 or self.cooldown_steps < 0:
            raise ValueError("warmup_steps and cooldown_steps must be at least 0")
        for name in ("reference_drop_prob", "shape_drop_prob"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected a probability")


class MimicBrushModule(LightningModule):
    """Trains the imitative U-Net and the projections (and the reference U-Net, where asked to).

    fetchable_parts: parts of the network that can be fetched again: checkpoints leave out those that are frozen.
    """

    def __init__(
        self,
        network: MimicBrushNetwork,
        recipe: RecipeConfig,
        batch: BatchConfig,
        *,
        max_steps: int,
        seed: int,
        fetchable_parts: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.batch = batch
        self.max_steps = max_steps
        self.seed = seed
        self.scheduler = make_scheduler(network.options.prediction_type)
        # Checkpoints leave out what can be fetched again, so a resumed run finds fewer tensors than it has.
        self.strict_loading = False
        network.reference_unet.requires_grad_(recipe.train_reference)
        self.left_out = tuple(name for name in fetchable_parts if not trained_parameters(getattr(network, name)))

    def training_step(self, pairs: PairBatch, batch_idx: int) -> Tensor:
        generator = self._generator(batch_idx)
        batch = augment_and_mask(pairs, self.batch, generator)
        latent = self.network.encode(batch.source, generator)
        keep_shape = self._draw_kept(len(latent), self.recipe.shape_drop_prob, generator)
        keep_reference = self._draw_kept(len(latent), self.recipe.reference_drop_prob, generator)
        conditions = self.network.condition(batch.source, batch.mask, batch.reference, keep_shape, generator)
        conditions = self._drop_tokens(conditions, keep_reference)
        timestep, noise = self._draw_noise(latent, generator)
        noisy = self.scheduler.add_noise(latent, noise, timestep)
        reference = self.network.reference_features(conditions.reference_latent, timestep, conditions.image_tokens)
        prediction = self.network.predict(noisy, timestep, conditions, reference, keep_reference=keep_reference)
        target = prediction_target(self.scheduler, latent, noise, timestep)
        parts = prediction_loss(prediction, target, conditions.mask, mask_weight=self.recipe.mask_weight)
        self.log_dict({"loss": parts.loss, "loss_inside": parts.inside, "loss_outside": parts.outside}, logger=False)
        return parts.loss

    def configure_optimizers(self) -> dict:
        trained = list(trained_parameters(self).values())
        optimizer = torch.optim.AdamW(
            trained, lr=self.recipe.learning_rate, weight_decay=self.recipe.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        tensors = checkpoint["state_dict"]
        checkpoint["state_dict"] = {
            name: tensor for name, tensor in tensors.items() if name.split(".")[1] not in self.left_out
        }

    def _learning_rate_factor(self, step: int) -> float:
        rising = (step + 1) / max(1, self.recipe.warmup_steps)
        falling = (self.max_steps - step) / max(1, self.recipe.cooldown_steps)
        return min(1.0, rising, max(falling, 0.0)) if self.recipe.cooldown_steps else min(1.0, rising)

    def _generator(self, batch_idx: int) -> torch.Generator:
        """What a batch draws depends on the seed, the step, its place among the step's batches, and the rank alone."""
        place = batch_idx % self.trainer.accumulate_grad_batches
        seed = ((self.seed * 1_000_003 + self.global_step) * 257 + place) * 4_099 + self.global_rank
        return torch.Generator().manual_seed(seed % 2**63)

    def _draw_kept(self, num: int, drop_prob: float, generator: torch.Generator) -> Tensor:
        """(num,) bool, drawn for each sample on its own."""
        return (torch.rand(num, generator=generator) >= drop_prob).to(self.device)

    def _drop_tokens(self, conditions: Conditions, keep: Tensor) -> Conditions:
        absent = self.network.absent_tokens()
        return conditions._replace(image_tokens=torch.where(keep[:, None, None], conditions.image_tokens, absent))

    def _draw_noise(self, latent: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        num_timesteps = self.scheduler.config.num_train_timesteps
        timestep = torch.randint(num_timesteps, (len(latent),), generator=generator).to(self.device)
        return timestep, torch.randn(latent.shape, generator=generator).to(latent)


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """By name, those that the optimiser changes."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
