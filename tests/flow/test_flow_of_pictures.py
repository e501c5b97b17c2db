"""The command that writes the flow between two pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mimicbrush.command import call_command
from mimicbrush.errors import UserError
from mimicbrush.flow.__main__ import COMMAND
from mimicbrush.flow.flow_files import read_flow


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """a.png of smooth noise, and b.png, the same three pixels further right."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(noise).resize((123, 80), Image.Resampling.BICUBIC))
    Image.fromarray(large[:, 3:]).save(tmp_path / "a.png")
    Image.fromarray(large[:, :-3]).save(tmp_path / "b.png")
    return tmp_path


def run(folder: Path, second: str = "b.png", **options: str) -> None:
    words = {"first": folder / "a.png", "second": folder / second, "output": folder / "new" / "f.npy"} | options
    call_command(COMMAND, [str(word) for name, value in words.items() for word in (f"--{name}", value)])


def test_the_flow_is_written_with_a_picture_of_it(frames, capsys):
    run(frames)
    flow = read_flow(frames / "new" / "f.npy").flow[0]
    assert flow.shape == (2, 80, 120)
    assert np.abs(np.median(flow.reshape(2, -1), axis=1) - (3, 0)).max() < 0.1
    assert Image.open(frames / "new" / "f-colours.png").size == (120, 80)
    assert "f-colours.png" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"f\.npy exists; choose another output or pass --force"):
        run(frames)


def test_unfit_pictures_and_names_are_refused_in_a_sentence(frames):
    Image.new("RGB", (64, 48)).save(frames / "small.png")
    with pytest.raises(
        UserError, match=r"a\.png is 120 x 80 pixels and second .*small\.png is 64 x 48; give two frames"
    ):
        run(frames, "small.png")
    with pytest.raises(UserError, match=r"second .*none\.png: no such picture"):
        run(frames, "none.png")
    with pytest.raises(UserError, match=r"a\.png would overwrite the first picture"):
        run(frames, output=frames / "a.png", force="true")
    with pytest.raises(UserError, match=r"f\.txt: not a format of flow; expected a name that ends in \.flo"):
        run(frames, output=frames / "f.txt")
