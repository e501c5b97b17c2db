"""Settings of GenVideo; this module does not import torch.

The article leaves most numbers open. Each default says where it comes from: the article, the public code of a related
method (Tune-A-Video, Make-A-Protagonist, DiffEdit), or a choice made here.
"""

# Annotations are not postponed here: jsonargparse looks for their names in the modules of a config and of its first
# base alone, and takes any value for every field where it does not find one.
from dataclasses import dataclass, field
from typing import Literal, get_args

from mimicbrush.diffusion.config import KeptBackground, check_frame_sampling, check_sampling
from mimicbrush.errors import Faults

MaskSource = Literal["invedit", "source", "fresh_noise", "none"]
"""How a mask is proposed. invedit: two branches that denoise the inverted clip, each with its own prediction, so that
the mask takes the target's shape; source: the same two predictions on the source's inversion alone; fresh_noise: two
predictions of the network before it is tuned, of the clip under noise that is drawn several times, as in DiffEdit;
none: the whole clip may change."""

MaskScale = Literal["clip", "frame", "peak"]
"""Scale of the differences before the threshold. clip, frame: a multiple of the mean of the clip, or of each frame;
peak: from the clip's median, 0, to its 99th percentile, 1."""

MaskInTime = Literal["frame", "any", "median"]
"""Use of the two frames beside each frame in a mask. frame: none; any: a position that is masked in one of the three
is masked; median: one that is masked in two of the three."""

OutsideImage = Literal["source", "none", "target"]
"""Image embedding outside the mask: that of a source frame, zeros, or that of the target, which then acts all over."""

FeatureSide = Literal["output", "before_upsampler"]
"""Where a block's features are taken: after the block, or before its upsampler."""

MAX_STEPS_OF_TUNING = 100_000
"""Largest number of tuning steps."""


@dataclass(frozen=True, kw_only=True)
class TuningSettings:
    """Tuning of the network on one clip."""

    num_steps: int = 200
    """Optimisation steps (Make-A-Protagonist: 200, Tune-A-Video: 500)."""
    learning_rate: float = 3e-5
    """Learning rate of AdamW (Tune-A-Video)."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW (Tune-A-Video)."""
    max_gradient_norm: float = 1.0
    """Largest norm of the gradients (Tune-A-Video)."""
    image_drop_prob: float = 0.1
    """Probability that a step has no image embedding, for classifier-free guidance (Make-A-Protagonist)."""
    max_noise_level: int = 999
    """Largest noise level of the image embedding, which is drawn anew in each step (Make-A-Protagonist)."""
    gradient_checkpointing: bool = True
    """Compute activations again in the backward pass instead of keeping them (Tune-A-Video)."""
    preview_every: int = 100
    """Steps between two pictures of the clip as the network reconstructs it from half the noise; 0: none."""
    seed: int = 33
    """Seed of tuning and of the source frame whose embedding is used (Tune-A-Video); the request's seed leaves the
    tuned network as it is."""

    def __post_init__(self) -> None:
        faults = Faults()
        faults.check(
            0 <= self.num_steps <= MAX_STEPS_OF_TUNING,
            f"num_steps is {self.num_steps}, expected 0 to {MAX_STEPS_OF_TUNING}",
        )
        for name in ("learning_rate", "max_gradient_norm"):
            value = getattr(self, name)
            faults.check(0 < value < float("inf"), f"{name} is {value:g}, expected a positive number")
        faults.check(0 <= self.weight_decay < 1, f"weight_decay is {self.weight_decay:g}, expected 0 to below 1")
        faults.check(0 <= self.image_drop_prob <= 1, f"image_drop_prob is {self.image_drop_prob:g}, expected 0 to 1")
        faults.check(0 <= self.max_noise_level <= 999, f"max_noise_level is {self.max_noise_level}, expected 0 to 999")
        faults.check(self.preview_every >= 0, f"preview_every is {self.preview_every}, expected 0 or more")
        faults.check(0 <= self.seed < 2**63, f"seed is {self.seed}, expected 0 to 2^63 - 1")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class InvEditSettings:
    """Masks from the difference of two denoising branches."""

    guidance_scale: float = 7.5
    """Classifier-free guidance of the two branches; 1 or less: none (DiffEdit)."""
    start_share: float = 0.0
    """Share of the steps, from the noisiest on, that the branches leave out: they begin with the clip's inverted
    latents of that level, which hold its layout (the article: 0). With fresh noise, the level to which it is added
    (DiffEdit: 0.5)."""
    first_share: float = 0.0
    """Share of the steps, from the noisiest on, whose differences are left out."""
    last_share: float = 1.0
    """Share of the steps, from the noisiest on, after which differences are left out."""
    num_draws: int = 10
    """Draws of fresh noise whose differences are averaged (DiffEdit)."""
    max_ratio: float = 3.0
    """Differences are cut off at this multiple of their mean (DiffEdit); `peak` does not use it."""
    threshold: float = 0.5
    """Share of the cut-off, or of the peak, from which a position is masked (DiffEdit)."""
    scale: MaskScale = "clip"
    """Scale of the differences. clip, peak: a frame without the object stays empty; frame: each has a mask."""
    median: int = 1
    """Latent positions around each one whose median smooths the differences; 0: none."""
    in_time: MaskInTime = "frame"
    """Use of the frames beside each frame."""
    largest_piece: bool = False
    """Keep the largest connected piece of each frame alone."""
    target_size: float = 0.0
    """Longer side of the target's outline, in longer sides of the mask's box in each frame, around whose middle the
    outline is added to the mask, where the target's object is known; 0: it is not added (the article)."""
    margin: int = 0
    """Latent positions by which the mask grows."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            check_sampling(num_inference_steps=1, guidance_scale=self.guidance_scale)
        faults.check(
            0 <= self.first_share < self.last_share <= 1,
            f"first_share and last_share are {self.first_share:g} and {self.last_share:g}, expected 0 <= first < last"
            " <= 1",
        )
        faults.check(
            0 <= self.start_share < self.last_share,
            f"start_share is {self.start_share:g}, expected 0 to below last_share, {self.last_share:g}",
        )
        faults.check(1 <= self.num_draws <= 1000, f"num_draws is {self.num_draws}, expected 1 to 1000")
        faults.check(
            0 <= self.target_size <= 10, f"target_size is {self.target_size:g}, expected 0 (not added) to 10 sides"
        )
        faults.check(self.max_ratio > 0, f"max_ratio is {self.max_ratio:g}, expected a positive number")
        faults.check(0 <= self.threshold < 1, f"threshold is {self.threshold:g}, expected 0 to below 1")
        for name, kind in (("scale", MaskScale), ("in_time", MaskInTime)):
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        for name in ("median", "margin"):
            faults.check(0 <= getattr(self, name) <= 64, f"{name} is {getattr(self, name)}, expected 0 to 64")
        faults.refuse()


@dataclass(frozen=True, kw_only=True)
class GenVideoSettings:
    """Settings of an edit: tuning, inversion, masks, sampling and pasting into the source."""

    resolution: int = 512
    """Pixels of the longer side at which the network works (Tune-A-Video: 512, Make-A-Protagonist: 768); both sides are
    rounded to the multiple that the network needs."""
    window: int = 8
    """Frames that the network sees together; longer clips are covered by overlapping windows, whose predictions are
    averaged (Make-A-Protagonist: clips of 8)."""
    window_overlap: int = 4
    """Frames by which neighbouring windows overlap."""
    num_inference_steps: int = 50
    """Steps of inversion, masks and sampling (Tune-A-Video)."""
    inversion_refinements: int = 0
    """Times that each step of the inversion predicts its noise again, at the latents just found, so that sampling
    returns closer to the clip; each costs a pass. 0: plain DDIM inversion (Tune-A-Video)."""
    guidance_scale: float = 12.5
    """Classifier-free guidance of sampling; 1 or less: none (Tune-A-Video)."""
    noise_level: int = 0
    """Noise level of image embeddings outside of tuning, 0 to 999; 0: none (Make-A-Protagonist)."""
    inverted_share: float = 1.0
    """Share of the clip's inverted latents in the variance of the latents from which sampling starts, 0 to 1; within
    the mask the rest is noise, the same in every frame. The inverted latents carry the source object's outline; 1: no
    noise (the article)."""
    tuning: TuningSettings = field(default_factory=TuningSettings)
    """Tuning on the clip."""
    masks: MaskSource = "invedit"
    """Proposed masks, where the request has none."""
    invedit: InvEditSettings = field(default_factory=InvEditSettings)
    """Numbers of proposed masks."""
    outside_image: OutsideImage = "source"
    """Image embedding outside the mask."""
    feature_block: int = 2
    """Up block whose features are compared, from 0 (the article's "Up-Block-2")."""
    feature_side: FeatureSide = "output"
    """Where its features are taken."""
    correction_steps: int = 5
    """First steps whose latents are blended along the fields (the article); 0: none."""
    correction_weights: tuple[float, float, float] = (0.25, 0.5, 0.25)
    """Weights of the previous, the same and the following frame; their sum is 1."""
    correction_chunk: int = 1024
    """Positions that are compared with another frame at once; fewer take less memory."""
    background: KeptBackground = "trajectory"
    """How sampling keeps the source outside the mask. none: where the target prompt asks for a new background; the
    source's pixels are not pasted back then, either."""
    paste_back: bool = True
    """Keep the source's own pixels outside the feathered mask; false: keep what the autoencoder made of them."""
    poor_reconstruction: float = 20.0
    """Decibels of the clip's reconstruction from its inversion below which a warning is given."""

    def __post_init__(self) -> None:
        faults = Faults()
        with faults.collect():
            check_sampling(num_inference_steps=self.num_inference_steps, guidance_scale=self.guidance_scale)
        faults.check(self.resolution >= 8, f"resolution is {self.resolution}, expected at least 8 pixels")
        faults.check(self.window >= 2, f"window is {self.window}, expected at least 2 frames")
        faults.check(
            1 <= self.window_overlap < self.window,
            f"window_overlap is {self.window_overlap}, expected 1 to {self.window - 1}, less than window",
        )
        faults.check(
            0 <= self.inversion_refinements <= 100,
            f"inversion_refinements is {self.inversion_refinements}, expected 0 to 100",
        )
        faults.check(0 <= self.noise_level <= 999, f"noise_level is {self.noise_level}, expected 0 to 999")
        faults.check(
            0 <= self.inverted_share <= 1, f"inverted_share is {self.inverted_share:g}, expected a number from 0 to 1"
        )
        choices = {"masks": MaskSource, "outside_image": OutsideImage, "feature_side": FeatureSide}
        for name, kind in choices.items():
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        with faults.collect():
            check_frame_sampling(
                feature_block=self.feature_block,
                correction_steps=self.correction_steps,
                correction_weights=self.correction_weights,
                correction_chunk=self.correction_chunk,
                background=self.background,
            )
        faults.refuse()


PRESETS = {
    "default": GenVideoSettings(),
    "tune_a_video": GenVideoSettings(masks="none", correction_steps=0, background="none"),
    "source_mask": GenVideoSettings(masks="source"),
    "no_correction": GenVideoSettings(correction_steps=0),
    "no_background": GenVideoSettings(background="none"),
    "no_injection": GenVideoSettings(outside_image="target"),
    "small": GenVideoSettings(
        resolution=64,
        num_inference_steps=20,
        inversion_refinements=2,
        guidance_scale=3.0,
        feature_block=1,
        tuning=TuningSettings(num_steps=50, learning_rate=5e-4, preview_every=50, gradient_checkpointing=False),
        masks="fresh_noise",
        invedit=InvEditSettings(
            guidance_scale=1.0,
            start_share=0.5,
            num_draws=4,
            scale="peak",
            threshold=0.35,
            in_time="median",
            largest_piece=True,
            target_size=1.0,
        ),
    ),
}
"""Settings by name: the method, and without one of its parts. tune_a_video: no masks, no correction, no background;
small: for the small world's Stable unCLIP of 64 pixels, `asset:unclip`, with masks from fresh noise."""

Preset = Literal["default", "tune_a_video", "source_mask", "no_correction", "no_background", "no_injection", "small"]
"""Names of `PRESETS`."""
