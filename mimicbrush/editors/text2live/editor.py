"""Text2LIVE: a layer over a still, from text prompts."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mimicbrush.device import choose_device, choose_dtype
from mimicbrush.editors.text2live.clip_guide import ClipGuide, check_texts, load_clip_guide
from mimicbrush.editors.text2live.drawn_views import smallest_crop
from mimicbrush.editors.text2live.layer_network import LayerNetwork, build_layer_network
from mimicbrush.editors.text2live.layer_optimisation import LayerOptimisation, WorkingPicture
from mimicbrush.editors.text2live.layer_run_config import LayerRunConfig, layer_run_config
from mimicbrush.editors.text2live.losses import LayerLosses, TextEmbeddings, on_green
from mimicbrush.editors.text2live.prompts import SCREEN_TEMPLATES, TEMPLATES, fill_templates
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import draw_over, to_pil
from mimicbrush.pictures.crop_regions import crop_regions
from mimicbrush.requests import Edited, LayerRequest, OnProgress, Precision, ResumableEditor
from mimicbrush.run_state import RunState
from mimicbrush.seeds import seed_of


class Text2LiveEditor(ResumableEditor):
    """Optimises a small network for each request, which draws a layer of colour and opacity over the source.

    clip: a CLIP in transformers' layout: a hub repository, a folder, weights shipped with this package (asset:NAME), or
    a guide in memory. precision: of CLIP; bfloat16 is also that of the layer network's convolutions, which are computed
    in float32 otherwise. `auto` is float16 on a GPU, as in the release, and float32 elsewhere.
    Raises UserError if the weights are missing or do not fit.
    """

    request_class = LayerRequest

    def __init__(
        self,
        clip: str | ClipGuide = "openai/clip-vit-base-patch32",
        *,
        settings: Text2LiveSettings | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        self.settings = settings or Text2LiveSettings()
        # Not in the settings, which are also checked before a preset adds its canvas.
        if self.settings.num_starts and not self.settings.canvas_side:
            raise UserError(
                f"num_starts is {self.settings.num_starts} without a canvas to start; raise canvas_side, or set"
                " num_starts to 0"
            )
        self.device = choose_device(device)
        if isinstance(clip, ClipGuide):
            guide = ClipGuide(clip.clip, clip.tokenizer, position_table=self.settings.position_table)
            self.guide = guide.to(self.device)
            self.clip = "in memory"
        else:
            dtype = choose_dtype(precision, self.device)
            self.guide = load_clip_guide(
                clip, device=self.device, dtype=dtype, position_table=self.settings.position_table
            )
            self.clip = clip
        num_blocks, available = self.settings.num_relevancy_blocks, self.guide.num_blocks
        if num_blocks > available:
            raise UserError(f"num_relevancy_blocks is {num_blocks}, and this CLIP has {available} blocks; choose fewer")

    def edit(
        self, request: LayerRequest, *, on_progress: OnProgress | None = None, run_folder: Path | None = None
    ) -> Edited:
        """The layers of the result: `rgba`, its `opacity`, and the layer `on_green`.

        on_progress is called after each step; `preview` renders the layer as it is then. run_folder: where the state is
        kept, from which an equal call resumes, also where on_progress raises or a signal stops the process; the caller
        deletes it. Raises UserError if the folder belongs to another request or other settings.
        """
        optimisation = self.prepare(request)
        state = None
        if run_folder is not None:
            state = RunState(run_folder, self.describe_run(request))

        def on_step(step: int, is_last: bool) -> None:
            if on_progress is not None:
                share = 1.0 if is_last else (step + 1) / self.settings.num_steps
                on_progress(share, lambda: finish_edit(optimisation.render(), request, self.settings))

        optimisation.run(on_step, state)
        return finish_edit(optimisation.render(), request, self.settings)

    def prepare(self, request: LayerRequest) -> LayerOptimisation:
        """Embed the texts of a request and set up its optimisation; raises UserError where it cannot be edited."""
        if len(request.source) != 1:
            raise UserError(
                f"source has {len(request.source)} frames, and this editor edits stills; give a single picture, or use"
                " Text2LiveClipEditor with the clip's atlas"
            )
        picture = working_picture(request, self.settings)
        _check_sides(picture, self.settings)
        has_region = bool(request.region_prompts) or picture.is_guide
        network, losses = self.network_and_losses(request, has_region=has_region)
        return LayerOptimisation(network, losses, picture, self.settings, seed=request.seed, device=self.device)

    def network_and_losses(self, request: LayerRequest, *, has_region: bool) -> tuple[LayerNetwork, LayerLosses]:
        """Draw the layer's network, and embed the texts; has_region: whether the opacity begins from a region."""
        settings = self.settings
        num_steps = settings.num_steps if settings.bootstrap_steps is None else settings.bootstrap_steps
        losses = LayerLosses(
            self.guide, self._embed_texts(request), settings, num_bootstrap_steps=num_steps if has_region else 0
        )
        seed = seed_of(request.seed, "text2live network")
        return build_layer_network(settings, seed, has_two_colours=has_region and settings.num_starts > 0), losses

    def describe_run(self, request: LayerRequest) -> LayerRunConfig:
        """Everything that determines the edit of a request."""
        precision = str(self.guide.dtype).removeprefix("torch.")
        return layer_run_config(request, clip=self.clip, precision=precision, settings=self.settings)

    def _embed_texts(self, request: LayerRequest) -> TextEmbeddings:
        """Embed the prompts in their templates; without prompts for the screen, those of the edited picture."""
        texts = TextEmbeddings(
            composition=fill_templates(request.prompts, TEMPLATES),
            source=fill_templates(request.source_prompts, TEMPLATES),
            screen=fill_templates(request.screen_prompts or request.prompts, SCREEN_TEMPLATES),
            region=list(request.region_prompts),
            negative=list(request.negative_region_prompts),
        )
        check_texts(self.guide, [text for group in texts for text in group])
        empty = torch.zeros(0, self.guide.clip.config.projection_dim, device=self.device)
        return TextEmbeddings(*(self.guide.embed_texts(group) if group else empty for group in texts))


def working_picture(request: LayerRequest, settings: Text2LiveSettings) -> WorkingPicture:
    """Resize source and mask in 8 bits so that the shorter side is `resolution`, as in the release."""
    rows, columns = edited_part(request, settings)
    tensors = [tensor for tensor in (request.source, request.mask) if tensor is not None]
    images = [to_pil(tensor[0, :, rows, columns].float()) for tensor in tensors]
    if settings.resolution is not None:
        width, height = images[0].size
        factor = settings.resolution / min(width, height)
        size = tuple(
            settings.resolution if side == min(width, height) else int(factor * side) for side in (width, height)
        )
        images = [image.resize(size, Image.Resampling.BILINEAR) for image in images]
    if request.mask is None:
        return WorkingPicture(images[0])
    is_limit = request.mask_use == "limit"
    return WorkingPicture(images[0], images[1], is_limit=is_limit, is_guide=not (is_limit and request.region_prompts))


def edited_part(request: LayerRequest, settings: Text2LiveSettings) -> tuple[slice, slice]:
    """Rows and columns that the layer is optimised on: those of the whole source, or of a crop around the mask."""
    if request.mask is None or not settings.crop_to_mask:
        return tuple(slice(0, side) for side in request.source.shape[-2:])
    (region,) = crop_regions(request.mask[0].cpu(), size=1, context=settings.context, separate=False)
    return region.rows, region.columns


def finish_edit(layer: Tensor, request: LayerRequest, settings: Text2LiveSettings) -> Edited:
    """Resize a layer (1, 4, h, w) to its part of the source and draw it over the source at full resolution."""
    source = request.source
    rows, columns = edited_part(request, settings)
    layer, size = layer.float().cpu(), (rows.stop - rows.start, columns.stop - columns.start)
    if layer.shape[-2:] != size:
        layer = F.interpolate(layer, size, mode="bilinear", align_corners=False, antialias=True)
    bottom, right = (length - part.stop for length, part in zip(source.shape[-2:], (rows, columns), strict=True))
    layer = F.pad(layer, (columns.start, right, rows.start, bottom)).to(source).clamp(0, 1)
    if request.mask is not None and request.mask_use == "limit":
        layer[:, 3:] *= request.mask
    layers = {"rgba": layer, "opacity": layer[:, 3:], "on_green": on_green(layer)}
    return Edited(draw_over(layer, source), layers)


def _check_sides(picture: WorkingPicture, settings: Text2LiveSettings) -> None:
    height, width = picture.size
    smallest = smallest_crop(height, width, settings)
    if smallest < settings.min_side:
        raise UserError(
            f"the picture is optimised at {width} x {height} pixels, where crops are as small as {smallest} pixels, and"
            f" a network of {settings.num_scales} scales needs {settings.min_side}; raise resolution, or lower"
            " num_scales"
        )
