"""Settings of Motion Guidance; this module does not import torch."""

# Annotations are not postponed here: jsonargparse looks for their names in the modules of a config and of its first
# base alone, and takes any value for every field where it does not find one.
from dataclasses import dataclass
from typing import Literal, get_args

from mimicbrush.diffusion.config import Spacing, check_sampling
from mimicbrush.errors import Faults
from mimicbrush.flow.config import MARGIN

ColourFlow = Literal["estimated", "target"]
"""Flow by which the colour loss warps the picture back: estimated by the flow network, as in the paper, or the flow
that is asked for (`--oracle_flow` of the release)."""

Occlusion = Literal["splat", "released", "none"]
"""Pixels that the colour loss leaves out. splat: those on which a moved pixel lands, and those that leave the picture;
released: the release's own rule, whose rounding adds some and which keeps what leaves the picture; none: no pixels."""

Start = Literal["inverted", "noise", "warped"]
"""First latent. inverted: the noise to which DDIM inversion leads from the source; noise: noise from the seed; warped:
the plain warp, with noise of the step at which `strength` begins."""

KnownPixels = Literal["inverted", "noised"]
"""Latents that replace those outside the mask in each step: from DDIM inversion of the source, or the source with fresh
noise."""

MAX_WEIGHT = 1e6
"""Largest weight."""


@dataclass(frozen=True, kw_only=True)
class MotionGuidanceSettings:
    """Settings of a motion: sampling, guidance, and pasting into the source."""

    num_inference_steps: int = 20
    """Sampling steps."""
    spacing: Spacing = "even"
    """Timesteps of the steps. even: exactly as many as asked for; released: as in the release, which takes more steps
    where the number does not divide 1000."""
    start: Start = "warped"
    """First latent. inverted: DDIM inversion of the source; noise: noise from the seed; warped: the plain warp with
    noise added, which needs fewer steps."""
    strength: float = 0.7
    """Share of the steps that is taken, with start warped: above 0, at most 1."""
    eta: float = 0.0
    """Share of fresh noise in each step, 0 (DDIM) to 1 (DDPM)."""
    guidance_scale: float | None = None
    """Strength of classifier-free guidance by the prompt, or by the source as reference with a MimicBrush network; 1 or
    less: none. null: 7.5 for a prompt, and what a MimicBrush network recommends."""
    num_recursions: int = 2
    """How often each guided step is taken, with fresh noise in between."""
    num_unguided_recursions: int = 1
    """How often each step without guidance by motion is taken."""
    guided_share: float = 0.8
    """Share of the steps, from the noisiest on, that motion guides; the energy is not computed in the others."""
    schedule: tuple[float, ...] | None = None
    """Factor of the guidance weight in each step, noisiest first; null: 1 in the guided share of the steps, then 0."""
    guidance_weight: float = 300.0
    """Weight of the energy's gradient."""
    clip: float = 200.0
    """Largest norm of the guidance for a latent of 512 x 512 pixels, in proportion to the norm of noise for others; 0:
    no limit."""
    colour_weight: float = 100.0
    """Weight of the colour loss in the energy."""
    flow_weight: float = 3.0
    """Weight of the flow loss in the energy; 0, with colour_flow target, needs no flow network."""
    colour_flow: ColourFlow = "target"
    """Flow by which the colour loss warps the picture back. estimated: by the flow network, as in the paper; target:
    the flow that is asked for, which puts objects at their place far more reliably."""
    occlusion: Occlusion = "splat"
    """Pixels that the colour loss leaves out. splat: those that are covered or leave the picture; released: by the
    release's rule; none: no pixels."""
    flow_iterations: int = 5
    """Iterations of the flow network."""
    batch_statistics: bool = False
    """Normalise the flow network's context by the picture's own statistics, as the release does by never leaving
    training mode; matters for RAFT large alone."""
    known_pixels: KnownPixels = "noised"
    """Latents outside the mask in each step. inverted: from DDIM inversion of the source, at the cost of one more pass
    per step; noised: the source with fresh noise."""
    paste_back: bool = True
    """Keep the source's own pixels outside the mask; false, as in the release: keep what the autoencoder made of
    them."""
    mask_margin: int = MARGIN
    """Pixels around the object and its new place in a proposed mask."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them, which takes less memory and more time."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            check_sampling(num_inference_steps=self.num_inference_steps, guidance_scale=self.guidance_scale or 0)
        choices = {
            "spacing": Spacing,
            "start": Start,
            "colour_flow": ColourFlow,
            "occlusion": Occlusion,
            "known_pixels": KnownPixels,
        }
        for name, kind in choices.items():
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        for name in ("num_recursions", "num_unguided_recursions", "flow_iterations"):
            faults.check(1 <= getattr(self, name) <= 100, f"{name} is {getattr(self, name)}, expected 1 to 100")
        for name in ("eta", "guided_share"):
            faults.check(0 <= getattr(self, name) <= 1, f"{name} is {getattr(self, name):g}, expected 0 to 1")
        faults.check(0 < self.strength <= 1, f"strength is {self.strength:g}, expected above 0, at most 1")
        for name in ("guidance_weight", "clip", "colour_weight", "flow_weight"):
            value = getattr(self, name)
            faults.check(0 <= value <= MAX_WEIGHT, f"{name} is {value:g}, expected 0 to {MAX_WEIGHT:g}")
        faults.check(0 <= self.mask_margin <= 1000, f"mask_margin is {self.mask_margin}, expected 0 to 1000 pixels")
        faults.check(
            self.schedule is None or all(0 <= factor < float("inf") for factor in self.schedule),
            "schedule holds a negative factor, NaN or infinity; expected one factor from 0 on for each step",
        )
        faults.refuse()

    def factors(self, num_steps: int) -> tuple[float, ...]:
        """Factor of the guidance weight in each of all steps, noisiest first; raises UserError for another number."""
        if self.schedule is None:
            guided = round(self.guided_share * num_steps)
            return (1.0,) * guided + (0.0,) * (num_steps - guided)
        faults = Faults()
        faults.check(
            len(self.schedule) == num_steps,
            f"schedule has {len(self.schedule)} factors, expected {num_steps}, one for each step",
        )
        faults.refuse()
        return tuple(self.schedule)

    def first_step(self, num_steps: int) -> int:
        """Number of the first step that is taken, from 0: later ones alone with start warped."""
        return num_steps - max(1, round(self.strength * num_steps)) if self.start == "warped" else 0

    @property
    def is_guided(self) -> bool:
        """Whether motion guides any step."""
        return self.guidance_weight > 0 and max(self.colour_weight, self.flow_weight) > 0

    @property
    def needs_inversion(self) -> bool:
        """Whether the source is inverted."""
        return "inverted" in (self.start, self.known_pixels)

    @property
    def needs_flow_network(self) -> bool:
        """Whether the energy asks the flow network."""
        return self.flow_weight > 0 or (self.colour_weight > 0 and self.colour_flow == "estimated")


RELEASED = MotionGuidanceSettings(
    num_inference_steps=500,
    spacing="released",
    start="inverted",
    num_recursions=10,
    num_unguided_recursions=10,
    colour_flow="estimated",
    occlusion="released",
    batch_statistics=True,
    known_pixels="inverted",
    paste_back=False,
)
"""As the release computes its examples: 500 passes of inversion, then 5 000, of which 4 000 are guided."""

PRESETS = {
    "default": MotionGuidanceSettings(),
    "small": MotionGuidanceSettings(guidance_scale=3.0, strength=0.5, num_recursions=1),
    "released": RELEASED,
}
"""Settings by name. small, for networks of small pictures such as asset:unclip: fewer of the steps, because noise hides
more of a small picture, less guidance by the prompt, and no recursion, which cost likeness."""

Preset = Literal["default", "small", "released"]
"""Names of `PRESETS`."""
