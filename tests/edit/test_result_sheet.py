from __future__ import annotations

import numpy as np
from PIL import Image

from mimicbrush.edit.inputs import read_inputs
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.edit.result_sheet import SIDE, write_sheet
from mimicbrush.reports.contact_sheet import GAP, LABEL_HEIGHT


def test_a_sheet_shows_the_mask_and_what_is_meant_in_a_reference(pictures):
    """Red within the box, and blue around it; the mask of 70 x 50 pixels is white from (20, 20) to (40, 30)."""
    reference = Image.new("RGB", (100, 100), "blue")
    reference.paste("red", (20, 20, 60, 60))
    reference.save(pictures / "r.png")
    Image.new("RGB", (70, 50)).save(pictures / "e.png")
    config = ReferenceEditConfig(
        weights="none",
        source=pictures / "s.png",
        mask=pictures / "m.png",
        reference=pictures / "r.png",
        reference_box=[20, 20, 60, 60],
        output=pictures / "e.png",
    )
    write_sheet(config, read_inputs(config))
    sheet = np.asarray(Image.open(config.sheet))
    top = GAP + LABEL_HEIGHT
    mask, whole = (sheet[top : top + SIDE, left : left + SIDE] for left in (2 * GAP + SIDE, 3 * GAP + 2 * SIDE))
    meant = sheet[-GAP - SIDE : -GAP, GAP : GAP + SIDE]
    row = SIDE * 25 // 70
    assert (mask[row, SIDE * 3 // 7] == 255).all() and (mask[row, SIDE * 5 // 7] == 0).all()
    assert (whole[2, 2] == (0, 0, 255)).all() and (whole[SIDE * 2 // 5, SIDE * 2 // 5] == (255, 0, 0)).all()
    assert (meant == (255, 0, 0)).all()
