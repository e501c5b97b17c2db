"""Every entrance of the project reads every kind of picture file in the same way."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from data_prep.config import ObjectMaskConfig
from data_prep.inputs.still_files import FileRange, StillFiles
from data_prep.stills.rle import encode_rle
from data_prep.stills.sam_stills import read_still
from mimicbrush.benchmark_layout import MASK, REFERENCE, SOURCE
from mimicbrush.data import decode
from mimicbrush.data.shards import FramePair
from mimicbrush.demo.config import DemoConfig, Limits
from mimicbrush.demo.edit_configs import painted_mask
from mimicbrush.demo.strokes import PaintedPicture
from mimicbrush.demo.uploads import accept, compare, read
from mimicbrush.edit.inputs import read_inputs
from mimicbrush.edit.kinds.reference_edit import ReferenceEditConfig
from mimicbrush.errors import UserError
from mimicbrush.evaluation.benchmark import Sample
from mimicbrush.files import sha256
from mimicbrush.pictures.edit_inputs import as_mask, as_source, cut_reference
from mimicbrush.pictures.reading import decode_mask, decode_rgb, read_levels
from mimicbrush.segmentation.photograph_masks import FileMasker
from mimicbrush.segmentation.photographs import PhotographFile, ScaledPhotograph, read_picture
from tests.pictures import odd_files
from tests.pictures.odd_files import HEIGHT, MASKS, PICTURES, WIDTH, saved

PLAIN = saved(odd_files.COLOURS)
PLAIN_MASK = saved(odd_files.MASK[..., None] * np.uint8(255))


def eight_bits(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """(C, H, W) in [0, 1] -> (H, W, C)."""
    return (pixels * 255).round().byte().permute(1, 2, 0).numpy()


def written(path: Path, encoded: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded)
    return path


def shell(folder: Path, *, picture: bytes = PLAIN, mask: bytes = PLAIN_MASK):
    """Pixels that `python -m mimicbrush.edit` reads; the page uses the same function for its edits."""
    picture, mask = written(folder / "picture", picture), written(folder / "mask", mask)
    config = ReferenceEditConfig(
        weights="none", source=picture, mask=mask, reference=picture, output=folder / "edited.png"
    )
    return read_inputs(config)


def sample(folder: Path, *, picture: bytes = PLAIN, mask: bytes = PLAIN_MASK) -> Sample:
    for suffix, encoded in ((SOURCE, picture), (REFERENCE, picture), (MASK, mask)):
        written(folder / f"000{suffix}", encoded)
    return Sample(id="000", folder=folder, task="parts", track="inner_id", group="000")


def extent(path: Path) -> FileRange:
    return FileRange(path, 0, path.stat().st_size)


def still(folder: Path, encoded: bytes) -> NDArray[np.uint8]:
    """Stills of data preparation; their masks are drawn on the stored pixels."""
    with Image.open(io.BytesIO(encoded)) as image:
        width, height = image.size
    counts = encode_rle(
        np.pad(np.ones((height // 2, width // 2), bool), ((0, height - height // 2), (0, width - width // 2)))
    )
    note = {"segmentation": {"size": [height, width], "counts": counts}}
    notes = written(folder / "still.json", json.dumps({"annotations": [note]}).encode())
    files = StillFiles(extent(written(folder / "still.png", encoded)), extent(notes))
    return read_still(files, ObjectMaskConfig(), np.random.default_rng(0)).image


def trained_on(encoded: bytes, masks: list[bytes]) -> decode.PairBatch:
    pair = FramePair(key="a", source=encoded, reference=None, similarity=None, masks=masks)
    return decode.decode_pair(pair, WIDTH, random.Random(0))


def unpadded(square: torch.Tensor, batch: decode.PairBatch) -> torch.Tensor:
    (box,) = batch.source_box
    return square[0][box.inside]


def stored(_: Path, encoded: bytes) -> NDArray[np.uint8]:
    """A sample of a shard, as read by a worker of the loader."""
    batch = trained_on(encoded, [])
    return unpadded(batch.source, batch).permute(1, 2, 0).numpy()


def photograph(folder: Path, encoded: bytes) -> NDArray[np.uint8]:
    """A photograph of the benchmark builder."""
    path = written(folder / "photograph", encoded)
    known = PhotographFile(file=path.name, path=path, sha256=sha256(path), origin={})
    return np.asarray(read_picture(known, max_side=WIDTH, min_side=16).image)


def shown_on_the_page(folder: Path, encoded: bytes) -> NDArray[np.uint8]:
    path = written(folder / "upload", encoded)
    return np.asarray(Image.open(compare(path, path, folder)[0]))


PICTURE_ENTRANCES: dict[str, Callable[[Path, bytes], NDArray[np.uint8]]] = {
    "shell, source": lambda at, encoded: eight_bits(shell(at, picture=encoded).source.pixels),
    "shell, reference": lambda at, encoded: eight_bits(shell(at, picture=encoded).references[0]),
    "benchmark, source": lambda at, encoded: eight_bits(sample(at, picture=encoded).request(0).source[0]),
    "benchmark, reference": lambda at, encoded: eight_bits(sample(at, picture=encoded).request(0).reference),
    "builder": photograph,
    "data preparation, stills": still,
    "data preparation, stored": lambda _, encoded: decode_rgb(encoded),
    "training": stored,
    "training, autoencoder": lambda _, encoded: eight_bits(decode.decode_image(encoded, "RGB")),
    "page, source": lambda at, encoded: eight_bits(as_source(read(written(at / "upload", encoded), Limits())).pixels),
    "page, comparison": shown_on_the_page,
}
PILLOW_ENTRANCES: dict[str, Callable[[Image.Image], torch.Tensor]] = {
    "pipeline, source": lambda image: as_source(image).pixels,
    "pipeline, reference": lambda image: cut_reference(image, box=None, mask=None),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_entrance_shows_the_same_pixels(tmp_path, name):
    odd = PICTURES[name]()
    for entrance, enter in PICTURE_ENTRANCES.items():
        found = enter(tmp_path / entrance.replace(", ", "-"), odd.encoded)
        assert found.shape == (HEIGHT, WIDTH, 3), entrance
        assert np.abs(found.astype(int) - odd.shown).max() <= odd.tolerance, entrance
    for entrance, enter in PILLOW_ENTRANCES.items():
        found = eight_bits(enter(Image.open(io.BytesIO(odd.encoded))))
        assert np.abs(found.astype(int) - odd.shown).max() <= odd.tolerance + odd.lost_in_pillow, entrance


def drawn(folder: Path, encoded: bytes) -> NDArray[np.bool_]:
    """A mask file of the benchmark builder."""
    written(folder / "dog.png", encoded)
    return FileMasker(folder).mask(ScaledPhotograph("dog.jpg", Image.new("RGB", (WIDTH, HEIGHT)), (WIDTH, HEIGHT)))


def segment(_: Path, encoded: bytes) -> torch.Tensor:
    batch = trained_on(PLAIN, [encoded])
    return unpadded(batch.object_mask, batch)[0]


def uploaded(folder: Path, encoded: bytes) -> NDArray[np.uint8]:
    painting = PaintedPicture(picture=written(folder / "upload", PLAIN), mask=written(folder / "mask", encoded))
    return np.asarray(painted_mask(accept(painting, Limits(), folder), DemoConfig(weights="none"))) > 127


MASK_ENTRANCES: dict[str, Callable[[Path, bytes], NDArray | torch.Tensor]] = {
    "shell": lambda at, encoded: shell(at, mask=encoded).mask[0],
    "benchmark": lambda at, encoded: sample(at, mask=encoded).request(0).mask[0, 0],
    "benchmark, check": lambda at, encoded: read_levels(sample(at, mask=encoded).mask)[0] > 127,
    "builder": drawn,
    "training": segment,
    "training, doctor": lambda _, encoded: decode.decode_image(encoded, "L")[0] > 0.5,
    "data preparation, stored": lambda _, encoded: decode_mask(encoded),
    "page": uploaded,
    "pipeline": lambda _, encoded: as_mask(Image.open(io.BytesIO(encoded)), torch.zeros(3, HEIGHT, WIDTH))[0],
}


@pytest.mark.parametrize("name", MASKS)
def test_every_entrance_takes_the_same_mask(tmp_path, name):
    odd = MASKS[name]()
    for entrance, enter in MASK_ENTRANCES.items():
        if entrance == "builder" and odd.is_grey:
            continue
        found = np.asarray(enter(tmp_path / entrance.replace(", ", "-"), odd.encoded)).astype(bool)
        assert np.array_equal(found, odd.shown), entrance


ANIMATION_ENTRANCES: dict[str, Callable[[Path, bytes], object]] = {
    "shell, source and reference": lambda at, encoded: shell(at, picture=encoded),
    "shell, mask": lambda at, encoded: shell(at, mask=encoded),
    "page, source or reference": lambda at, encoded: read(written(at / "upload", encoded), Limits()),
    "page, mask": uploaded,
    "pipeline, source": lambda _, encoded: as_source(Image.open(io.BytesIO(encoded))),
    "pipeline, mask": MASK_ENTRANCES["pipeline"],
    "pipeline, reference": lambda _, encoded: cut_reference(Image.open(io.BytesIO(encoded)), box=None, mask=None),
}


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
def test_edits_refuse_animations_and_take_a_frame_of_one(tmp_path, kind):
    frames = [Image.fromarray(odd_files.COLOURS // number) for number in (1, 2, 3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    for number, (entrance, enter) in enumerate(ANIMATION_ENTRANCES.items()):
        with pytest.raises(UserError, match=r" has 3 frames, but edits take stills; export or copy one frame") as error:
            enter(tmp_path / str(number), buffer.getvalue())
        assert len(error.value.faults) == (2 if "and" in entrance else 1), entrance
    assert as_source(Image.open(buffer).copy()).pixels.shape == (3, HEIGHT, WIDTH)


def test_a_stills_masks_are_turned_with_it(tmp_path):
    """The object is the upper left quarter of the stored still, and the upper right quarter of the upright one."""
    encoded = odd_files.turned(odd_files.COLOURS, "PNG", 6)
    still(tmp_path, encoded)
    files = StillFiles(extent(tmp_path / "still.png"), extent(tmp_path / "still.json"))
    (mask,) = read_still(files, ObjectMaskConfig(), np.random.default_rng(0)).masks
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[: HEIGHT // 2, WIDTH // 2 :] = True
    assert np.array_equal(mask, expected)
