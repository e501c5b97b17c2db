"""One training step: augment, condition, drop some references, add noise, predict, compare."""

from __future__ import annotations

import math

import torch
from lightning import LightningModule
from torch import Tensor

from mimicbrush.data.batch import InpaintingBatch, augment_and_mask
from mimicbrush.data.config import BatchConfig
from mimicbrush.data.decode import PairBatch
from mimicbrush.device import send
from mimicbrush.diffusion.schedulers import make_scheduler, prediction_target
from mimicbrush.model.network import Conditions, MimicBrushNetwork
from mimicbrush.model.reference_attention import CapturedStates, ReferenceFeatures
from mimicbrush.model.weights.digests import tensor_digests
from mimicbrush.seeds import seed_of
from mimicbrush.training.config import RecipeConfig
from mimicbrush.training.loss import prediction_loss, weighted_mean
from mimicbrush.training.matching import MatchingLoss, matching_loss
from mimicbrush.training.optimizer import make_optimizer
from mimicbrush.training.trainable import choose_trained, fetchable_tensors, trained_parameters


class MimicBrushModule(LightningModule):
    """Trains the projections, and each U-Net wholly, by adapters or not at all, as the recipe says.

    All random numbers of a step depend on the seed, the step and the batch's positions alone, not on ranks, workers or
    earlier steps. fetchable_parts: parts that can be fetched again; checkpoints leave out their frozen tensors.
    """

    heldout_loss = None
    """Loss of held-out pairs (`LatentLoss`) in place of that of the predicted noise or velocity."""

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
        self.flops_per_image: float | None = None
        """FLOPs of one image in a training step; None until they are counted."""
        self.reference_gradient = recipe.reference_gradient
        """The recipe's value; in a resumed run, the value that the run was started with."""
        self.scheduler = make_scheduler(network.options.prediction_type)
        # Checkpoints leave out tensors that can be fetched again.
        self.strict_loading = False
        choose_trained(network, recipe, seed=seed)
        self.left_out = fetchable_tensors(network, fetchable_parts)
        self.left_out_digests: dict[str, str] = {}

    def setup(self, stage: str) -> None:
        # Once, because they are frozen; here, still on the CPU, so that the first checkpoint is not delayed.
        tensors = self.network.state_dict()
        self.left_out_digests = tensor_digests({name: tensors[name] for name in sorted(self.left_out)})

    def training_step(self, pairs: PairBatch, batch_idx: int) -> dict[str, Tensor]:
        """Compute `loss` and, (B,) each, `timestep` and the recorded losses `whole`, `inside`, `outside`, `matching`.

        Recorded losses are not weighted, so that runs with different weights can be compared.
        """
        batch = self.draw_batch(pairs)
        generator = self._generator("noise", self.global_step, *pairs.position[:1])
        latent = self.network.encode(batch.source, generator)
        keep_shape = self._draw_kept(len(latent), self.recipe.shape_drop_prob, generator)
        keep_reference = send(self._draw_kept(len(latent), self.recipe.reference_drop_prob, generator), self.device)
        conditions = self.network.condition(batch.source, batch.mask, batch.reference, keep_shape, generator)
        conditions = self._drop_tokens(conditions, keep_reference)
        timestep, noise = self._draw_noise(latent, generator)
        noisy = self.scheduler.add_noise(latent, noise, timestep)
        reference = self._reference_features(conditions, timestep)
        queries = CapturedStates() if self.recipe.matching_weight else None
        prediction = self.network.predict(
            noisy, timestep, conditions, reference, keep_reference=keep_reference, queries=queries
        )
        target = prediction_target(self.scheduler, latent, noise, timestep)
        losses = prediction_loss(prediction, target, conditions.mask, mask_weight=self.recipe.mask_weight)
        mean = weighted_mean(losses.whole, self.scheduler, timestep, min_snr_gamma=self.recipe.min_snr_gamma)
        matching = self._matching(queries, reference, batch.matches, keep_reference)
        return {
            "loss": mean + self.recipe.matching_weight * matching.mean,
            "whole": losses.whole.detach(),
            "inside": losses.inside,
            "outside": losses.outside,
            "matching": matching.each,
            "timestep": timestep,
        }

    def draw_batch(self, pairs: PairBatch) -> InpaintingBatch:
        """Draw augmentations and masks, the same for the same positions."""
        return augment_and_mask(pairs, self.batch, self._generator("batch", *pairs.position[:1]))

    def configure_optimizers(self) -> dict:
        optimizer = make_optimizer(trained_parameters(self).values(), self.recipe)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: self.recipe.learning_rate_factor(step, self.max_steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        tensors = checkpoint["state_dict"]
        checkpoint["state_dict"] = {
            name: tensor for name, tensor in tensors.items() if name.removeprefix("network.") not in self.left_out
        }
        checkpoint["left_out"] = self.left_out_digests
        checkpoint["reference_gradient"] = self.reference_gradient

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        # Older runs do not record it: they detached the tokens of a frozen reference U-Net, but not of a trained one.
        unrecorded = "full" if trained_parameters(self.network.reference_unet) else "detached"
        self.reference_gradient = checkpoint.get("reference_gradient", unrecorded)
        if self.reference_gradient != self.recipe.reference_gradient:
            self.print(
                f"recipe.reference_gradient stays {self.reference_gradient}, with which this run was started; for"
                f" {self.recipe.reference_gradient}, start another from its weights: --network.weights RUN --output NEW"
            )

    def _generator(self, purpose: str, *keys: int) -> torch.Generator:
        """Make a generator on the CPU, where the same seed gives the same numbers for every device."""
        return torch.Generator().manual_seed(seed_of(self.seed, purpose, *keys))

    def _draw_kept(self, num: int, drop_prob: float, generator: torch.Generator) -> Tensor:
        """Draw for each sample whether its condition is kept: (num,) bool on the CPU."""
        return torch.rand(num, generator=generator) >= drop_prob

    def _drop_tokens(self, conditions: Conditions, keep: Tensor) -> Conditions:
        absent = self.network.absent_tokens()
        return conditions._replace(image_tokens=torch.where(keep[:, None, None], conditions.image_tokens, absent))

    def _reference_features(self, conditions: Conditions, timestep: Tensor) -> ReferenceFeatures:
        tokens = conditions.image_tokens
        if self.reference_gradient == "detached":
            tokens = tokens.detach()
        return self.network.reference_features(conditions.reference_latent, timestep, tokens)

    def _matching(
        self, queries: CapturedStates | None, reference: ReferenceFeatures, matches: Tensor, keep: Tensor
    ) -> MatchingLoss:
        """Compute the matching loss of samples with a reference; nothing is computed if it has no weight."""
        if queries is None:
            unknown = torch.full(keep.shape, math.nan, device=keep.device)
            return MatchingLoss(mean=torch.zeros((), device=keep.device), each=unknown)
        matches = torch.where(keep[:, None, None], send(matches, self.device), math.nan)
        return matching_loss(queries.states, reference, matches)

    def _draw_noise(self, latent: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        num_timesteps = self.scheduler.config.num_train_timesteps
        timestep = torch.randint(num_timesteps, (len(latent),), generator=generator)
        noise = torch.randn(latent.shape, generator=generator)
        return send(timestep, self.device), send(noise, self.device)
