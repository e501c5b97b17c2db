"""Replaces the object in a clip by the object of a target picture."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.diffusion.ddim import PredictNoise, ddim_steps
from mimicbrush.diffusion.frame_sampling import to_latent_grid
from mimicbrush.diffusion.seeded_noise import draw_rows, seeded_generators
from mimicbrush.editors.genvideo.clip_denoiser import ClipCondition, ClipDenoiser
from mimicbrush.editors.genvideo.clip_geometry import finish_frames, network_size, to_pixels
from mimicbrush.editors.genvideo.inflation import tuned_parameters
from mimicbrush.editors.genvideo.invedit_masks import (
    ROUNDING,
    branch_differences,
    first_step,
    fresh_noise_differences,
    masks_of_differences,
)
from mimicbrush.editors.genvideo.masked_sampling import sample_edit
from mimicbrush.editors.genvideo.settings import PRESETS, GenVideoSettings, Preset
from mimicbrush.editors.genvideo.source_clip import ClipPreparation, SourceClip
from mimicbrush.editors.genvideo.target_object import cut_target
from mimicbrush.editors.genvideo.tuned_folder import TunedFolder, tuned_clip_config, weights_digest
from mimicbrush.editors.genvideo.work_progress import WorkProgress
from mimicbrush.errors import Faults, UserError
from mimicbrush.hub.unclip_parts import UnclipParts, load_unclip
from mimicbrush.pictures.geometry import resize
from mimicbrush.requests import Edited, Editor, OnProgress, Precision, VideoRequest
from mimicbrush.seeds import seed_of
from mimicbrush.segmentation.named_objects import NamedObjects

log = logging.getLogger(__name__)


class TargetAim(NamedTuple):
    """Everything about the target that an edit needs."""

    condition: ClipCondition
    outline: NDArray[np.bool_] | None
    """(h, w), of the object in its own picture; None where it is not known."""


class GenVideoEditor(Editor):
    """Tunes Stable unCLIP on the clip, and samples the edit from the clip's inverted latents.

    pretrained: Stable unCLIP as a hub repository, a folder in the layout of stable-diffusion-2-1-unclip, asset:NAME, or
    its parts in memory, whose U-Net is copied; detector, segmenter: weights of Grounding DINO and Segment Anything,
    which find the target's object where the request has no mask of it; without them, it is the whole target picture.
    settings: every setting; preset: a name in `PRESETS`, in place of settings.
    tuned_clips: folder in which each clip's tuning is kept and found again; None: nothing is kept.
    precision: `auto` is bfloat16 on a GPU and float32 elsewhere; tuned weights are float32 always.
    After an edit, `reconstruction` says how well the unedited clip is reconstructed. Raises UserError where weights are
    missing or do not fit.
    """

    request_class = VideoRequest
    filled_folders = ("tuned_clips",)

    def __init__(
        self,
        pretrained: str | UnclipParts = "sd2-community/stable-diffusion-2-1-unclip",
        *,
        settings: GenVideoSettings | None = None,
        preset: Preset = "default",
        detector: str | None = None,
        segmenter: str | None = None,
        tuned_clips: str | None = "runs/genvideo",
        variant: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        if (detector is None) != (segmenter is None):
            given = "detector" if segmenter is None else "segmenter"
            raise UserError(f"{given} is given alone; give detector (Grounding DINO) and segmenter (Segment Anything)")
        if preset not in PRESETS or (settings is not None and preset != "default"):
            raise UserError(f"preset is {preset}, expected one of {', '.join(PRESETS)}, and no settings beside it")
        self.settings = settings or PRESETS[preset]
        place = choose_device(device)
        is_gpu = place.type == "cuda" and precision == "auto"
        dtype = torch.bfloat16 if is_gpu else choose_dtype(precision, place)
        if isinstance(pretrained, str):
            parts = load_unclip(pretrained, variant=variant, revision=revision, dtype=dtype)
        else:
            parts = replace(pretrained, unet=copy.deepcopy(pretrained.unet))
        self.denoiser = ClipDenoiser(parts.to(place), self.settings, dtype=dtype)
        self.untuned = {name: weight.detach().cpu().clone() for name, weight in tuned_parameters(parts.unet).items()}
        self.digest = weights_digest(parts)
        self.steps = ddim_steps(self.denoiser.schedule, self.settings.num_inference_steps)
        self.tuned_clips = None if tuned_clips is None else Path(tuned_clips)
        self.finder = None if detector is None else NamedObjects(detector, segmenter)
        self.reconstruction = None

    def edit(self, request: VideoRequest, *, on_progress: OnProgress | None = None) -> Edited:
        """The layers of the result: `mask`, where the clip was edited."""
        aim = self._target(request)
        target = aim.condition
        is_proposed = request.mask is None and self.settings.masks != "none"
        later = 2 * len(self.steps) + (self._passes_of_masks() if is_proposed else 0)
        preparation = self._open(request)
        progress = WorkProgress(on_progress, later=later, at_most=preparation.most_passes)
        proposed = None
        if is_proposed and self._is_untuned:
            proposed = self._propose(request, self._untuned_differences(request, preparation, target, progress), aim)
        clip = self._prepare(preparation, request, progress)
        if is_proposed and not self._is_untuned:
            proposed = self._propose(request, self._differences(request, clip, target, progress), aim)
        mask, latent_mask = self._masks(request, clip, proposed)
        is_masked = self.settings.masks != "none" or request.mask is not None
        if is_masked and self.settings.outside_image != "target":
            outside = clip.condition.image
            outside = outside if self.settings.outside_image == "source" else torch.zeros_like(outside)
            target = target._replace(outside_image=outside, mask=latent_mask)

        own = clip.latents.original

        def finish(latents: Tensor) -> Edited:
            has_background = self.settings.background != "none"
            frames = self.denoiser.decode_edit(latents, own) if has_background else self.denoiser.decode(latents)
            keep = self.settings.paste_back and has_background
            return Edited(
                finish_frames(frames, request.source, mask, keep_source=keep), {"mask": mask.to(request.source)}
            )

        def on_step(original: Tensor) -> None:
            progress.advance(2, lambda: finish(original))

        noise = draw_rows(own.shape[1:], seeded_generators([seed_of(request.seed, "start")])).to(own)
        edited = finish(sample_edit(self.denoiser, clip.latents, target, self.steps, latent_mask, noise, on_step))
        progress.finish(edited)
        return edited

    def propose_mask(self, request: VideoRequest, *, on_progress: OnProgress | None = None) -> Tensor:
        """Masks (T, 1, H, W) of 0 and 1 that cover the source object and the target's, as an edit proposes them.

        They can be changed by hand and given to any editor in a request. A mask of the request is not used.
        """
        aim = self._target(request)
        preparation = self._open(request)
        at_most = 0 if self._is_untuned else preparation.most_passes
        progress = WorkProgress(on_progress, later=self._passes_of_masks(), at_most=at_most)
        if self._is_untuned:
            differences = self._untuned_differences(request, preparation, aim.condition, progress)
        else:
            clip = self._prepare(preparation, request, progress)
            differences = self._differences(request, clip, aim.condition, progress)
        mask = to_pixels(self._propose(request, differences, aim), *request.source.shape[2:])
        progress.finish(Edited(request.source, {"mask": mask}))
        return mask

    @property
    def _is_untuned(self) -> bool:
        """Whether masks come from the network before it is tuned, so that they need neither tuning nor inversion."""
        return self.settings.masks == "fresh_noise"

    def _passes_of_masks(self) -> int:
        return 2 * self.settings.invedit.num_draws if self._is_untuned else 4 * len(self.steps)

    def _target(self, request: VideoRequest) -> TargetAim:
        """Condition of the target prompt and the target's object, and the object's outline."""
        faults, tokens = Faults(), None
        with faults.collect():
            tokens = self.denoiser.embed_prompt(request.target_prompt, "target_prompt")
        with faults.collect():  # refused before long work
            self.denoiser.embed_prompt(request.source_prompt, "source_prompt")
        faults.refuse()
        picture, outline = cut_target(request, self.finder)
        classes = self.denoiser.image_classes(picture, seed=seed_of(request.seed, "target image"))
        return TargetAim(ClipCondition(tokens, classes), outline)

    def _open(self, request: VideoRequest) -> ClipPreparation:
        """Encode the clip and find its folder; the network has its own weights until the preparation runs."""
        with torch.no_grad():
            for name, weight in tuned_parameters(self.denoiser.unet).items():
                weight.copy_(self.untuned[name])
        settings, unit = self.settings, self.denoiser.unit
        size = network_size(*request.source.shape[2:], resolution=settings.resolution, unit=unit)
        frames = resize(request.source.cpu().float(), *size)
        folder = None
        if self.tuned_clips is not None:
            precision = str(self.denoiser.dtype).removeprefix("torch.")
            config = tuned_clip_config(
                frames, request.source_prompt, settings, weights=self.digest, precision=precision
            )
            folder = TunedFolder(self.tuned_clips, config)
        return ClipPreparation(self.denoiser, frames, request.source_prompt, self.steps, folder)

    def _prepare(self, preparation: ClipPreparation, request: VideoRequest, progress: WorkProgress) -> SourceClip:
        """Tune the network on the clip and invert it, or find both in the clip's folder."""
        clip = preparation.run(progress, Edited(request.source))
        self.reconstruction = clip.reconstruction
        decibels, least = clip.reconstruction.from_inversion, self.settings.poor_reconstruction
        if decibels < least:
            log.warning(
                "the clip is reconstructed from its inversion at %.1f dB (%.1f by the autoencoder alone), below %.1f:"
                " motion and background may be lost; raise tuning.num_steps or num_inference_steps",
                decibels,
                clip.reconstruction.by_autoencoder,
                least,
            )
        return clip

    def _masks(self, request: VideoRequest, clip: SourceClip, proposed: Tensor | None) -> tuple[Tensor, Tensor]:
        """Masks of pixels (T, 1, H, W) and of latents (T, 1, h, w)."""
        latents = clip.latents.original
        if request.mask is not None:
            mask = request.mask.to("cpu")
            return mask, to_latent_grid(mask, *latents.shape[2:]).to(latents)
        mask = latents.new_ones(len(latents), 1, *latents.shape[2:]) if proposed is None else proposed.to(latents)
        return to_pixels(mask.cpu(), *request.source.shape[2:]), mask

    def _propose(self, request: VideoRequest, differences: Tensor, aim: TargetAim) -> Tensor:
        """Proposed masks (T, 1, h, w) of latents; raises UserError where the predictions do not differ."""
        mask = masks_of_differences(differences, self.settings.invedit, outline=aim.outline)
        if not mask.any():
            found, remedy = "source and target lead to the same noise", "describe the two objects by different prompts"
            if differences.max() > ROUNDING:
                found, remedy = "source and target differ nowhere beyond the threshold", "lower invedit.threshold"
            raise UserError(f"{found}, so no mask can be proposed; {remedy}, give another target image, or give a mask")
        return mask

    def _differences(
        self, request: VideoRequest, clip: SourceClip, target: ClipCondition, progress: WorkProgress
    ) -> Tensor:
        """Differences (T, h, w) of the two branches, which are kept in the clip's folder."""
        folder, facts = clip.folder, (self.settings, (target.tokens, target.image))
        differences = folder.read_differences(*facts, len(request.source)) if folder else None
        if differences is not None:
            progress.advance(self._passes_of_masks(), lambda: Edited(request.source))
            return differences
        source = clip.condition._replace(tokens=clip.source_tokens)
        differences = branch_differences(
            clip.latents.trajectory,
            self._predict_noise(source),
            self._predict_noise(target),
            self.steps,
            self.settings.invedit,
            follow=self.settings.masks != "source",
            on_step=lambda: progress.advance(4, lambda: Edited(request.source)),
        )
        if folder:
            folder.write_differences(*facts, differences)
        return differences

    def _untuned_differences(
        self, request: VideoRequest, preparation: ClipPreparation, target: ClipCondition, progress: WorkProgress
    ) -> Tensor:
        """Differences (T, h, w) of two predictions of the clip under fresh noise, by the network before it is tuned."""
        settings, latents = self.settings.invedit, preparation.latents
        source = preparation.condition._replace(tokens=preparation.source_tokens)
        generators = seeded_generators([seed_of(request.seed, f"mask {draw}") for draw in range(settings.num_draws)])
        timestep = self.steps[first_step(len(self.steps), settings)].timestep
        return fresh_noise_differences(
            latents,
            self._predict_noise(source),
            self._predict_noise(target),
            (draw_rows(latents.shape, [generator])[0].to(latents) for generator in generators),
            timestep=timestep,
            share=float(self.denoiser.shares[timestep]),
            on_draw=lambda: progress.advance(2, lambda: Edited(request.source)),
        )

    def _predict_noise(self, condition: ClipCondition) -> PredictNoise:
        """Predict the noise of a branch of the masks."""
        guidance_scale = self.settings.invedit.guidance_scale
        return lambda latents, timestep: (
            self.denoiser.predict(latents, timestep, condition, guidance_scale=guidance_scale).noise
        )
