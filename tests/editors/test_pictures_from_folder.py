from __future__ import annotations

import pytest
import torch

from mimicbrush.editors.pictures_from_folder import PicturesFromFolder
from mimicbrush.errors import UserError
from mimicbrush.pictures.reading import read_image
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.requests import EditRequest
from mimicbrush.video.clip_writer import write_h264


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator) * 255).round() / 255


def request(id: str | None = "000", *, seed: int = 1, frames: int = 1, size: tuple[int, int] = (20, 30)) -> EditRequest:
    return EditRequest(source=torch.zeros(frames, 3, *size), seed=seed, id=id)


def test_the_picture_of_the_samples_id_and_seed_is_the_answer(tmp_path):
    for seed in (1, 2):
        write_image(noise(3, 20, 30, seed=seed), tmp_path / f"run{seed}" / "000.png")
    editor = PicturesFromFolder(str(tmp_path), "run{seed}/{id}.png")
    for seed in (1, 2):
        assert torch.equal(editor.edit(request(seed=seed)).frames[0], noise(3, 20, 30, seed=seed))


@pytest.mark.parametrize("size", [(40, 60), (10, 15), (27, 40), (26, 40)])
def test_a_picture_of_the_sources_proportions_is_scaled(tmp_path, size):
    flat = torch.tensor([0.2, 0.4, 0.6])[:, None, None].expand(3, *size)
    write_image(flat, tmp_path / "000.png")
    edited = PicturesFromFolder(str(tmp_path)).edit(request()).frames
    assert edited.shape == (1, 3, 20, 30) and torch.allclose(
        edited[0, :, 10, 15], torch.tensor([0.2, 0.4, 0.6]), atol=1e-6
    )


@pytest.mark.parametrize("size", [(40, 62), (64, 64), (30, 20)])
def test_a_picture_of_other_proportions_is_refused(tmp_path, size):
    write_image(noise(3, *size), tmp_path / "000.png")
    with pytest.raises(UserError, match=rf"000.png is {size[1]} x {size[0]}, its source 30 x 20, of other proportions"):
        PicturesFromFolder(str(tmp_path)).edit(request())


def test_a_clip_is_an_animation_a_folder_or_a_video_file(tmp_path):
    frames = torch.stack([torch.full((3, 32, 48), level) for level in (0.2, 0.5, 0.8)])
    write_frames(frames, tmp_path / "000.png")
    for number, frame in enumerate(frames):
        write_image(frame, tmp_path / "000" / f"{number:04d}.png")
    write_h264(tmp_path / "000.mp4", [(frame.permute(1, 2, 0) * 255).byte().numpy() for frame in frames], fps=8)
    asked = request(frames=3, size=(32, 48))
    for pattern in ("{id}.png", "{id}", "{id}.mp4"):
        edited = PicturesFromFolder(str(tmp_path), pattern).edit(asked).frames
        assert edited.shape == frames.shape and (edited - frames).abs().max() < 0.02, pattern
        with pytest.raises(UserError, match="has 3 frames, its source 1; export as many"):
            PicturesFromFolder(str(tmp_path), pattern).edit(request(size=(32, 48)))


def test_all_that_is_wrong_is_named_together(tmp_path):
    write_image(noise(3, 20, 30), tmp_path / "000.png")
    write_image(noise(3, 99, 30), tmp_path / "001.png")
    (tmp_path / "002.png").write_bytes(b"no picture")
    faults = PicturesFromFolder(str(tmp_path)).find_faults(request(f"00{number}") for number in range(5))
    assert faults[0] == f"{tmp_path} lacks 2 of 5 pictures: 003.png, 004.png"
    assert "001.png is 30 x 99" in faults[1] and "002.png: not a readable picture" in faults[2] and len(faults) == 3


def test_one_picture_does_not_pass_for_two_seeds(tmp_path):
    write_image(noise(3, 20, 30), tmp_path / "000.png")
    (fault,) = PicturesFromFolder(str(tmp_path)).find_faults(request(seed=seed) for seed in (1, 2))
    assert fault.startswith("one picture would answer the seeds 1, 2; add {seed} to pattern, or `seeds: [1]`")


@pytest.mark.parametrize(
    "pattern", ["000.png", "{}.png", "{id", "{name}_{id}.png", "{id.upper}.png", "{id:d}.png", "/{id}.png"]
)
def test_a_pattern_names_the_id_and_at_most_the_seed(tmp_path, pattern):
    with pytest.raises(UserError, match=r"expected a path within folder, like \{id\}.png"):
        PicturesFromFolder(str(tmp_path), pattern)


def test_a_request_without_an_id_and_a_missing_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="the request has no id"):
        PicturesFromFolder(str(tmp_path)).edit(request(None))
    with pytest.raises(UserError, match="no such folder of pictures"):
        PicturesFromFolder(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"000.png: no such picture"):
        PicturesFromFolder(str(tmp_path)).edit(request())


def test_alpha_is_composited_on_white(tmp_path):
    write_image(torch.zeros(4, 20, 30), tmp_path / "000.png")
    assert torch.equal(PicturesFromFolder(str(tmp_path)).edit(request()).frames, torch.ones(1, 3, 20, 30))
    assert torch.equal(read_image(tmp_path / "000.png"), torch.ones(3, 20, 30))
