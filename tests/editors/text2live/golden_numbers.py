"""Numbers of the released Text2LIVE (`tests/assets/golden/text2live/README.md`), and our types made from them.

TEXT2LIVE_GOLDEN names another folder of the same format; every size comes from its files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from mimicbrush.editors.text2live.clip_guide import ClipGuide, load_clip_guide
from mimicbrush.editors.text2live.drawn_views import DrawnCrop, View
from mimicbrush.editors.text2live.layer_network import LayerNetwork
from mimicbrush.editors.text2live.losses import LayerLosses, TextEmbeddings
from mimicbrush.editors.text2live.prompts import SCREEN_TEMPLATES, TEMPLATES, fill_templates
from mimicbrush.editors.text2live.settings import Text2LiveSettings
from mimicbrush.editors.text2live.step_draws import LossDraws
from mimicbrush.pictures.conversion import to_channels
from tests.conftest import REPOSITORY

GOLDEN = Path(os.environ.get("TEXT2LIVE_GOLDEN", REPOSITORY / "tests" / "assets" / "golden" / "text2live"))
IMAGE = GOLDEN / "image"
COLOURS = ("brightness", "contrast", "saturation", "hue")
VIEW_PARTS = ("crop", "resize", "hflip", "affine", "perspective", *COLOURS, "grayscale")
CROP_PARTS = (*COLOURS, "hflip", "resize", "crop")
LOSS_NAMES = {
    "bootstrap": "loss_bootstrap",
    "structure": "loss_structure",
    "composition": "loss_comp_clip",
    "direction": "loss_comp_dir",
    "sparsity": "loss_sparsity",
    "screen": "loss_screen",
    "total": "loss",
}
TRANSPOSED_MATRIX = "head.colour_matrix_T"
SCHEDULES = {"none": "constant"}


@cache
def read_json(name: str) -> dict:
    return json.loads((IMAGE / f"{name}.json").read_text())


@cache
def tensors(name: str) -> dict[str, Tensor]:
    return load_file(IMAGE / f"{name}.safetensors")


@cache
def open_picture(name: str) -> Image.Image:
    return Image.open(IMAGE / f"{name}.png").convert("RGB")


def to_tensor(picture: Image.Image) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return to_channels(np.asarray(picture))[None]


@cache
def guide() -> ClipGuide:
    return load_clip_guide(str(GOLDEN / "clip"), device=torch.device("cpu"), dtype=torch.float32)


@cache
def roles() -> dict[str, str]:
    """Name of every tensor of the released generator -> its name in ours, but for averages, which nothing reads."""
    names = {}
    for official, role in read_json("generator")["roles"].items():
        if role.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked"):
            continue
        for theirs, ours in (("scale", "scales."), ("merge.norm", "merge"), ("head.conv", "head")):
            role = role.replace(theirs, ours, 1)
        names[official] = role
    return names


def network(weights: dict[str, Tensor]) -> LayerNetwork:
    """Our network with the released generator's weights, which must all have a place in it; the constants are ours."""
    sizes = read_json("generator")
    found = LayerNetwork(
        sizes["num_scales"], down=sizes["channels_down"], up=sizes["channels_up"], skip=sizes["channels_skip"]
    )
    state = {ours: weights[official] for official, ours in roles().items()}
    assert torch.allclose(found.colour_matrix, state.pop(TRANSPOSED_MATRIX).T, atol=1e-6)
    found.load_state_dict(state | {"colour_matrix": found.colour_matrix})
    return found


def settings_of(config: dict) -> Text2LiveSettings:
    """Our settings from a config of the released code."""
    return Text2LiveSettings(
        num_steps=config["n_epochs"],
        resolution=config["resize_input"] or None,
        num_scales=config["num_scales"],
        learning_rate=config["lr"],
        learning_rate_decay=config["gamma"],
        min_learning_rate=config["min_lr"],
        whole_every=config["source_image_every"],
        num_views=config["n_aug"],
        view_fill=config["clip_affine_transform_fill"],
        composition_weight=config["lambda_composition"],
        structure_weight=config["lambda_structure"],
        screen_weight=config["lambda_screen"],
        sparsity_weight=config["lambda_sparsity"],
        opacity_l1_weight=config["lambda_alpha_l1"],
        opacity_l0_weight=config["lambda_alpha_l0"],
        distance=config["text_criterion"],
        bootstrap_steps=max(0, config["bootstrap_epoch"]),
        bootstrap_weight=config["lambda_bootstrap"],
        min_bootstrap_weight=config["lambda_bootstrap_min"],
        bootstrap_schedule=SCHEDULES.get(config["bootstrap_scheduler"], config["bootstrap_scheduler"]),
        num_relevancy_blocks=guide().num_blocks - 1 - config["relevancy_num_layers"],
        negative_threshold=config["bootstrap_negative_map_threshold"],
    )


def as_list(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def losses_of(config: dict) -> LayerLosses:
    """The losses of a config of the released code, with its texts embedded."""
    negative = as_list(config["bootstrap_negative_text"]) if config["use_negative_bootstrap"] else []
    texts = (
        fill_templates(as_list(config["comp_text"]), TEMPLATES),
        fill_templates(as_list(config["src_text"]), TEMPLATES),
        fill_templates(as_list(config["screen_text"]), SCREEN_TEMPLATES),
        as_list(config["bootstrap_text"]),
        negative,
    )
    empty = torch.zeros(0, guide().clip.config.projection_dim)
    embedded = TextEmbeddings(*(guide().embed_texts(group) if group else empty for group in texts))
    settings = settings_of(config)
    return LayerLosses(guide(), embedded, settings, num_bootstrap_steps=settings.bootstrap_steps)


def losses_in(record: dict) -> dict[str, float]:
    """Recorded losses by our names."""
    return {ours: record["losses"][theirs] for ours, theirs in LOSS_NAMES.items() if theirs in record["losses"]}


def view_of(operations: Sequence[list], picture_size: tuple[int, int]) -> View:
    """A view from its recorded operations, whose order must be that of our parts."""
    found = _by_name(operations, VIEW_PARTS)
    crop = tuple(found["crop"]) if "crop" in found else None
    size = tuple(found["resize"]) if "resize" in found else (crop[2:] if crop else picture_size)
    turn = tilt = None
    if "affine" in found:
        (affine,) = found["affine"]
        assert affine["scale"] == 1 and not any(affine["shear"])
        turn = affine["angle"], tuple(affine["translate"])
    if "perspective" in found:
        tilt = tuple(map(tuple, found["perspective"][0]["endpoints"]))
    return View(size, crop, "hflip" in found, turn, tilt, _colours(operations), "grayscale" in found)


def fills_of(operations: Sequence[list]) -> set[float]:
    """Grey levels outside the warped parts of a view."""
    warps = [arguments[0] for name, *arguments in operations if name in ("affine", "perspective")]
    return {level for warp in warps for level in warp["fill"]}


def crop_of(operations: Sequence[list], picture_size: tuple[int, int]) -> DrawnCrop:
    """A crop of the internal data set from its recorded operations, whose order must be that of our parts."""
    found = _by_name(operations, CROP_PARTS)
    size = tuple(found["resize"]) if "resize" in found else picture_size
    return DrawnCrop(size, tuple(found["crop"]) if "crop" in found else None, _colours(operations), "hflip" in found)


def loss_draws(draws: dict, sizes: Sequence[tuple[int, int]]) -> LossDraws:
    """The draws of the losses from a record; sizes: of the step's pictures."""

    def views(of_items: list) -> list[list[View]]:
        return [
            [view_of(operations, size) for operations in of_item] for of_item, size in zip(of_items, sizes, strict=True)
        ]

    return LossDraws(
        composition_texts=draws["comp_clip"]["text_indices"],
        composition_views=views(draws["comp_clip"]["views"]),
        direction_texts=draws["comp_dir"]["text_indices"],
        source_views=views(draws["comp_dir"]["views_source"]),
        edited_views=views(draws["comp_dir"]["views_composite"]),
        screen_texts=draws["screen"]["text_indices"],
        screen_views=views(draws["screen"]["views"]),
    )


def _by_name(operations: Sequence[list], order: Sequence[str]) -> dict[str, list]:
    """Arguments of the operations by name; the groups of `order` follow each other, colours in any order."""
    places = [order.index(COLOURS[0] if name in COLOURS else name) for name, *_ in operations]
    assert places == sorted(places), operations
    found = {name: arguments for name, *arguments in operations}
    assert len(found) == len(operations), operations
    return found


def _colours(operations: Sequence[list]) -> tuple[tuple[str, float], ...]:
    return tuple((name, arguments[0]) for name, *arguments in operations if name in COLOURS)
