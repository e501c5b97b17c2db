"""Class paths are public: every one that a shipped or documented config has named keeps working."""

from __future__ import annotations

import pytest

from mimicbrush.config import find_class
from mimicbrush.requests import (
    Editor,
    EditRequest,
    LayerRequest,
    MaskedRequest,
    MotionRequest,
    ReferenceRequest,
    TextRequest,
    VideoRequest,
)

PATHS = {
    "mimicbrush.editors.genvideo.GenVideoEditor": VideoRequest,
    "mimicbrush.editors.mimicbrush.MimicBrushEditor": ReferenceRequest,
    "mimicbrush.editors.mimicbrush_clips.MimicBrushClipsEditor": VideoRequest,
    "mimicbrush.editors.motion_guidance.MotionGuidanceEditor": MotionRequest,
    "mimicbrush.editors.move_and_repaint.MoveAndRepaintEditor": MotionRequest,
    "mimicbrush.editors.through_atlas.ThroughAtlasEditor": ReferenceRequest,
    "mimicbrush.editors.stable_diffusion.StableDiffusionInpainting": TextRequest,
    "mimicbrush.editors.text2live.Text2LiveEditor": LayerRequest,
    "mimicbrush.editors.baselines.Identity": EditRequest,
    "mimicbrush.editors.baselines.MeanColour": MaskedRequest,
    "mimicbrush.editors.baselines.ClassicalInpainting": MaskedRequest,
    "mimicbrush.editors.baselines.ReferencePaste": ReferenceRequest,
    "mimicbrush.editors.baselines.ColourTransfer": ReferenceRequest,
    "mimicbrush.editors.baselines.NamedColours": TextRequest,
    "mimicbrush.editors.baselines.PlainWarp": MotionRequest,
    "mimicbrush.editors.baselines.WarpAndInpaint": MotionRequest,
    "mimicbrush.editors.baselines.PerFrame": VideoRequest,
}


@pytest.mark.parametrize("path", PATHS)
def test_class_paths_of_configs_name_editors_of_their_kind(path):
    assert find_class(path, Editor).request_class is PATHS[path]
