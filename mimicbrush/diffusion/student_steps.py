"""Steps of a student that is distilled for few steps, and the smaller steps that its teacher takes in their place.

Progressive distillation (arXiv 2202.00512): the student's step leads where several of the teacher's lead. All steps are
DDIM's, without fresh noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mimicbrush.diffusion.config import DDIM, PredictionType
from mimicbrush.diffusion.ddim import DdimStep, noise_of
from mimicbrush.diffusion.schedulers import make_scheduler, set_timesteps


class StudentSteps:
    """The steps that DDIMScheduler takes with trailing spacing, numbered from the noisiest one, 0.

    Latents are (B, C, h, w); numbers of steps and timesteps are (B,), so that rows may be at different steps. All of
    them are on `device`; None: the CPU.
    """

    def __init__(self, prediction_type: PredictionType, num_steps: int, device: torch.device | None = None) -> None:
        self.prediction_type = prediction_type
        scheduler = make_scheduler(prediction_type, DDIM, timestep_spacing="trailing")
        set_timesteps(scheduler, num_steps)
        self.timesteps = scheduler.timesteps.to(device)
        """Timestep of the noisier end of each step."""
        self.ends = (self.timesteps - scheduler.config.num_train_timesteps // num_steps).clamp(min=-1)
        """Timestep to which each step leads; -1 is the end of the path, with the least noise of the schedule."""
        # The entry before timestep 0 is the end's.
        self.alphas = torch.cat([scheduler.final_alpha_cumprod.view(1), scheduler.alphas_cumprod]).to(device)

    def __len__(self) -> int:
        return len(self.timesteps)

    def part(self, number: Tensor, index: int, num_parts: int) -> tuple[Tensor, Tensor]:
        """Divide these steps into `num_parts`: the timesteps between which each one's part `index` leads."""
        start, end = self.timesteps[number], self.ends[number]
        return start - (start - end) * index // num_parts, start - (start - end) * (index + 1) // num_parts

    def take(self, prediction: Tensor, noisy: Tensor, timestep: Tensor, reached: Tensor) -> Tensor:
        """Step from these timesteps to those with a network's prediction, in float32."""
        alpha, previous = (self.alphas[each + 1].view(-1, 1, 1, 1) for each in (timestep, reached))
        step = DdimStep(timestep, alpha, previous, torch.zeros_like(alpha))
        noise = noise_of(prediction.float(), noisy, alpha, self.prediction_type)
        return step.denoise(noisy, noise, torch.zeros_like(noisy))
