from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mimicbrush.errors import UserError
from tests.edit.conftest import BATCH, arguments_for, pixels, run, write_batch


def test_a_batch_skips_what_is_there_and_names_what_is_broken(pictures, monkeypatch, capsys):
    (pictures / "text.png").write_text("no picture")
    Image.open(pictures / "s.png").save(pictures / "done.png")
    before = (pictures / "done.png").read_bytes()
    batch = write_batch(
        pictures,
        {"output": "a.png", "seed": "5"},
        {"output": "b.png", "keep_shape": "true"},
        {"output": "c.png", "source": "text.png"},
        {"output": "done.png"},
    )
    common = {**BATCH, "batch": batch}
    run(monkeypatch, *arguments_for(pictures, **common))
    said = capsys.readouterr()
    assert "edited 2 of 3; 1 skipped" in said.out and "text.png: not a readable picture" in said.err
    assert (pictures / "done.png").read_bytes() == before
    run(monkeypatch, *arguments_for(pictures, seed=5))
    assert np.array_equal(pixels(pictures / "e.png"), pixels(pictures / "a.png"))
    with pytest.raises(UserError, match=r"nothing could be edited; the first: .*text\.png"):
        run(monkeypatch, *arguments_for(pictures, **common))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"output": "a.jpg"}, r"row 2: output is .*a\.jpg, expected a name ending in \.png"),
        ({"output": "a.png", "seed": "x"}, "row 2: invalid literal"),
        ({"output": "a.png", "keep_shape": "maybe"}, "row 2: keep_shape is maybe"),
        ({"output": "a.png", "reference_box": "[1, 2"}, "row 2: while parsing a flow sequence"),
    ],
)
def test_a_batch_is_read_before_anything_is_edited(pictures, monkeypatch, row, named):
    with pytest.raises(UserError, match=named):
        run(monkeypatch, *arguments_for(pictures, **BATCH, batch=write_batch(pictures, row)))


def test_a_batch_makes_only_the_results_that_are_missing(pictures, monkeypatch):
    options = {**BATCH, "batch": write_batch(pictures, {"output": "a.png", "seed": "5"}), "num_images": 2}
    run(monkeypatch, *arguments_for(pictures, **options))
    second = pixels(pictures / "a-2.png")
    (pictures / "a-2.png").unlink()
    Image.open(pictures / "s.png").save(pictures / "a-1.png")
    before = (pictures / "a-1.png").read_bytes()
    run(monkeypatch, *arguments_for(pictures, **options))
    assert (pictures / "a-1.png").read_bytes() == before
    assert np.array_equal(pixels(pictures / "a-2.png"), second)
