"""Other ways to prepare a clip, for comparison: a naive script, the best script with decord, and bare decoding.

Both scripts take random frames of a clip, and keep random pairs of them whose similarity is within bounds. They do not
drop bad frames or duplicates, detect cuts, or match keypoints. CPU seconds are noted by stage: decode (to the stored
size), similarity, encode, write.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, combinations
from pathlib import Path

import av
import numpy as np
import webdataset as wds
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

from data_prep.config import EncodeConfig
from data_prep.frames.images import encode_image, to_grey
from data_prep.frames.ssim import moments, similarity_map
from data_prep.sharding.parallel_sharding import Stopwatch
from mimicbrush.video.decord_reader import decord

SHORT_SIDE = 576
"""Short side of stored frames, in pixels; smaller frames keep their size."""
SSIM_SIZE = 256
"""Short side at which `prepare_by_decord` measures similarity."""
SSIM_LOW, SSIM_HIGH = 0.25, 0.85
"""Bounds of the similarity of a pair."""

Scores = Mapping[tuple[int, int], float]
"""SSIM of two frames, by their numbers among the random frames of a clip."""


def prepare_naively(
    path: Path, shard: Path, *, num_frames: int, num_pairs: int, generator: np.random.Generator, clock: Stopwatch
) -> int:
    """Prepare a clip naively: decord for whole frames, Pillow for resizing and JPEG, scikit-image for SSIM.

    SSIM is computed at the stored size. Writes at most `num_pairs` pairs to the tar `shard`; returns their number.
    """
    with clock.measure("decode"):
        frames = [_resize(image) for image in _read_full_size(path, num_frames, generator)]
    with clock.measure("similarity"):
        greys = [np.asarray(frame.convert("L")) for frame in frames]
        scores = {(i, j): structural_similarity(greys[i], greys[j]) for i, j in combinations(range(len(greys)), 2)}
        pairs = _choose(scores, num_pairs, generator)
    with clock.measure("encode"):
        samples = _samples(path, pairs, encode=lambda number: _encode_with_pillow(frames[number]))
    with clock.measure("write"):
        _write(samples, shard)
    return len(samples)


def prepare_by_decord(
    path: Path, shard: Path, *, num_frames: int, num_pairs: int, generator: np.random.Generator, clock: Stopwatch
) -> int:
    """Prepare a clip as fast as decord allows: it scales while decoding, on one thread; our SSIM; JPEG by OpenCV.

    Nothing is computed twice. Writes at most `num_pairs` pairs to the tar `shard`; returns their number.
    """
    with clock.measure("decode"):
        frames = _read_stored_size(path, num_frames, generator)
    with clock.measure("similarity"):
        known = [moments(to_grey(frame, SSIM_SIZE)) for frame in frames]
        places = combinations(range(len(known)), 2)
        scores = {(i, j): float(similarity_map(known[i], known[j]).mean()) for i, j in places}
        pairs = _choose(scores, num_pairs, generator)
    with clock.measure("encode"):
        encoded = {number: encode_image(frames[number], EncodeConfig()) for number in set(chain(*pairs))}
        samples = _samples(path, pairs, encode=encoded.__getitem__)
    with clock.measure("write"):
        _write(samples, shard)
    return len(samples)


def decode_sequentially(path: Path, clock: Stopwatch) -> int:
    """Decode every frame with PyAV on one thread, without converting it; returns the number of frames."""
    with clock.measure("decode"), av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        return sum(1 for _ in container.decode(stream))


# --- Decoding -------------------------------------------------------------------------------------------------------
# A reader is deleted once its frames are read: otherwise it continues to decode in the background.


def _read_full_size(path: Path, num_frames: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """(N, H, W, 3) RGB"""
    reader = decord.VideoReader(str(path))
    return reader.get_batch(_random_indices(len(reader), num_frames, generator)).asnumpy()


def _read_stored_size(path: Path, num_frames: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """(N, h, w, 3) RGB"""
    with av.open(str(path)) as container:  # reads only the header
        stream = container.streams.video[0]
        width, height = _stored_size(stream.width, stream.height)
    reader = decord.VideoReader(str(path), width=width, height=height, num_threads=1)
    return reader.get_batch(_random_indices(len(reader), num_frames, generator)).asnumpy()


def _random_indices(length: int, num: int, generator: np.random.Generator) -> list[int]:
    return sorted(generator.choice(length, num, replace=False).tolist())


def _stored_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, SHORT_SIDE / min(width, height))
    return round(width * scale), round(height * scale)


def _resize(image: NDArray[np.uint8]) -> Image.Image:
    picture = Image.fromarray(image)
    return picture.resize(_stored_size(*picture.size))


# --- Pairs and samples ----------------------------------------------------------------------------------------------


def _choose(scores: Scores, num_pairs: int, generator: np.random.Generator) -> Scores:
    """Choose at most `num_pairs` random pairs whose similarity is within the bounds."""
    inside = [pair for pair, score in scores.items() if SSIM_LOW <= score <= SSIM_HIGH]
    order = generator.permutation(len(inside))[:num_pairs]
    return {inside[index]: scores[inside[index]] for index in order}


def _samples(path: Path, pairs: Scores, *, encode: Callable[[int], bytes]) -> list[dict]:
    """Make webdataset samples; `encode` returns the JPEG of the frame with a number."""
    return [
        {
            "__key__": f"{path.stem}-{first}-{second}",
            "source.jpg": encode(first),
            "reference.jpg": encode(second),
            "json": json.dumps({"file": path.name, "similarity": score}).encode(),
        }
        for (first, second), score in pairs.items()
    ]


def _encode_with_pillow(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _write(samples: Iterable[dict], shard: Path) -> None:
    with wds.TarWriter(str(shard), encoder=False) as writer:
        for sample in samples:
            writer.write(sample)
