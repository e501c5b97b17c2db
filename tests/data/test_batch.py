import contextlib
import io
import random

import numpy as np
import pytest
import torch
from lightning.fabric.utilities import move_data_to_device
from PIL import Image

from mimicbrush.data.batch import augment, augment_and_mask, mask_pairs
from mimicbrush.data.config import AugmentConfig, BatchConfig, MaskConfig
from mimicbrush.data.decode import MAX_KEYPOINTS, collate, decode_image, decode_pair
from mimicbrush.data.shards import DamagedSampleError, FramePair
from mimicbrush.pictures.geometry import Placement, letterbox
from tests.conftest import SIZE, encoded_mask, make_pairs

STILL = AugmentConfig(flip_prob=0, rotation_prob=0, scale_prob=0, perspective_prob=0, colour_prob=0)
MOVED = AugmentConfig(rotation_prob=1, scale_prob=1, perspective_prob=1, colour_prob=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def encoded(width: int, height: int, suffix: str = "JPEG", *, seed: int = 0) -> bytes:
    """A picture of smooth random colours with sharp edges, as frames have them."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    array = np.asarray(coarse).copy()
    array[height // 3 : height // 2, width // 5 : width // 2] = (20, 60, 200)
    return to_bytes(array, suffix)


def to_bytes(array: np.ndarray, suffix: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, suffix, quality=95)
    return buffer.getvalue()


def segment(top: float, bottom: float, *, side: int = 100) -> bytes:
    """A mask of all rows between two heights."""
    mask = np.zeros((side, side), np.uint8)
    mask[round(top * side) : round(bottom * side)] = 255
    return to_bytes(mask, "PNG")


def still(*masks: bytes) -> FramePair:
    return FramePair(key="a", source=encoded(100, 100), reference=None, similarity=None, masks=list(masks))


def pair(**changes) -> FramePair:
    fields = {"key": "a", "source": encoded(96, 64), "reference": encoded(96, 64, seed=1), "similarity": 0.5}
    return FramePair(**fields | changes)


def batch_of(*pairs: FramePair, size: int = SIZE):
    return collate([decode_pair(one, size, random.Random(0)) for one in pairs])


@pytest.mark.parametrize("suffix", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("shape", [(128, 72), (90, 160), (1280, 720), (40, 40)])
def test_pictures_are_decoded_as_the_slow_way_does(shape, suffix):
    """Within two grey levels, also where a JPEG is decoded at half its size."""
    content = encoded(*shape, suffix)
    expected, box = letterbox(decode_image(content, "RGB"), 64, fill=1.0)
    decoded = decode_pair(pair(source=content), 64, random.Random(0))
    assert decoded.source.dtype == torch.uint8
    assert decoded.source_box == [box]
    assert (decoded.source[0] - expected * 255).abs().max() <= 2


def test_source_and_reference_know_their_own_place():
    batch = batch_of(pair(source=encoded(96, 48), reference=encoded(48, 96)), size=64)
    assert batch.source_box == [Placement(16, 0, 32, 64)]
    assert batch.reference_box == [Placement(0, 16, 64, 32)]
    assert (batch.source[0, :, :16] == 255).all()
    assert (batch.reference[0, :, :, :16] == 255).all()


def test_keypoints_are_those_of_the_square():
    points = [(0.5, 0.0, 0.0, 0.0), (0.0, 1.0, 1.0, 0.5)]
    batch = batch_of(pair(source=encoded(96, 48), reference=encoded(48, 96), keypoints=points), size=64)
    expected = torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.0, 0.75, 0.75, 0.5]])
    torch.testing.assert_close(batch.keypoints[0, :2], expected)
    assert batch.keypoints[0, 2:].isnan().all()
    many = batch_of(pair(keypoints=[(number / 100, 0.5, 0.5, 0.5) for number in range(100)]))
    assert many.keypoints[0, :, 0].unique().numel() == MAX_KEYPOINTS


@pytest.mark.parametrize(
    "damage",
    [
        {"source": b"not a picture"},
        {"source": b""},
        {"source": encoded(96, 64)[:900]},
        {"reference": encoded(96, 64, "WEBP")[:-50]},
        {"reference": encoded(96, 64, "PNG")[:-200]},
        {"source": encoded(96, 64, "PNG")[:200] + bytes(range(200)) + encoded(96, 64, "PNG")[400:]},
        {"source": encoded(8, 8)},
        {"source": encoded(1000, 20)},
        {"keypoints": [(0.1, 0.2, 0.3)]},
        {"keypoints": [(0.1, 0.2, 0.3, float("nan"))]},
        {"keypoints": [(0.1, 0.2, "x", 0.3)]},
        {"keypoints": [0.1, 0.2, 0.3, 0.4]},
        {"keypoints": [None]},
        {"keypoints": [(13.0, 20.0, 14.0, 21.0)]},
        {"masks": [b"not a picture"]},
        {"masks": [encoded_mask(40)]},
    ],
)
def test_damaged_samples_are_named(damage):
    with pytest.raises(DamagedSampleError, match=r"^a: "):
        decode_pair(pair(**damage), SIZE, random.Random(0))


def test_random_damage_raises_nothing_else():
    rng = np.random.default_rng(0)
    for suffix in ("JPEG", "WEBP", "PNG"):
        whole = np.frombuffer(encoded(64, 48, suffix), np.uint8)
        for _ in range(100):
            broken = whole.copy()
            broken[rng.integers(0, len(whole), 8)] = rng.integers(0, 256, 8)
            with contextlib.suppress(DamagedSampleError):
                decode_pair(pair(source=broken.tobytes()), SIZE, random.Random(0))


def test_up_to_three_segments_are_hidden_together():
    rows = [segment(0.2 * number, 0.2 * number + 0.1) for number in range(5)]
    areas = set()
    for seed in range(60):
        mask = decode_pair(still(*rows), 100, random.Random(seed)).object_mask
        areas.add(round(mask.float().mean().item(), 2))
    assert areas == {0.1, 0.2, 0.3}


def test_segments_that_hide_too_much_are_left_out():
    for seed in range(20):
        mask = decode_pair(still(segment(0, 0.4), segment(0.4, 0.8)), 100, random.Random(seed)).object_mask
        assert mask.float().mean() == pytest.approx(0.4, abs=0.02)
    assert not decode_pair(still(segment(0, 0.6)), 100, random.Random(0)).object_mask.any()
    assert not decode_pair(still(segment(0, 0.01)), 100, random.Random(0)).object_mask.any()


def test_exact_objects_are_hidden_and_pairs_get_a_grid():
    pairs = collate(
        [decode_pair(sample, SIZE, random.Random(0)) for sample in (*make_pairs(1, stills=True), *make_pairs(1))]
    )
    mask = MaskConfig(rough_object_share=0, boxed_object_share=0)
    batch = augment_and_mask(pairs, BatchConfig(augment=STILL, mask=mask), generator())
    assert batch.mask[0].mean() == 0.25
    assert batch.mask[0, 0, : SIZE // 2, : SIZE // 2].all()
    assert 0 < batch.mask[1].mean() < 1
    torch.testing.assert_close(pairs.source[0], pairs.reference[0])


def test_mask_and_target_are_of_the_same_augmented_source():
    """The object is the only red thing: wherever the target shows red, the mask is set, and nowhere else."""
    array = np.full((100, 100, 3), (0, 0, 255), np.uint8)
    array[30:60, 40:70] = (255, 0, 0)
    mask = np.zeros((100, 100), np.uint8)
    mask[30:60, 40:70] = 255
    sample = still(to_bytes(mask, "PNG"))
    sample = FramePair(key="a", source=to_bytes(array, "PNG"), reference=None, similarity=None, masks=sample.masks)
    config = BatchConfig(
        augment=AugmentConfig(rotation_prob=1, scale_prob=1, perspective_prob=1, hue=0.02, brightness=0.1),
        mask=MaskConfig(rough_object_share=0, boxed_object_share=0),
    )
    batch = augment_and_mask(batch_of(*[sample] * 16, size=64), config, generator())
    red = batch.source[:, :1] > batch.source[:, 2:] + 0.2
    hidden = batch.mask > 0
    agree = (red == hidden).flatten(1).float().mean(dim=1)
    assert (agree > 0.97).sum() >= 14  # all but those whose object has left the picture


def test_keypoints_follow_the_augmented_source():
    array = np.zeros((64, 64, 3), np.uint8)
    array[28:37, 14:23] = 255
    sample = pair(source=to_bytes(array, "PNG"), keypoints=[(0.29, 0.51, 0.5, 0.5)])
    moved = augment(batch_of(*[sample] * 16, size=64), AugmentConfig(colour_prob=0), generator())
    inside = ((moved.keypoints > 0.02) & (moved.keypoints < 0.98)).all(dim=2)
    found = [moved.source[i, 0, int(y * 64), int(x * 64)] for i in range(16) for x, y in moved.keypoints[i, inside[i]]]
    assert len(found) > 10
    assert min(found) > 0.5


@pytest.mark.parametrize("is_still", [True, False])
def test_matches_show_the_same_thing_after_the_augmentation(is_still):
    """Red grows to the right and green downwards, so that a colour tells the place."""
    column, row = np.meshgrid(np.arange(96), np.arange(64))
    ramp = to_bytes(np.stack([column * 2, row * 3, np.full_like(row, 90)], axis=2).astype(np.uint8), "PNG")
    points = [(0.1 * x, 0.1 * y, 0.1 * x, 0.1 * y) for x in range(1, 10) for y in range(1, 10)]
    given = {"reference": None} if is_still else {"reference": ramp, "keypoints": points}
    pairs = batch_of(*[pair(source=ramp, **given)] * 4, size=64)
    batch = augment_and_mask(pairs, BatchConfig(augment=AugmentConfig(colour_prob=0)), generator())
    seen = ((batch.matches > 0.05) & (batch.matches < 0.95)).all(dim=2)
    assert seen.sum() > 60
    cells = (batch.matches.nan_to_num(0).clamp(0, 0.99) * 64).long()
    which = torch.arange(4)[:, None]
    here = batch.source[which, :, cells[..., 1], cells[..., 0]][seen]
    there = batch.reference[which, :, cells[..., 3], cells[..., 2]][seen]
    # Beside the edge, a pixel is mixed with the white around it.
    assert (here - there).abs().amax(dim=1).quantile(0.9) < 0.05
    assert here[:, :2].std(dim=0).min() > 0.1


def test_source_and_reference_are_augmented_independently():
    pairs = batch_of(*make_pairs(4))
    batch = augment_and_mask(pairs._replace(reference=pairs.source), BatchConfig(), generator())
    assert not torch.allclose(batch.source, batch.reference, atol=0.05)


def test_padding_stays_purely_white_and_is_never_hidden():
    """Dark pictures: whatever is bright is padding, or what the warp exposes."""
    dark = to_bytes(np.full((48, 96, 3), 30, np.uint8), "PNG")
    tall = to_bytes(np.full((96, 48, 3), 30, np.uint8), "PNG")
    points = [(0.1 * x, 0.1 * y, 0.5, 0.5) for x in range(10) for y in range(10)]
    pairs = batch_of(*[pair(source=dark, reference=tall, keypoints=points)] * 32, size=64)
    batch = augment_and_mask(pairs, BatchConfig(augment=MOVED), generator())
    for images in (batch.source, batch.reference):
        assert (images == 1).flatten(1).any(dim=1).all()
        # Between the two lie only the edge's mixed pixels.
        assert ((images > 0.3) & (images < 1)).float().mean() < 0.05
    hidden = batch.mask.bool()
    assert batch.source[hidden.expand_as(batch.source)].max() < 0.3
    picture = batch.source[:, :1] < 0.3
    assert (hidden & picture).flatten(1).any(dim=1).all()
    assert (~hidden & picture).flatten(1).any(dim=1).all()


def test_the_same_seed_draws_the_same_batch():
    pairs = batch_of(*make_pairs(4), *make_pairs(2, stills=True))
    first, second, other = (augment_and_mask(pairs, BatchConfig(), generator(seed)) for seed in (1, 1, 2))
    torch.testing.assert_close(first[:3], second[:3], rtol=0, atol=0)
    assert not torch.allclose(first.source, other.source)


def test_autocast_changes_nothing():
    """Half precision would move pictures, points and masks by pixels."""
    pairs = batch_of(*make_pairs(4), *make_pairs(2, stills=True))
    expected = augment_and_mask(pairs, BatchConfig(), generator())
    with torch.autocast("cpu", torch.bfloat16):
        cast = augment_and_mask(pairs, BatchConfig(), generator())
    torch.testing.assert_close(cast[:3], expected[:3], rtol=0, atol=0)


def test_masks_for_judging_need_no_augmentation():
    pairs = batch_of(*make_pairs(3))
    batch = mask_pairs(pairs, MaskConfig(), generator())
    torch.testing.assert_close(batch.source, pairs.source / 255)
    assert batch.mask.dtype == batch.reference.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_batch_and_never_waits():
    pairs = batch_of(*make_pairs(4), *make_pairs(2, stills=True))
    config = BatchConfig(mask=MaskConfig(box_share=1, brush_share=1))
    expected = augment_and_mask(pairs, config, generator())
    moved = move_data_to_device(pairs, torch.device("cuda"))
    augment_and_mask(moved, config, generator())
    torch.cuda.set_sync_debug_mode("error")
    try:
        batch = augment_and_mask(moved, config, generator())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    torch.testing.assert_close(batch.source.cpu(), expected.source, rtol=0, atol=1e-3)
    assert (batch.mask.cpu() != expected.mask).float().mean() < 1e-3
