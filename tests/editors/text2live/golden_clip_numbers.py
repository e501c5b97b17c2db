"""Numbers of the released Text2LIVE on a clip (`video/` of the golden folder), and our types made from them."""

from __future__ import annotations

import json
from functools import cache

import torch
from safetensors.torch import load_file
from torch import Tensor

from mimicbrush.atlas.layered_atlas import LAYERS, ClipShape, Layer
from mimicbrush.atlas.rendered_atlas import AtlasLayer, RenderedAtlas, render_atlas
from mimicbrush.atlas.stored_atlas import read_published
from mimicbrush.editors.text2live.clip_draws import ClipStepDraws, FrameCrop
from mimicbrush.editors.text2live.clip_layer import ClipLayer, clip_layer
from mimicbrush.editors.text2live.clip_optimisation import ClipOptimisation
from mimicbrush.editors.text2live.clip_settings import ClipLayerSettings
from mimicbrush.editors.text2live.drawn_views import Box
from mimicbrush.editors.text2live.losses import LayerLosses
from mimicbrush.pictures.reading import read_image
from mimicbrush.tensor_files import torch_load
from tests.editors.text2live import golden_numbers as golden

VIDEO = golden.GOLDEN / "video"


@cache
def record() -> dict:
    return json.loads((VIDEO / "video.json").read_text())


@cache
def tensors(name: str) -> dict[str, Tensor]:
    return load_file(VIDEO / f"{name}.safetensors")


@cache
def frames() -> Tensor:
    """The clip (T, 3, H, W)."""
    return torch.stack([read_image(path) for path in sorted(VIDEO.glob("frame*.png"))])


@cache
def rendered() -> RenderedAtlas:
    path = VIDEO / "checkpoint"
    num_frames, _, height, width = frames().shape
    resolution = record()["foreground"]["config"]["grid_atlas_resolution"]
    return render_atlas(
        read_published(torch_load(path), path), ClipShape(num_frames, height, width), resolution=resolution
    )


@cache
def recorded() -> RenderedAtlas:
    """The recorded layers, so that the steps begin from the same bits."""
    numbers = tensors("layers")
    layers = {
        name: AtlasLayer(
            numbers[f"{name}_atlas"],
            numbers[f"{name}_uv_mask"],
            numbers[f"{name}_uv_pixels"],
            tuple(record()[f"{name}_min_uv"]),
        )
        for name in LAYERS
    }
    return RenderedAtlas(numbers["alpha"], layers, {"background": numbers["background_reconstruction"]})


def settings_of(layer: Layer) -> ClipLayerSettings:
    """Our settings from the config of a layer's run."""
    config = record()[layer]["config"]
    # What the configs of stills have besides is not used for clips.
    stills = {"resize_input": 0, "source_image_every": config["entire_atlas_every"]}
    shared = golden.settings_of(config | stills)
    return ClipLayerSettings(
        **vars(shared)
        | {
            "atlas_layer": layer,
            "frame_distance": config["center_frame_distance"],
            "atlas_resolution": config["grid_atlas_resolution"],
            "opacity_threshold": config["mask_alpha_threshold"],
            "box_border": config["masks_border_expansion"],
            "flip_prob": config["flip_p"],
            "min_cover": config["crops_min_cover"],
        }
    )


def layer_of(layer: Layer) -> ClipLayer:
    return clip_layer(recorded(), frames(), settings_of(layer))


def losses_of(layer: Layer) -> LayerLosses:
    config = record()[layer]["config"] | {"resize_input": 0, "source_image_every": 1}
    shared = golden.losses_of(config)
    return LayerLosses(shared.guide, shared.texts, settings_of(layer), num_bootstrap_steps=0)


def optimisation_of(layer: Layer) -> ClipOptimisation:
    return ClipOptimisation(
        golden.network(tensors("generator")),
        losses_of(layer),
        layer_of(layer),
        settings_of(layer),
        seed=0,
        device=torch.device("cpu"),
    )


def step_draws(layer: Layer, sample: dict, *, direct: int, has_whole: bool, losses: dict) -> ClipStepDraws:
    """The draws of a step from its log, which lists them in the order of the released code."""
    log = list(sample.get("log", sample.get("sample_log")))
    (_, _, middle), distance = log.pop(0), settings_of(layer).frame_distance
    boxes = layer_of(layer).boxes
    if layer == "foreground":
        crops = tuple(
            FrameCrop(frame, _next_box(log, boxes[frame]), _next_colours(log))
            for frame in (middle - distance, middle, middle + distance)
        )
    else:
        box = _next_box(log, boxes[middle], has_unused_frame=True)
        colours = _next_colours(log)
        crops = tuple(FrameCrop(frame, box, colours) for frame in (middle - distance, middle, middle + distance))
    assert log.pop(0)[0] == "crop"  # of the atlas, which follows from those of the frames
    atlas_colours = _next_colours(log)
    assert not log
    sizes = [crop.box[2:] for crop in (*crops, crops[direct])]
    sizes += [tuple(layer_of(layer).whole_item.shape[-2:])] * has_whole
    draws = golden.loss_draws(losses, sizes)
    return ClipStepDraws(crops, atlas_colours, sample["flip"], direct, has_whole, draws)


def _next_box(log: list, box: Box, *, has_unused_frame: bool = False) -> Box:
    """Read a crop's size and place; the place is drawn only where the crop is smaller than the box."""
    height, width = (log.pop(0)[2] for _ in range(2))
    if has_unused_frame:
        log.pop(0)
    top = left = 0
    if (height, width) != box[2:]:
        top, left = (log.pop(0)[2][0] for _ in range(2))
    return box[0] + top, box[1] + left, height, width


def _next_colours(log: list) -> tuple[tuple[str, float], ...]:
    colours = []
    while log and log[0][0] in golden.COLOURS:
        colours.append(tuple(log.pop(0)))
    return tuple(colours)
