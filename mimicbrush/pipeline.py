"""Imitative editing as a pipeline of diffusers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, SchedulerMixin, UNet2DConditionModel
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from diffusers.utils.torch_utils import get_device
from PIL import Image
from torch import Tensor
from transformers import CLIPVisionModelWithProjection, DepthAnythingForDepthEstimation

from mimicbrush.config import config_from_dict, to_plain
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.editors.mimicbrush.settings import Geometry, Regions
from mimicbrush.errors import UserError
from mimicbrush.model.conditioning import DepthShape, EdgeShape, ImageEncoder, ImageProjector, ShapeProjector
from mimicbrush.model.config import NetworkOptions
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.sampling import OnStep
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.exported_folder import load_scheduler, recommended_scheduler, save_pretrained
from mimicbrush.model.weights.find import few_steps_of
from mimicbrush.model.weights.lora_loader import LoraLoader
from mimicbrush.model.weights.weights_upload import HubUpload
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.edit_inputs import CropBox, Picture, Source, as_edit_mask, as_reference, as_source
from mimicbrush.progress import Progress, progress_bar
from mimicbrush.requests import Edited, ReferenceRequest

log = logging.getLogger(__name__)

Callback = Callable[["MimicBrushPipeline", int, Tensor, dict[str, Tensor]], dict[str, Tensor]]
"""Callback of diffusers: receives the pipeline, the step, its timestep and {"latents": ..., "pred_original_sample":
...}, where the latter is the prediction without noise; returns {"latents": ...} to replace the latents."""

COMPONENTS = ("unet", "reference_unet", "vae", "image_encoder", "image_projector", "shape_projector", "depth_model")
"""Components of the network."""


class MimicBrushPipeline(LoraLoader, HubUpload, DiffusionPipeline):
    """Repaints the masked part of a picture so that it imitates a reference.

    pipe = MimicBrushPipeline.from_pretrained("runs/demo/train").to("cuda")
    edited = pipe(image=source, mask_image=mask, reference_image=reference).images[0]

    The components are those of an exported folder, models of diffusers and transformers. As usual they can be moved,
    offloaded, replaced, sliced or tiled (`pipe.vae.enable_tiling()`), and LoRA files can be loaded.
    """

    # The order of their use in an edit. The reference U-Net alternates with `unet`, so it is not offloaded separately.
    model_cpu_offload_seq = "depth_model->shape_projector->image_encoder->image_projector->unet->vae"
    _optional_components = ("depth_model",)

    def __init__(
        self,
        unet: UNet2DConditionModel,
        reference_unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        image_encoder: CLIPVisionModelWithProjection,
        image_projector: ImageProjector,
        shape_projector: ShapeProjector,
        scheduler: SchedulerMixin,
        depth_model: DepthAnythingForDepthEstimation | None = None,
        network_options: Mapping | None = None,
    ) -> None:
        """network_options: fields of `NetworkOptions`. Without a depth model, shape maps are the source's edges."""
        super().__init__()
        self.register_modules(
            unet=unet,
            reference_unet=reference_unet,
            vae=vae,
            image_encoder=image_encoder,
            image_projector=image_projector,
            shape_projector=shape_projector,
            scheduler=scheduler,
            depth_model=depth_model,
        )
        self.register_to_config(network_options=dict(network_options or {}))

    @classmethod
    def from_network(cls, network: MimicBrushNetwork, scheduler: SchedulerMixin | None = None) -> MimicBrushPipeline:
        """Build a pipeline that shares the parts of a network in memory."""
        return cls(
            unet=network.imitative_unet,
            reference_unet=network.reference_unet,
            vae=network.autoencoder,
            image_encoder=network.image_encoder.clip,
            image_projector=network.image_projector,
            shape_projector=network.shape_projector,
            scheduler=scheduler or recommended_scheduler(network.options),
            depth_model=getattr(network.shape_map, "depth_model", None),
            network_options=to_plain(network.options),
        )

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path,
        *,
        use_ema: bool = True,
        dtype: torch.dtype = torch.float32,
        torch_dtype: torch.dtype | None = None,
    ) -> MimicBrushPipeline:
        """Load a training run, an exported folder, a hub repository or a released mimicbrush.bin, on the CPU.

        use_ema: use the averaged weights of a run; dtype: of all components but the depth model, which stays in float32
        as in the release; torch_dtype: the former name of `dtype` in diffusers. Raises UserError if the weights are
        missing or incomplete.
        """
        network = load_network(weights, use_ema=use_ema, dtype=torch_dtype or dtype)
        pipe = cls.from_network(network, load_scheduler(weights))
        pipe.few_steps = few_steps_of(str(weights))
        return pipe

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the components in diffusers' layout, LoRA files merged in; raises UserError if the folder exists."""
        save_pretrained(self.network, Path(folder), scheduler=self.scheduler)

    @cached_property
    def network(self) -> MimicBrushNetwork:
        """The network of the components, built once, and again after a component is replaced."""
        options = config_from_dict(NetworkOptions, self.config.network_options)
        has_depth = self.depth_model is not None
        return MimicBrushNetwork(
            imitative_unet=self.unet,
            reference_unet=self.reference_unet,
            autoencoder=self.vae,
            image_encoder=ImageEncoder(self.image_encoder),
            image_projector=self.image_projector,
            shape_map=DepthShape(self.depth_model, options.depth_input) if has_depth else EdgeShape(),
            shape_projector=self.shape_projector,
            options=options,
        ).eval()

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute as in diffusers, and discard a network whose components it replaces."""
        super().__setattr__(name, value)
        if name in (*COMPONENTS, "_internal_dict"):  # the latter is the config, which holds the network's options
            vars(self).pop("network", None)

    def enable_sequential_cpu_offload(
        self, gpu_id: int | None = None, device: torch.device | str | None = None
    ) -> None:
        """Keep weights in CPU memory and move them to the GPU one layer at a time, with the least memory, but slowly.

        Raises UserError without a GPU.
        """
        if torch.device(device or get_device()).type == "cpu":
            raise UserError(
                "sequential offload moves layers to a GPU, but none is available or chosen; leave it out, as weights on"
                " the CPU are in CPU memory anyway"
            )
        super().enable_sequential_cpu_offload(gpu_id, device)

    def set_attention_slice(self, slice_size: int | str | None) -> None:
        """Do nothing: attention is already memory-efficient, and slicing would replace the reference attention."""

    def __call__(
        self,
        image: Picture,
        mask_image: Picture,
        reference_image: Picture | Sequence[Picture],
        *,
        reference_box: CropBox | Sequence[CropBox | None] | None = None,
        reference_mask_image: Picture | Sequence[Picture | None] | None = None,
        keep_shape: bool = False,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        crop_to_mask: bool = False,
        regions: Regions = "together",
        context: float = 2.0,
        match_colour: bool = False,
        geometry: Geometry = "exact",
        output_type: Literal["pil", "np", "pt"] = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callback | None = None,
    ) -> ImagePipelineOutput | tuple:
        """Repaint the white part of `mask_image` so that it imitates the matching part of the reference.

        Pictures are PIL pictures, arrays (H, W, C) or tensors (C, H, W), in [0, 1] or uint8. Transparent parts are
        white in source and reference, and black in a mask. Several references are arranged on one canvas; reference_box
        (left, top, right, bottom) or reference_mask_image crop each of them. keep_shape: keep the source's shape under
        the mask, for a new texture. num_inference_steps and guidance_scale (None: as the weights recommend),
        crop_to_mask, regions, context, match_colour, geometry: as in `EditSettings`. generator: one for all results, or
        a list of one for each.
        output_type: PIL pictures of 8 bits, arrays (N, H, W, C) in [0, 1], or tensors (N, C, H, W). Alpha is the
        source's, and so are all pixels beyond the feathered mask, which reaches 10 pixels, of which 8 bits show about
        6, and proportionally more for sides longer than 512 pixels.
        callback_on_step_end: its steps start again for each region that is edited separately; an exception in it stops
        the edit. Raises UserError, one sentence, for pictures or settings that cannot be used.
        """
        if output_type not in ("pil", "np", "pt"):
            raise UserError(f"output_type is {output_type}, expected pil, np or pt")
        source, size = as_source(image), self.network.size
        request = ReferenceRequest(
            source=source.pixels[None],
            mask=as_edit_mask(mask_image, source.pixels)[None],
            reference=as_reference(reference_image, boxes=reference_box, masks=reference_mask_image, size=size),
            keep_shape=keep_shape,
        )
        editor = self.editor(
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            crop_to_mask=crop_to_mask,
            regions=regions,
            context=context,
            match_colour=match_colour,
            geometry=geometry,
        )
        samples = self._sample(editor, request, _generators(generator, num_images_per_prompt), callback_on_step_end)
        images = _pack([sample.frames[0] for sample in samples], source, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def shape_maps(self, image: Picture, mask_image: Picture | None = None, **settings: object) -> list[Image.Image]:
        """Compute the shape maps that `keep_shape` would follow: one grey picture, or one for each crop.

        settings: fields of `EditSettings`.
        """
        source = as_source(image).pixels
        mask = torch.ones_like(source[:1]) if mask_image is None else as_edit_mask(mask_image, source)
        request = ReferenceRequest(source=source[None], mask=mask[None], reference=source)
        maps = self.editor(**settings).shape_maps(request)
        self.maybe_free_model_hooks()
        return [to_pil((each - each.min()) / (each.max() - each.min()).clamp(min=1e-6)) for each in maps]

    def progress_bar(self, iterable: Iterable | None = None, total: int | None = None) -> Progress:
        """Show a bar as in diffusers; with `set_progress_bar_config(disable=None)`, plain lines outside a terminal."""
        config = getattr(self, "_progress_bar_config", {})
        if config.get("disable", False) is not None:
            return super().progress_bar(iterable, total)
        return progress_bar(iterable, total=total, desc=config.get("desc"), leave=config.get("leave", True))

    def editor(self, **settings: object) -> MimicBrushEditor:
        """Make the editor of a call, with the present components. settings: fields of `EditSettings`."""
        return MimicBrushEditor(self.network.eval(), scheduler=self.scheduler, **settings)

    def _sample(
        self,
        editor: MimicBrushEditor,
        request: ReferenceRequest,
        generators: list[torch.Generator],
        callback: Callback | None,
    ) -> list[Edited]:
        """Draw a result for each generator, with a progress bar, after logging the editor's hints."""
        for hint in editor.hints(request):
            log.warning(hint)
        num_passes = editor.num_passes(request)
        with self.progress_bar(total=editor.settings.num_inference_steps * num_passes) as bar:
            samples = editor.draw_samples(request, generators, on_step=self._reporter(bar, num_passes, callback))
        self.maybe_free_model_hooks()
        return samples

    def _reporter(self, bar: Progress, num_passes: int, callback: Callback | None) -> OnStep:
        """Make a function for each sampling step that updates the bar and calls the callback with the latents."""

        def report(step: int, latents: Tensor, pred_original_sample: Tensor) -> Tensor | None:
            bar.total = len(self.scheduler.timesteps) * num_passes
            bar.update()
            if callback is None:
                return None
            values = {"latents": latents, "pred_original_sample": pred_original_sample}
            changed = callback(self, step, self.scheduler.timesteps[step], values)
            return (changed or {}).get("latents")

        return report


def _generators(generator: torch.Generator | list[torch.Generator] | None, num: int) -> list[torch.Generator]:
    """Return one generator for each result; a single one is shared."""
    if num < 1:
        raise UserError(f"num_images_per_prompt is {num}, expected at least 1")
    if isinstance(generator, list):
        if len(generator) != num:
            raise UserError(f"{len(generator)} generators for {num} results; give one for each, or one for all")
        return generator
    return [generator or torch.default_generator] * num


def _pack(samples: list[Tensor], source: Source, output_type: str) -> list[Image.Image] | np.ndarray | Tensor:
    """Convert samples (3, H, W) to the output type, with the source's transparency."""
    samples = [source.restore(sample) for sample in samples]
    if output_type == "pil":
        pictures = [to_pil(sample) for sample in samples]
        for picture in pictures:
            picture.info["icc_profile"] = source.icc_profile
        return pictures
    stacked = torch.stack(samples)
    return stacked.permute(0, 2, 3, 1).numpy() if output_type == "np" else stacked
