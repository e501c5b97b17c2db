"""Progress where the output is no terminal."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from PIL import Image

from mimicbrush.progress import LOG
from tests.edit.conftest import BATCH, arguments_for, run, write_batch


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    """The lines of a command in which six seconds pass from each look at the clock to the next."""
    lines: list[str] = []
    seconds = count(0, 6)
    monkeypatch.setattr(LOG, "now", lambda: next(seconds))
    monkeypatch.setattr(LOG, "write", lines.append)
    monkeypatch.setattr(LOG, "last_line", float("-inf"))
    return lines


def test_a_batch_names_row_and_step(pictures, lines):
    batch = write_batch(pictures, {"output": "a.png"}, {"output": "b.png"})
    run(*arguments_for(pictures, **BATCH, batch=batch))
    assert lines == [
        "row 1 of 2, step 1 of 2, about 36 s left",
        "row 1 of 2, step 2 of 2, about 18 s left",
        "row 1 of 2, about 24 s left",
        "row 2 of 2, step 1 of 2, about 12 s left",
        "row 2 of 2, step 2 of 2",
        "row 2 of 2",
    ]


@pytest.mark.parametrize("options", [{"num_images": 2}, {"regions": "in_turn"}])
def test_an_edit_counts_the_steps_of_all_its_regions(pictures, lines, options):
    mask = np.asarray(Image.open(pictures / "m.png")).copy()
    mask[40:48, 50:60] = 255
    Image.fromarray(mask).save(pictures / "m.png")
    run(*arguments_for(pictures, **options))
    total = 4 if "regions" in options else 2
    assert [line.partition(",")[0] for line in lines] == [f"step {n} of {total}" for n in range(1, total + 1)]
