"""Stable Diffusion inpainting from a text prompt, without a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from diffusers import AutoencoderKL, StableDiffusionInpaintPipeline, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.diffusion.config import check_sampling
from mimicbrush.diffusion.seeded_noise import seeded_generators
from mimicbrush.errors import UserError
from mimicbrush.hub.library_messages import quiet_libraries, reason_of
from mimicbrush.hub.locations import open_location
from mimicbrush.model.config import PartConfig
from mimicbrush.model.weights.parts import load_pretrained
from mimicbrush.pictures.geometry import binarise, letterbox, paste_back, unletterbox
from mimicbrush.requests import Edited, Editor, OnProgress, Precision, TextRequest

PARTS = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}
"""Folders with weights, and the models in them."""
SMALL_FOLDERS = ("tokenizer", "scheduler")


class StableDiffusionInpainting(Editor):
    """Repaints the masked region from a text prompt, on a padded square, and pastes it back at the source's own size.

    pretrained: a folder or hub repository in diffusers' layout; variant: of the weight files to load, by default the
    files without a variant, or the only one; revision: branch, tag or commit of a repository, `main` by default.
    A sample without a prompt is inpainted without guidance by text. Raises UserError where the weights are missing or
    damaged.
    """

    request_class = TextRequest

    def __init__(
        self,
        pretrained: str = "stable-diffusion-v1-5/stable-diffusion-inpainting",
        *,
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        variant: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        check_sampling(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
        place = choose_device(device)
        try:
            self.pipeline = load_pipeline(
                pretrained, variant=variant, revision=revision, dtype=choose_dtype(precision, place)
            )
        except (OSError, ValueError) as error:  # a UserError is a ValueError
            raise UserError(
                f"{pretrained}: no inpainting pipeline of diffusers ({reason_of(error)}); give its folder or repository"
            ) from None
        self.pipeline.to(place)
        self.pipeline.set_progress_bar_config(disable=True)
        self.size = self.pipeline.unet.config.sample_size * self.pipeline.vae_scale_factor
        self.num_inference_steps = num_inference_steps
        self.guidance_scale = guidance_scale

    def edit(self, request: TextRequest, *, on_progress: OnProgress | None = None) -> Edited:
        return self.edit_batch([request], on_progress=on_progress)[0]

    @torch.no_grad()
    def edit_batch(self, requests: Sequence[TextRequest], *, on_progress: OnProgress | None = None) -> list[Edited]:
        """A preview decodes the noisy latents of the first request: diffusers does not pass its prediction on."""
        frames = [(request, number) for request in requests for number in range(len(request.source))]
        sources = [letterbox(request.source[number], self.size, fill=1.0)[0] for request, number in frames]
        masks = [letterbox(request.mask[number], self.size, fill=0.0)[0] for request, number in frames]

        def report(pipeline: StableDiffusionInpaintPipeline, step: int, _: Tensor, values: dict[str, Tensor]) -> dict:
            latents = values["latents"][: len(requests[0].source)]
            on_progress((step + 1) / pipeline.num_timesteps, lambda: self._decode(latents, requests[0]))
            return values

        canvases = self.pipeline(
            prompt=[request.prompt for request, _ in frames],
            image=torch.stack(sources),
            mask_image=binarise(torch.stack(masks)),
            height=self.size,
            width=self.size,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            generator=seeded_generators([request.seed for request, _ in frames]),
            output_type="pt",
            callback_on_step_end=report if on_progress else None,
        ).images
        finished = canvases.float().cpu().split([len(request.source) for request in requests])
        return [_paste_back(canvas, request) for canvas, request in zip(finished, requests, strict=True)]

    @torch.no_grad()
    def _decode(self, latents: Tensor, request: TextRequest) -> Edited:
        vae = self.pipeline.vae
        canvases = vae.decode(latents / vae.config.scaling_factor).sample
        return _paste_back((canvases.float().cpu() / 2 + 0.5).clamp(0, 1), request)


def _paste_back(canvases: Tensor, request: TextRequest) -> Edited:
    """Put the frames on the network's canvas (T, 3, size, size) back into the source."""
    edited = unletterbox(canvases, *request.source.shape[-2:])
    return Edited(paste_back(edited.to(request.source), request.source, request.mask))


def load_pipeline(
    pretrained: str, *, variant: str | None, revision: str | None, dtype: torch.dtype
) -> StableDiffusionInpaintPipeline:
    """Load the pipeline without its safety checker, whose false alarms would be scored as black edits.

    Raises UserError, OSError or ValueError if parts are missing or damaged.
    """
    config = PartConfig(pretrained=pretrained, variant=variant, revision=revision)
    parts = {
        name: load_pretrained(name, replace(config, subfolder=name), kind, dtype=dtype) for name, kind in PARTS.items()
    }
    location = open_location(pretrained, revision)
    if location.is_partial and not all(map(location.files_in, SMALL_FOLDERS)):
        location.list_remote_files()
    for name in SMALL_FOLDERS:
        location.fetch(name, location.files_in(name))
    folder = location.fetch("", ["model_index.json"])
    without = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    with quiet_libraries():
        return StableDiffusionInpaintPipeline.from_pretrained(folder, local_files_only=True, **parts, **without)
