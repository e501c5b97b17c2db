from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mimicbrush.reports.contact_sheet import (
    BACKGROUND,
    GAP,
    LABEL_HEIGHT,
    MIN_SIDE,
    column_rows,
    contact_sheet,
    join,
    square_rows,
    text_panel,
)

GREY = [int(BACKGROUND[1:3], 16)] * 3
RED, BLUE = [255, 0, 0], [0, 0, 255]


def test_pictures_keep_their_pixels_in_rows_and_only_the_first_row_has_titles():
    noise = np.random.default_rng(0).integers(0, 256, (4, 200, 200, 3), np.uint8)
    left, right = ([Image.fromarray(picture) for picture in noise[first::2]] for first in (0, 1))
    sheet = np.asarray(contact_sheet(column_rows(("left", "right"), [left, right])))
    assert sheet.shape == (2 * 200 + 3 * GAP + LABEL_HEIGHT, 2 * 200 + 3 * GAP, 3)
    top = GAP + LABEL_HEIGHT
    for row in range(2):
        for column in range(2):
            y, x = top + row * (200 + GAP), GAP + column * (200 + GAP)
            assert (sheet[y : y + 200, x : x + 200] == noise[2 * row + column]).all()
    band = sheet[GAP:top]
    assert band.min() < 64 and (band[:, :GAP] == GREY).all()


def test_small_pictures_are_enlarged_by_a_whole_number():
    sheet = np.asarray(contact_sheet([[("", Image.new("RGB", (50, 20), "red"))]]))
    times = -(-MIN_SIDE // 50)
    assert sheet.shape == (20 * times + 2 * GAP, 50 * times + 2 * GAP, 3)
    assert (sheet[GAP:-GAP, GAP:-GAP] == RED).all()


def test_a_side_scales_pictures_into_cells_and_transparency_is_white():
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    sheet = np.asarray(contact_sheet([[("a", Image.new("L", (200, 100), 0)), ("b", clear)]], side=40))
    first, second = (sheet[GAP + LABEL_HEIGHT :, left : left + 40] for left in (GAP, GAP + 40 + GAP))
    assert (first[:20] == 0).all() and (first[20:40] == GREY).all()
    assert (second[:40] == 255).all()


def test_long_labels_are_drawn_smaller_and_stay_above_their_picture():
    sheet = np.asarray(contact_sheet([[("a label of many words that is far too long", Image.new("RGB", (192, 10)))]]))
    band = sheet[GAP : GAP + LABEL_HEIGHT]
    dark = np.flatnonzero((band < 128).any(axis=(0, 2)))
    assert dark.min() >= GAP and dark.max() < GAP + 192


def test_a_list_becomes_a_square():
    picture = Image.new("RGB", (1, 1))
    assert [len(row) for row in square_rows([("", picture)] * 5)] == [3, 2]


def test_joined_pictures_have_a_gap_between_them_and_no_margin():
    red, blue = Image.new("RGB", (4, 3), "red"), Image.new("RGB", (2, 5), "blue")
    joined = np.asarray(join([[red, blue], [blue]], gap=1))
    assert joined.shape == (5 + 1 + 5, 4 + 1 + 2, 3)
    assert (joined[:3, :4] == RED).all() and (joined[:5, 5:] == BLUE).all() and (joined[6:, :2] == BLUE).all()
    assert (joined[5] == GREY).all() and (joined[:, 4] == GREY).all()


def test_a_panel_holds_its_text_in_lines_that_fit():
    panel = np.asarray(text_panel("a striped ball beside a marbled vase on grass").convert("L"))
    rows, columns = np.nonzero(panel < 128)
    assert panel.shape == (MIN_SIDE, MIN_SIDE)
    assert columns.min() > 0 and columns.max() < MIN_SIDE - 1
    assert (rows.min() + rows.max()) / 2 == pytest.approx(MIN_SIDE / 2, abs=8)
