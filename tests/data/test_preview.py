import random

import torch

from mimicbrush.data.batch import augment_and_mask
from mimicbrush.data.config import AugmentConfig, BatchConfig
from mimicbrush.data.decode import collate, decode_pair
from mimicbrush.data.preview import HIDDEN_POINT, OPEN_POINT, preview_batch
from tests.conftest import make_pairs

STILL = AugmentConfig(flip_prob=0, rotation_prob=0, scale_prob=0, perspective_prob=0, colour_prob=0)


def decoded(num: int, size: int, **changes):
    return collate([decode_pair(pair, size, random.Random(0)) for pair in make_pairs(num, **changes)])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_panels_show_what_training_sees():
    pairs = decoded(2, 32)
    batch = augment_and_mask(pairs, BatchConfig(), generator())
    first, second = preview_batch(pairs, BatchConfig(), generator())
    torch.testing.assert_close(second.panels[0], batch.source[1])
    torch.testing.assert_close(first.panels[3], batch.reference[0])
    hidden = batch.mask[0, 0] > 0
    assert (first.panels[1][:, hidden] == 0).all()


def test_points_are_drawn_where_they_are():
    """(0.1, 0.2) and (0.9, 0.9), each in the colour of the mask's state there."""
    pairs = decoded(1, 64)
    (preview,) = preview_batch(pairs, BatchConfig(augment=STILL), generator())
    mask = augment_and_mask(pairs, BatchConfig(augment=STILL), generator()).mask[0, 0]
    assert preview.num_points == 2
    for x, y in ((0.1, 0.2), (0.9, 0.9)):
        row, column = int(y * 64), int(x * 64)
        expected = HIDDEN_POINT if mask[row, column] else OPEN_POINT
        assert preview.panels[2][:, row, column].tolist() == torch.tensor(expected).tolist()
    assert preview.hidden_share == mask.mean()


def test_samples_without_points_are_drawn():
    (preview,) = preview_batch(decoded(1, 32, stills=True), BatchConfig(), generator())
    assert preview.num_points == preview.num_hidden_points == 0
