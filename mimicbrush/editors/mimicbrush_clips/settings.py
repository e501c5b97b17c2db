"""Settings of MimicBrush for clips; this module does not import torch."""

# Annotations are not postponed here: jsonargparse looks for their names in the modules of a config and of its first
# base alone, and takes any value for every field where it does not find one.
from dataclasses import dataclass, replace
from typing import Self

from mimicbrush.diffusion.config import KeptBackground, check_frame_sampling
from mimicbrush.errors import Faults
from mimicbrush.model.config import RecommendedSettings


@dataclass(frozen=True, kw_only=True)
class MimicBrushClipsSettings:
    """Settings of an edit: sampling, and what holds the frames together."""

    num_inference_steps: int | None = None
    """Steps of inversion and sampling; null: the number recommended by the weights."""
    guidance_scale: float | None = None
    """Strength of classifier-free guidance by the reference; 1 or less: none. null: the value recommended by the
    weights."""
    inverted_share: float = 0.0
    """Share of the source's inverted latents in the variance of the latents from which sampling starts, 0 to 1; the
    rest is noise, the same in every frame. The inverted latents carry the source's motion, and let its object show
    through."""
    feature_block: int = 2
    """Up block of the imitative U-Net whose features are compared between frames, from 0."""
    correction_steps: int = 5
    """First steps whose latents are blended along the fields of nearest neighbours; 0: none."""
    correction_weights: tuple[float, float, float] = (0.25, 0.5, 0.25)
    """Weights of the previous, the same and the following frame; their sum is 1."""
    correction_chunk: int = 1024
    """Positions that are compared with another frame at once; fewer take less memory."""
    background: KeptBackground = "trajectory"
    """How sampling keeps the source outside the mask; the network sees the source there in any case."""
    frames_at_once: int = 8
    """Frames that the network computes together; fewer take less memory."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            RecommendedSettings(**self._given)  # the owner of these numbers' limits
        faults.check(
            0 <= self.inverted_share <= 1, f"inverted_share is {self.inverted_share:g}, expected a number from 0 to 1"
        )
        faults.check(self.frames_at_once >= 1, f"frames_at_once is {self.frames_at_once}, expected at least 1")
        with faults.collect():
            check_frame_sampling(
                feature_block=self.feature_block,
                correction_steps=self.correction_steps,
                correction_weights=self.correction_weights,
                correction_chunk=self.correction_chunk,
                background=self.background,
            )
        faults.refuse()

    def resolved(self, recommended: RecommendedSettings) -> Self:
        """These settings, with the recommended value for each number that is not given."""
        return replace(self, **{**recommended.numbers, **self._given})

    @property
    def _given(self) -> dict[str, float]:
        values = {"num_inference_steps": self.num_inference_steps, "guidance_scale": self.guidance_scale}
        return {name: value for name, value in values.items() if value is not None}
