from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mimicbrush.demo.object_selection import ObjectSelector
from mimicbrush.demo.painter import PainterData, from_browser, to_browser
from mimicbrush.demo.strokes import PaintedPicture, Stroke
from mimicbrush.demo.tabs.text_tab import TextHandlers
from mimicbrush.errors import UserError
from mimicbrush.pictures.writing import write_image

LEFT, TOP, RIGHT, BOTTOM = SQUARE = (30, 20, 60, 50)


def picture_of_a_square() -> Image.Image:
    """A red square on green."""
    levels = np.random.default_rng(0).integers(0, 40, (80, 100, 3))
    levels[..., 1] += 120
    levels[TOP:BOTTOM, LEFT:RIGHT] = (200, 30, 30)
    return Image.fromarray(levels.astype(np.uint8))


def inside(*box: int) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros((80, 100), bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize("corners", [[(24, 14), (66, 56)], [(66, 14.4), (24, 56)]])
def test_the_thing_in_a_box_is_found(corners):
    found = ObjectSelector(None).select(picture_of_a_square(), corners)
    assert (found != inside(*SQUARE)).sum() <= 8


@pytest.mark.parametrize("corners", [[(-10, -10), (500, 500)], [(50, 40), (50, 40)]])
def test_a_box_with_nothing_in_it_is_refused(corners):
    with pytest.raises(UserError, match="nothing was found there; drag a box"):
        ObjectSelector(None).select(Image.new("RGB", (100, 80)), corners)


def test_a_click_is_passed_to_segment_anything(monkeypatch):
    prompts = []

    def load(name: str) -> SimpleNamespace:
        return SimpleNamespace(segment=lambda image, prompt: prompts.append((name, prompt)) or inside(*SQUARE))

    monkeypatch.setattr("mimicbrush.segmentation.segment_anything.SegmentAnything", load)
    selector = ObjectSelector("weights/sam")
    assert np.array_equal(selector.select(picture_of_a_square(), [(40.5, 30)]), inside(*SQUARE))
    ((name, prompt),) = prompts
    assert name == "weights/sam" and prompt.box is None and prompt.clicks == ((40.5, 30, 1),)


def test_the_thing_is_added_to_what_is_painted(editor, config, folders, tmp_path):
    handlers = TextHandlers(editor, config, folders)
    write_image(picture_of_a_square(), tmp_path / "square.png")
    dot = Stroke(tool="box", points=[(80, 70), (90, 75)])
    before = to_browser(PaintedPicture(picture=tmp_path / "square.png", strokes=(dot,), size=(100, 80)))
    selected = handlers.select_object(before.model_copy(update={"selection": [(24, 14), (66, 56)]}))
    mask = np.asarray(Image.open(from_browser(selected).mask)) > 0
    assert (mask != (inside(*SQUARE) | inside(80, 70, 90, 75))).sum() <= 8
    assert not selected.strokes and not selected.selection and selected.mask_preview and not selected.error
    refused = handlers.select_object(before.model_copy(update={"selection": [(0, 0), (100, 80)]}))
    assert "nothing was found there" in refused.error and refused.strokes == before.strokes and not refused.selection
    assert "nothing was selected" in handlers.select_object(PainterData()).error
