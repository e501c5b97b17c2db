"""Turn stills with object masks (SA-1B) into training shards: the stills themselves, and pseudo-pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from data_prep.config import SamShardConfig
from data_prep.frames.images import encode_image, shrink, to_grey
from data_prep.frames.ssim import structural_similarity
from data_prep.inputs.input_states import InputStates
from data_prep.inputs.still_files import StillFiles, list_stills
from data_prep.records.summary import BAND_BIN, histogram
from data_prep.records.work_units import KEPT, slug
from data_prep.sharding.parallel_sharding import Outcome, Stopwatch
from data_prep.sharding.shard_folder import shard_and_merge
from data_prep.stills.sam_stills import Still, read_still
from data_prep.stills.warp import draw_warp, follow_points, warp_image, warp_mask
from mimicbrush.data.picture_limits import is_storable
from mimicbrush.data.shards import FramePair
from mimicbrush.errors import UnusableInput
from mimicbrush.metadata import read_metadata
from mimicbrush.pictures.conversion import is_masked
from mimicbrush.pictures.writing import encode_png
from mimicbrush.seeds import seed_of_input

SIMILARITY_SIZE = 256
"""Short side at which the SSIM of a pseudo-pair is measured, in pixels."""
MIN_STILL_SIDE = 32
"""Smallest side of a still in pixels; smaller pictures are icons."""
MIN_WARPED_AREA = 0.01
"""Smallest share of a pseudo-pair's source that a mask covers; smaller masks were moved out of the picture."""
MAX_DRAWS = 10
"""Number of augmentations that are tried until one keeps a mask in the picture."""


def shard_sam(config: SamShardConfig) -> str:
    """Shard all stills that no finished shard covers; returns a line on the result. Raises UserError for a mistake."""
    stills, passed_over = list_stills(config.stills, output=config.output)
    metadata = read_metadata(config.metadata, stills)
    states = {name: files.state for name, files in stills.items()}
    inputs = InputStates(states, lambda name: stills[name].hash_content, passed_over)

    def reader(name: str) -> Callable[[], Outcome]:
        return partial(read_still_samples, name, stills[name], metadata=metadata.get(name, {}), config=config)

    return shard_and_merge(config, reader, inputs=inputs, kind="still", per_shard=config.stills_per_shard)


def read_still_samples(name: str, files: StillFiles, *, metadata: Mapping, config: SamShardConfig) -> Outcome:
    """Read one still: itself, its pseudo-pairs, and its record in the shard's index; raises UnusableInput.

    metadata: the still's own, stored with its samples.
    """
    watch, generator = Stopwatch(), np.random.default_rng(seed_of_input(config.seed, name))
    with watch.measure("decode"):
        still = read_still(files, config.masks, generator)
        still_size = list(still.image.shape[1::-1])
        if min(still_size) < MIN_STILL_SIDE or not is_storable(*still_size):
            raise UnusableInput("too_small", f"{still_size[0]} x {still_size[1]} pixels")
        still = _shrink_still(still, config.short_side)
    origin = {"group": name, **still.facts, **metadata, "file": name, "still_size": still_size}
    origin["size"] = list(still.image.shape[1::-1])
    with watch.measure("encode"):
        itself = FramePair(
            key=f"{slug(name)}-still",
            source=encode_image(still.image, config.encode),
            reference=None,
            similarity=None,
            masks=[encode_png(mask) for mask in still.masks],
            origin=origin,
        )
    with watch.measure("augment"):
        keys = [f"{slug(name)}-pair{number}" for number in range(config.pairs_per_still)]
        drawn = [_pseudo_pair(still, key, origin, config, generator) for key in keys]
    pairs = [pair for pair in drawn if pair is not None]
    record = {
        "status": KEPT,
        "detail": "",
        "video_size": still_size,
        "similarity": histogram((pair.similarity for pair in pairs), BAND_BIN),
        **({"dropped_masks": still.faults} if still.faults else {}),
    }
    return Outcome([itself, *pairs], record, {}, dict(watch.seconds))


def _shrink_still(still: Still, short_side: int) -> Still:
    """Scale a still to its stored size, without masks that vanish at that size."""
    masks = [is_masked(shrink(mask.astype(np.uint8) * 255, short_side)) for mask in still.masks]
    return Still(shrink(still.image, short_side), [mask for mask in masks if mask.any()], still.facts, still.faults)


def _pseudo_pair(
    still: Still, key: str, origin: dict, config: SamShardConfig, generator: np.random.Generator
) -> FramePair | None:
    """Two augmentations of a still, with masks that follow the source; None if ten draws lose every mask."""
    height, width = still.image.shape[:2]
    for _ in range(MAX_DRAWS):
        warps = [draw_warp(height, width, config.warp, generator) for _ in range(2)]
        masks = [mask for mask in (warp_mask(mask, warps[0]) for mask in still.masks) if mask.mean() >= MIN_WARPED_AREA]
        if masks:
            source, reference = (warp_image(still.image, warp) for warp in warps)
            return FramePair(
                key=key,
                source=encode_image(source, config.encode),
                reference=encode_image(reference, config.encode),
                similarity=round(_similarity(source, reference), 6),
                keypoints=follow_points(still.image, warps),
                masks=[encode_png(mask) for mask in masks],
                origin=origin,
            )
    return None


def _similarity(source: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    return structural_similarity(to_grey(source, SIMILARITY_SIZE), to_grey(reference, SIMILARITY_SIZE))
