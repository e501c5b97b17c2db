"""Choose and draw the pairs of a report. Only a few of many shards are read, and only shown samples are decoded."""

from __future__ import annotations

import colorsys
import io
import json
import random
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.frames.images import scale_to_height
from data_prep.shard_report.folder_scan import Place
from mimicbrush.data.shard_index import read_excluded
from mimicbrush.data.shards import DamagedSampleError, FramePair, to_pair
from mimicbrush.errors import UserError
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import decode_mask, decode_rgb
from mimicbrush.reports.contact_sheet import join
from mimicbrush.reports.html_page import paragraph
from mimicbrush.reports.html_pictures import Shown, gallery
from mimicbrush.reports.mask_outline import outline_mask

if TYPE_CHECKING:
    from mimicbrush.data.preview import SamplePreview

MAX_SHARDS = 12
"""Largest number of shards that are read."""
MAX_SAMPLES = 1000
"""Largest number of samples of a shard that are read."""
REPEAT_COST = 0.03
"""Similarity by which a pair may be further from its target, for each shown pair of the same clip."""
MAX_OF_ONE = 2
"""Largest number of pairs of one clip among the most similar ones, and among the least similar ones."""
NUM_LINES = 16
"""Largest number of matches that are drawn on a pair."""
ZOOM = 2.5
"""Pixels of a picture for each pixel of the page, for a click to enlarge it."""
GAP = 4
"""Pixels between pictures that are joined to one."""
TRAINING_SIZE = 256
"""Side of the training batch that is shown, in pixels."""
SEED = 0
"""Seed of the training batch that is shown."""

T = TypeVar("T")


class Listed(NamedTuple):
    """A sample that may be shown: the facts by which samples are chosen, and its place."""

    place: Place
    key: str
    similarity: float | None
    name: str
    """Name of the file that it was made from."""


def list_samples(shards: Sequence[Path]) -> list[Listed]:
    """List the samples of at most MAX_SHARDS shards, evenly over all shards, without excluded samples.

    Only headers and JSON are read. Raises UserError if a tar is damaged.
    """
    excluded = read_excluded(shards)
    return [sample for shard in spread(shards, MAX_SHARDS) for sample in _list(shard) if sample.key not in excluded]


def spread(items: Sequence[T], num: int) -> list[T]:
    """At most `num` items, evenly spaced from the first to the last."""
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, min(num, len(items)))]


def _list(shard: Path) -> list[Listed]:
    places: dict[str, Place] = {}
    facts: dict[str, dict] = {}
    with naming_damage(shard), tarfile.open(shard) as tar:
        for member in tar:
            key, _, suffix = member.name.partition(".")
            if key not in places and len(places) == MAX_SAMPLES:
                break
            end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            places[key] = Place(shard, places[key].first if key in places else member.offset, end)
            if suffix == "json":
                facts[key] = json.loads(tar.extractfile(member).read())
        return [_describe(places[key], key, facts[key]) for key in places]


@contextmanager
def naming_damage(shard: Path) -> Iterator[None]:
    """Raise UserError, which names the shard, for any damage that the block meets."""
    try:
        yield
    except UserError:
        raise
    except (tarfile.TarError, DamagedSampleError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{shard}: damaged, or no shard ({error!r}); delete it and its index, and shard again"
        ) from None


def _describe(place: Place, key: str, facts: dict) -> Listed:
    similarity = None if facts["similarity"] is None else float(facts["similarity"])
    origin = facts["origin"]
    return Listed(place, key, similarity, str(origin.get("file", origin.get("group", key))))


def read_place(place: Place) -> FramePair | None:
    """The sample in these bytes of a shard; raises UserError, which names the shard, if it is damaged.

    None if they are zeros: a folder at an address is merged with shards of which only a few samples are copied.
    """
    with naming_damage(place.shard):
        with place.shard.open("rb") as file:
            file.seek(place.first)
            content = file.read(place.last - place.first)
        if not any(content):
            return None
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        key = next(iter(members)).partition(".")[0]
        suffixed = {name.partition(".")[2]: data for name, data in members.items()}
        return to_pair({"__key__": key, "__url__": str(place.shard), **suffixed})


def choose_over_band(samples: Sequence[Listed], num: int) -> list[Listed]:
    """Choose at most `num` samples: pairs of many clips at even steps of similarity, and a quarter of them stills."""
    pairs = sorted((sample for sample in samples if sample.similarity is not None), key=_similarity)
    stills = [sample for sample in samples if sample.similarity is None]
    num_stills = min(len(stills), max(num // 4, num - len(pairs)))
    wanted = min(num - num_stills, len(pairs))
    chosen: list[Listed] = []
    shown: Counter[str] = Counter()
    for target in np.linspace(_similarity(pairs[0]), _similarity(pairs[-1]), wanted) if wanted else ():
        costs = [abs(_similarity(pair) - target) + REPEAT_COST * shown[pair.name] for pair in pairs]
        chosen.append(pairs.pop(int(np.argmin(costs))))
        shown[chosen[-1].name] += 1
    return [*sorted(chosen, key=_similarity), *spread(stills, num_stills)]


def choose_extremes(samples: Sequence[Listed], num: int) -> tuple[list[Listed], list[Listed]]:
    """Choose the `num` most similar and the `num` least similar pairs, at most MAX_OF_ONE of a clip, no pair twice."""
    pairs = sorted((sample for sample in samples if sample.similarity is not None), key=_similarity, reverse=True)
    half = -(-len(pairs) // 2)
    return _limit(pairs[:half], num), _limit(pairs[half:][::-1], num)


def _limit(pairs: Sequence[Listed], num: int) -> list[Listed]:
    """The first `num` pairs of which at most MAX_OF_ONE are of one clip."""
    shown: Counter[str] = Counter()
    chosen = []
    for pair in pairs:
        if shown[pair.name] < MAX_OF_ONE and len(chosen) < num:
            chosen.append(pair)
            shown[pair.name] += 1
    return chosen


def _similarity(sample: Listed) -> float:
    return -1.0 if sample.similarity is None else sample.similarity


def pair_sheet(samples: Sequence[Listed], height: int) -> str:
    """Draw pairs, source beside reference, with masks outlined and matches joined; height: pixels on the page."""
    return gallery([_show(sample, round(height * ZOOM)) for sample in samples], height=height)


def _show(sample: Listed, height: int) -> Shown:
    with naming_damage(sample.place.shard):
        pair = read_place(sample.place)
        return Shown(_picture(pair, height), _caption(pair, sample.name))


def _caption(pair: FramePair, name: str) -> str:
    masks = f"{len(pair.masks)}\u00a0mask{'s' if len(pair.masks) > 1 else ''}"
    if pair.similarity is None:
        return f"{name}: still, {masks}"
    times = pair.origin.get("times")
    facts = [f"SSIM\u00a0{pair.similarity:.2f}", f"{len(pair.keypoints)}\u00a0matches"]
    facts += [f"{abs(times[1] - times[0]):.1f}\u00a0s apart"] if times else []
    facts += [masks] if pair.masks else []
    return f"{name}: {', '.join(facts)}"


def _picture(pair: FramePair, height: int) -> Image.Image:
    source = to_pil(decode_rgb(pair.source))
    for mask in pair.masks:
        source = outline_mask(source, decode_mask(mask))
    panels = [scale_to_height(np.asarray(source), height)]
    if pair.reference is not None:
        panels.append(scale_to_height(decode_rgb(pair.reference), height))
    canvas = np.array(join([[to_pil(panel) for panel in panels]], gap=GAP))
    if pair.reference is not None:
        canvas = _draw_matches(canvas, pair, panels[0].shape[1], panels[1].shape[1])
    return to_pil(canvas)


def _draw_matches(
    canvas: NDArray[np.uint8], pair: FramePair, source_width: int, reference_width: int
) -> NDArray[np.uint8]:
    height = canvas.shape[0]
    drawn = canvas.copy()
    shown = spread(pair.keypoints, NUM_LINES)
    for number, (sx, sy, rx, ry) in enumerate(shown):
        colour = tuple(int(255 * value) for value in colorsys.hsv_to_rgb(number / len(shown), 0.9, 1.0))
        start = int(sx * source_width), int(sy * height)
        end = source_width + GAP + int(rx * reference_width), int(ry * height)
        cv2.line(drawn, start, end, colour, 1, cv2.LINE_AA)
        for point in (start, end):
            cv2.circle(drawn, point, 3, colour, -1, cv2.LINE_AA)
    return cv2.addWeighted(drawn, 0.8, canvas, 0.2, 0)


def training_view(samples: Sequence[Listed]) -> list[str]:
    """Show these samples as a training batch: paragraphs and figures."""
    # Imported here, as a sharding command's workers need neither torch nor kornia.
    import torch

    from mimicbrush.data.config import BatchConfig
    from mimicbrush.data.decode import collate, decode_pair
    from mimicbrush.data.preview import preview_batch

    config, rng = BatchConfig(), random.Random(SEED)
    decoded = []
    for sample in samples:
        with naming_damage(sample.place.shard):
            decoded.append(decode_pair(read_place(sample.place), TRAINING_SIZE, rng))
    previews = preview_batch(collate(decoded), config, torch.Generator().manual_seed(SEED))
    return [
        paragraph(
            f"One batch of {TRAINING_SIZE} pixels, by the default settings of data.batch and seed {SEED}. Top row: the "
            "augmented source, and the source without its masked part. Bottom row: the mask (white: hidden, black: "
            "visible, grey: padding), and the reference, augmented independently. On stills, the mask covers objects, "
            "with their exact outline, a rough one, or a box. On pairs of frames it is a grid: a cell with a matched "
            f"keypoint is hidden with probability {config.mask.keypoint_cell_prob:g}, any other cell with probability "
            f"{config.mask.other_cell_prob:g}. Hidden keypoints are orange, visible ones blue.",
            note=True,
        ),
        gallery([_show_training(*each) for each in zip(previews, samples, strict=True)], height=TRAINING_SIZE),
    ]


def _show_training(preview: SamplePreview, sample: Listed) -> Shown:
    panels = list(map(to_pil, preview.panels))
    picture = join([panels[:2], panels[2:]], gap=GAP)
    points = f", {preview.num_hidden_points} of {preview.num_points} matched points" if preview.num_points else ""
    return Shown(picture, f"{sample.name}: {100 * preview.hidden_share:.0f} % hidden{points}")
