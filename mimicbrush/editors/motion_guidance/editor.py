"""Moves objects in a picture by guiding a diffusion model with an optical-flow network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.diffusion.ddim import DdimStep, ddim_steps, invert
from mimicbrush.diffusion.seeded_noise import draw_rows, seeded_generators
from mimicbrush.diffusion.trajectories import load_trajectory
from mimicbrush.editors.motion_guidance.canvas import MotionCanvas, latent_mask, paste_kept_pixels, to_canvas
from mimicbrush.editors.motion_guidance.energy import MotionEnergy
from mimicbrush.editors.motion_guidance.guided_sampling import GuidanceRules, GuidedSampler, GuidedStep, KnownLatents
from mimicbrush.editors.motion_guidance.load_prior import CLIP, load_prior
from mimicbrush.editors.motion_guidance.pass_counts import PassCounter, Passes, count_passes
from mimicbrush.editors.motion_guidance.prior import Prior
from mimicbrush.editors.motion_guidance.settings import PRESETS, MotionGuidanceSettings, Preset
from mimicbrush.errors import UserError
from mimicbrush.flow.estimator import FlowEstimator
from mimicbrush.flow.motion_masks import check_motion, describe_motion, moving_pixels, propose_mask
from mimicbrush.flow.plain_warp import moved_object
from mimicbrush.flow.raft_weights import load_raft
from mimicbrush.pictures.classical_inpainting import fill_hole
from mimicbrush.pictures.conversion import draw_over
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.requests import Edited, Editor, MotionRequest, OnProgress, Precision

CLIP_NUMBERS = 4 * 64 * 64
"""Numbers of a latent for which `clip` is meant: 512 x 512 pixels in Stable Diffusion."""


class MotionGuidanceEditor(Editor):
    """Moves what the flow moves, by a diffusion model that a flow network guides, and pastes it into the source.

    pretrained: Stable Diffusion 1 as a folder, hub repository or single file, another U-Net and autoencoder in
    diffusers' layout, weights of a MimicBrush network, or a `Prior` in memory; flow_network: RAFT's weights, or a
    `FlowEstimator` in memory; settings: every setting; preset: a name in `PRESETS`, in place of settings; trajectory:
    latents of the source's inversion, stored by `save_trajectory` or by the release, in place of those computed for
    each edit; text_encoder: where that of a single file comes from.
    precision: `auto` is bfloat16 on a GPU, because gradients of the energy vanish in float16, and float32 elsewhere.
    After an edit, `passes` counts the networks' passes. Raises UserError where weights are missing or do not fit.
    """

    request_class = MotionRequest

    def __init__(
        self,
        pretrained: str | Prior = "CompVis/stable-diffusion-v1-4",
        *,
        flow_network: str | FlowEstimator = "asset:flow",
        settings: MotionGuidanceSettings | None = None,
        preset: Preset = "default",
        trajectory: str | None = None,
        text_encoder: str = CLIP,
        variant: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        if preset not in PRESETS or (settings is not None and preset != "default"):
            raise UserError(f"preset is {preset}, expected one of {', '.join(PRESETS)}, and no settings beside it")
        self.settings = settings = settings or PRESETS[preset]
        self.passes = Passes(0, 0, 0)
        self.trajectory = None if trajectory is None else load_trajectory(Path(trajectory))
        if isinstance(pretrained, str):
            place = choose_device(device)
            is_gpu = place.type == "cuda" and precision == "auto"
            dtype = torch.bfloat16 if is_gpu else choose_dtype(precision, place)
            prior = load_prior(pretrained, text_encoder=text_encoder, variant=variant, revision=revision, dtype=dtype)
            if settings.gradient_checkpointing:
                prior.enable_gradient_checkpointing()
            self.prior: Prior = prior.to(place)
        else:
            self.prior = pretrained
        self.steps = ddim_steps(
            self.prior.schedule, settings.num_inference_steps, spacing=settings.spacing, eta=settings.eta
        )
        self.factors = settings.factors(len(self.steps))
        self._check_trajectory()
        self.estimator: FlowEstimator | None = None
        if settings.needs_flow_network:
            self.estimator = self._load_flow_network(flow_network) if isinstance(flow_network, str) else flow_network

    def edit(self, request: MotionRequest, *, on_progress: OnProgress | None = None) -> Edited:
        mask = self.edit_mask(request)
        layer = moved_object(request.source, request.flow)
        layers = {"mask": mask, "warped": draw_over(layer, request.source)}
        canvas = self._to_canvas(request, mask, layer)
        counter = PassCounter()

        def finish(latent: Tensor, decode: Callable[[Tensor], Tensor]) -> Edited:
            with torch.no_grad():
                picture = decode(latent).to(request.source.device)
            keep = self.settings.paste_back
            return Edited(paste_kept_pixels(picture, request.source, mask, keep=keep), layers)

        def report(finished: float, step: GuidedStep) -> None:
            on_progress(finished, lambda: finish(step.original, self.prior.decode))

        latent = self._sample(canvas, request, counter, report if on_progress else None)
        edited = finish(latent, counter.counting("decoder", self.prior.decode))
        self.passes = counter.passes
        if on_progress is not None:
            on_progress(1.0, lambda: edited)
        return edited

    def num_passes(self) -> Passes:
        """Passes that an edit takes."""
        return count_passes(self.settings, self.steps, has_trajectory=self.trajectory is not None)

    def edit_mask(self, request: MotionRequest) -> Tensor:
        """The mask of what may change, (1, 1, H, W) of 0 and 1: the request's, or a proposed one.

        Raises UserError where the motion or the mask makes no sense.
        """
        check_motion(request.flow, request.mask)
        if request.mask is None:
            return propose_mask(request.flow, margin=self.margin_of(*request.flow.shape[2:]))
        return (request.mask > 0.5).to(request.source)

    def margin_of(self, height: int, width: int) -> int:
        """Pixels around the object and its new place in a proposed mask of a picture of this size."""
        return self.settings.mask_margin

    def hints(self, request: MotionRequest) -> list[str]:
        """Advice for a motion that may not be meant as it is, one sentence each."""
        return describe_motion(request.flow, None if request.mask is None else self.edit_mask(request))

    @torch.no_grad()
    def invert(self, request: MotionRequest) -> Tensor:
        """Invert the source: latents (N, 1, C, h, w) for all steps, noisiest first, for `save_trajectory`."""
        mask = self.edit_mask(request)
        canvas = self._to_canvas(request, mask, moved_object(request.source, request.flow))
        return self._invert(canvas, request, PassCounter())

    def _sample(
        self,
        canvas: MotionCanvas,
        request: MotionRequest,
        counter: PassCounter,
        report: Callable[[float, GuidedStep], None] | None,
    ) -> Tensor:
        settings, prior = self.settings, self.prior
        (generator,) = seeded_generators([request.seed])
        source_latent = prior.encode(canvas.source)
        shape = source_latent.shape[1:]

        def draw() -> Tensor:
            return draw_rows(shape, [generator]).to(prior.device)

        trajectory = self._invert(canvas, request, counter) if settings.needs_inversion else None
        kept = trajectory if settings.known_pixels == "inverted" else None
        first = settings.first_step(len(self.steps))
        start = self._start(canvas, trajectory, first, draw)
        scale = prior.guidance_scale if settings.guidance_scale is None else settings.guidance_scale
        predict_noise = prior.condition(canvas, request.prompt, guidance_scale=scale)
        estimator = self.estimator and counter.counting("flow_network", self.estimator)
        sampler = GuidedSampler(
            counter.counting("unet", predict_noise),
            counter.counting("decoder", prior.decode),
            energy=MotionEnergy(canvas.source, canvas.flow, estimator=estimator, settings=settings),
            steps=self.steps[first:],
            rules=self._rules(source_latent.numel(), first),
        )
        total = sum(map(sampler.num_recursions, range(len(sampler.steps))))

        def on_step(number: int, step: GuidedStep) -> None:
            # The last report is made with the finished picture.
            if number + 1 < len(sampler.steps):
                report(sum(map(sampler.num_recursions, range(number + 1))) / total, step)

        return sampler.sample(
            start,
            may_change=latent_mask(canvas.mask, prior.stride),
            known=_known_latents(source_latent, kept, first, draw),
            draw=draw,
            on_step=on_step if report else None,
        )

    def _start(self, canvas: MotionCanvas, trajectory: Tensor | None, first: int, draw: Callable[[], Tensor]) -> Tensor:
        match self.settings.start:
            case "inverted":
                return trajectory[0]
            case "noise":
                return draw()
            case _:
                return self.steps[first].add_noise(self.prior.encode(canvas.warped), draw())

    def _rules(self, num_numbers: int, first: int) -> GuidanceRules:
        settings = self.settings
        return GuidanceRules(
            weight=settings.guidance_weight if settings.is_guided else 0.0,
            factors=self.factors[first:],
            clip=settings.clip * (num_numbers / CLIP_NUMBERS) ** 0.5,
            num_recursions=settings.num_recursions,
            num_unguided_recursions=settings.num_unguided_recursions,
        )

    def _invert(self, canvas: MotionCanvas, request: MotionRequest, counter: PassCounter) -> Tensor:
        latent = self.prior.encode(canvas.source)
        if self.trajectory is None:
            predict_noise = self.prior.condition(canvas, request.prompt, guidance_scale=1.0)
            return invert(latent, counter.counting("unet", predict_noise), self.steps)
        if self.trajectory.shape[1:] != latent.shape:
            raise UserError(
                f"the stored trajectory has latents {tuple(self.trajectory.shape[1:])}, the source's are"
                f" {tuple(latent.shape)}; store one for this source and these weights"
            )
        return self.trajectory.to(latent)

    def _to_canvas(self, request: MotionRequest, mask: Tensor, layer: Tensor) -> MotionCanvas:
        hole = torch.from_numpy(grow(moving_pixels(request.flow)[0, 0].cpu().numpy(), self.settings.mask_margin))
        background = fill_hole(request.source[0], hole.to(request.source.device))[None]
        warped = draw_over(layer, background)
        canvas = to_canvas(request.source, mask, request.flow, warped, size=self.prior.canvas_size)
        return MotionCanvas(*(picture.float().to(self.prior.device) for picture in canvas))

    def _load_flow_network(self, pretrained: str) -> FlowEstimator:
        settings = self.settings
        network = load_raft(
            pretrained, batch_statistics=settings.batch_statistics, num_iterations=settings.flow_iterations
        )
        return network.to(self.prior.device)

    def _check_trajectory(self) -> None:
        if self.trajectory is not None and len(self.trajectory) != len(self.steps):
            raise UserError(
                f"the stored trajectory has {len(self.trajectory)} steps, these settings have {len(self.steps)}; store"
                " one with the same num_inference_steps and spacing"
            )
        if self.trajectory is not None and not self.settings.needs_inversion:
            raise UserError(
                f"the stored trajectory has no effect with start {self.settings.start} and known_pixels"
                f" {self.settings.known_pixels}; set one of them to inverted, or leave the trajectory out"
            )


def _known_latents(
    source_latent: Tensor, trajectory: Tensor | None, first: int, draw: Callable[[], Tensor]
) -> KnownLatents:
    """Latents of what is kept: from the trajectory, or the source's with fresh noise."""

    def known(number: int, step: DdimStep) -> Tensor:
        if trajectory is not None:
            return trajectory[first + number]
        return step.add_noise(source_latent, draw())

    return known
