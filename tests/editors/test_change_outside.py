"""Every editor leaves alone what lies beyond the feather, in pictures of every size, and the metric agrees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mimicbrush.editors import baselines
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.editors.stable_diffusion import StableDiffusionInpainting
from mimicbrush.evaluation.metrics.border import change_outside
from mimicbrush.evaluation.metrics.score import EditedPicture
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.mask_geometry import grow
from mimicbrush.requests import Editor, ReferenceRequest, TextRequest

SIZES = [(512, 512), (1024, 1024), (2048, 640), (400, 1536)]
WITHOUT_WEIGHTS = {
    "identity": baselines.Identity,
    "mean colour": baselines.MeanColour,
    "reference paste": baselines.ReferencePaste,
    "colour transfer": baselines.ColourTransfer,
    "classical inpainting": baselines.ClassicalInpainting,
}
MIMICBRUSH = {
    "exact": {},
    "released": {"geometry": "released"},
    "matched colours": {"match_colour": True},
    "crop": {"crop_to_mask": True},
    "released crop": {"crop_to_mask": True, "geometry": "released"},
    "separate": {"regions": "separate"},
    "in turn": {"regions": "in_turn"},
}


@pytest.fixture(scope="module")
def scene() -> dict[tuple[int, int], tuple[torch.Tensor, torch.Tensor]]:
    """Source (1, 3, H, W) and mask (1, 1, H, W) of two parts, by size."""
    made = {}
    for height, width in SIZES:
        mask = torch.zeros(1, 1, height, width)
        mask[..., height // 3 : height // 3 + 60, width // 4 : width // 4 + 90] = 1
        mask[..., height // 2 : height // 2 + 40, width // 2 : width // 2 + 40] = 1
        made[height, width] = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)), mask
    return made


@pytest.fixture(scope="module")
def editor(request, untouched_network) -> Editor:
    if request.param in WITHOUT_WEIGHTS:
        return WITHOUT_WEIGHTS[request.param]()
    if request.param in MIMICBRUSH:
        return MimicBrushEditor(untouched_network, num_inference_steps=1, **MIMICBRUSH[request.param])
    folder = request.getfixturevalue("inpainting_folder")
    return StableDiffusionInpainting(str(folder), num_inference_steps=2, device="cpu")


def eight_bits(picture: torch.Tensor) -> np.ndarray:
    return np.asarray(to_pil(picture[0]))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("editor", [*WITHOUT_WEIGHTS, *MIMICBRUSH, "stable diffusion"], indirect=True)
def test_nothing_changes_beyond_the_feather(editor, size, scene):
    source, mask = scene[size]
    if editor.request_class is TextRequest:
        asked = TextRequest(source=source, mask=mask, prompt="red hat")
    else:
        asked = ReferenceRequest(source=source, mask=mask, reference=source[0, :, :50, :60])
    edited = editor.edit(asked).frames
    before, after, hidden = eight_bits(source), eight_bits(edited), mask[0, 0].numpy() > 0.5
    assert change_outside(EditedPicture(before, hidden, after, before, None)) == 0
    if not isinstance(editor, baselines.Identity):
        assert (before != after)[hidden].any()


@pytest.mark.parametrize("editor", ["exact", "stable diffusion"], indirect=True)
def test_the_feather_itself_grows_with_the_picture(editor, scene):
    """So that the metric's promise is no wider than what editors need."""
    source, mask = scene[2048, 640]
    kind = TextRequest if editor.request_class is TextRequest else ReferenceRequest
    guide = {} if kind is TextRequest else {"reference": source[0, :, :50, :60]}
    changed = (eight_bits(editor.edit(kind(source=source, mask=mask, **guide)).frames) != eight_bits(source)).any(
        axis=2
    )
    hidden = mask[0, 0].numpy() > 0.5
    assert (changed & ~grow(hidden, 20)).any() and not (changed & ~grow(hidden, 40)).any()
