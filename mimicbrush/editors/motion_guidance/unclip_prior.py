"""Stable unCLIP as the prior of a motion: the source's own image embedding says what the picture shows."""

from __future__ import annotations

import torch

from mimicbrush.diffusion.ddim import PredictNoise
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas
from mimicbrush.editors.motion_guidance.prior import LatentPrior
from mimicbrush.hub.unclip_parts import UnclipParts, embed_pictures, image_condition

NOISE_SEED = 0
"""Seed of the little noise that even noise level 0 adds to an embedding."""


class UnclipPrior(LatentPrior):
    """A `Prior` by Stable unCLIP, which reads the prompt and the source's image embedding.

    The embedding of a picture hardly changes where its object moves, so that the source's describes the result, too.
    Without it, the model would invent what the prompt does not name, such as the pattern of the object and the ground
    that it uncovers. Guidance leads away from the empty prompt and from no embedding at once, as in Stable unCLIP.
    """

    def __init__(self, parts: UnclipParts) -> None:
        super().__init__(
            parts.unet,
            parts.vae,
            text_encoder=parts.text_encoder,
            tokenizer=parts.tokenizer,
            schedule=parts.schedule,
        )
        self.parts = parts

    def to(self, device: torch.device) -> UnclipPrior:
        self.parts.to(device)
        return self

    def condition(self, canvas: MotionCanvas, prompt: str, *, guidance_scale: float) -> PredictNoise:
        embedding = embed_pictures(self.parts, canvas.source)
        generator = torch.Generator(embedding.device).manual_seed(NOISE_SEED)
        classes = image_condition(self.parts, embedding, generator=generator)
        return self.guided(self.embed_prompts([prompt]), classes, guidance_scale=guidance_scale)
