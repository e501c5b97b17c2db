"""Replaces the object in a clip by the object of a target picture."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.diffusion.ddim import ddim_steps
from mimicbrush.diffusion.frame_sampling import to_latent_grid
from mimicbrush.diffusion.seeded_noise import draw_rows, seeded_generators
from mimicbrush.editors.genvideo.clip_denoiser import ClipCondition, ClipDenoiser
from mimicbrush.editors.genvideo.clip_geometry import finish_frames, network_size, to_pixels
from mimicbrush.editors.genvideo.inflation import tuned_parameters
from mimicbrush.editors.genvideo.invedit_masks import ROUNDING, branch_differences, masks_of_differences
from mimicbrush.editors.genvideo.masked_sampling import sample_edit
from mimicbrush.editors.genvideo.settings import PRESETS, GenVideoSettings, Preset
from mimicbrush.editors.genvideo.source_clip import ClipPreparation, SourceClip
from mimicbrush.editors.genvideo.target_object import cut_target
from mimicbrush.editors.genvideo.tuned_folder import TunedFolder, tuned_clip_config, weights_digest
from mimicbrush.editors.genvideo.work_progress import WorkProgress
from mimicbrush.errors import UserError
from mimicbrush.hub.unclip_parts import UnclipParts, load_unclip
from mimicbrush.pictures.geometry import resize
from mimicbrush.requests import Edited, Editor, OnProgress, Precision, VideoRequest
from mimicbrush.seeds import seed_of
from mimicbrush.segmentation.named_objects import NamedObjects

log = logging.getLogger(__name__)


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
        target_classes, target_tokens = self._target(request)
        num_steps = len(self.steps)
        is_proposed = request.mask is None and self.settings.masks != "none"
        progress = WorkProgress(on_progress, later=2 * num_steps + (4 * num_steps if is_proposed else 0))
        clip = self._prepare(request, progress)
        target = ClipCondition(target_tokens, target_classes)
        mask, latent_mask = self._masks(request, clip, target, progress)
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
        target_classes, target_tokens = self._target(request)
        progress = WorkProgress(on_progress, later=4 * len(self.steps))
        clip = self._prepare(request, progress)
        target = ClipCondition(target_tokens, target_classes)
        mask = self._propose(request, clip, target, progress)
        progress.finish(Edited(request.source, {"mask": to_pixels(mask, *request.source.shape[2:])}))
        return to_pixels(mask, *request.source.shape[2:])

    def _target(self, request: VideoRequest) -> tuple[Tensor, Tensor]:
        """Class labels (1, 2d) of the target's object, and text tokens of the target prompt."""
        tokens = self.denoiser.embed_prompt(request.target_prompt, "target_prompt")
        self.denoiser.embed_prompt(request.source_prompt, "source_prompt")  # refused before long work
        picture = cut_target(request, self.finder)
        classes = self.denoiser.image_classes(picture, seed=seed_of(request.seed, "target image"))
        return classes, tokens

    def _prepare(self, request: VideoRequest, progress: WorkProgress) -> SourceClip:
        """Tune the network on the clip and invert it, or find both in the clip's folder."""
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
        clip = ClipPreparation(self.denoiser, frames, request.source_prompt, self.steps, folder).run(
            progress, Edited(request.source)
        )
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

    def _masks(
        self, request: VideoRequest, clip: SourceClip, target: ClipCondition, progress: WorkProgress
    ) -> tuple[Tensor, Tensor]:
        """Masks of pixels (T, 1, H, W) and of latents (T, 1, h, w)."""
        latents = clip.latents.original
        if request.mask is not None:
            mask = request.mask.to("cpu")
            return mask, to_latent_grid(mask, *latents.shape[2:]).to(latents)
        if self.settings.masks == "none":
            mask = latents.new_ones(len(latents), 1, *latents.shape[2:])
        else:
            mask = self._propose(request, clip, target, progress).to(latents)
        return to_pixels(mask.cpu(), *request.source.shape[2:]), mask

    def _propose(
        self, request: VideoRequest, clip: SourceClip, target: ClipCondition, progress: WorkProgress
    ) -> Tensor:
        """Proposed masks (T, 1, h, w) of latents; raises UserError where the branches do not differ."""
        folder, facts = clip.folder, (self.settings, (target.tokens, target.image))
        differences = folder.read_differences(*facts, len(request.source)) if folder else None
        if differences is None:
            differences = self._differences(request, clip, target, progress)
            if folder:
                folder.write_differences(*facts, differences)
        else:
            progress.advance(4 * len(self.steps), lambda: Edited(request.source))
        mask = masks_of_differences(differences, self.settings.invedit)
        if not mask.any():
            found, remedy = "source and target lead to the same noise", "describe the two objects by different prompts"
            if differences.max() > ROUNDING:
                found, remedy = "source and target differ nowhere beyond the threshold", "lower invedit.threshold"
            raise UserError(f"{found}, so no mask can be proposed; {remedy}, give another target image, or give a mask")
        return mask

    def _differences(
        self, request: VideoRequest, clip: SourceClip, target: ClipCondition, progress: WorkProgress
    ) -> Tensor:
        """Differences (T, h, w) of the two branches."""
        settings, predict = self.settings.invedit, self.denoiser.predict
        source = clip.condition._replace(tokens=clip.source_tokens)

        def predict_noise(condition: ClipCondition) -> object:
            return lambda latents, timestep: (
                predict(latents, timestep, condition, guidance_scale=settings.guidance_scale).noise
            )

        return branch_differences(
            clip.latents.trajectory,
            predict_noise(source),
            predict_noise(target),
            self.steps,
            settings,
            follow=self.settings.masks != "source",
            on_step=lambda: progress.advance(4, lambda: Edited(request.source)),
        )
