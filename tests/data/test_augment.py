import torch

from mimicbrush.data.augment import AugmentConfig, random_colours, random_homographies, warp_images, warp_points
from mimicbrush.data.batch import BatchConfig, augment_and_mask, collate, decode_pair
from tests.conftest import SIZE, make_pairs

STILL = AugmentConfig(flip_prob=0, geometry_prob=0, colour_prob=0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_points_move_with_the_picture():
    """A dot drawn at a point is found at the moved point."""
    size, point = 65, torch.tensor([[[0.4, 0.6]]])
    for seed in range(8):
        homography = random_homographies(1, AugmentConfig(geometry_prob=1, perspective=0.1), generator(seed))
        image = torch.zeros(1, 1, size, size)
        x, y = (point[0, 0] * size).long()
        image[..., y - 1 : y + 2, x - 1 : x + 2] = 1
        moved = warp_images(image, homography, fill=0.0)[0, 0]
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        found = torch.stack([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum() + 0.5
        torch.testing.assert_close(found / size, warp_points(point, homography)[0, 0], rtol=0, atol=0.02)


def test_identity_leaves_pictures_alone():
    images = torch.rand(3, 3, SIZE, SIZE)
    torch.testing.assert_close(
        warp_images(images, random_homographies(3, STILL, generator()), fill=1.0), images, rtol=0, atol=1e-5
    )
    torch.testing.assert_close(random_colours(images, STILL, generator()), images, rtol=0, atol=0)


def test_flip_mirrors():
    config = AugmentConfig(flip_prob=1, geometry_prob=0)
    images = torch.rand(1, 3, SIZE, SIZE)
    warped = warp_images(images, random_homographies(1, config, generator()), fill=1.0)
    torch.testing.assert_close(warped, images.flip(-1), rtol=0, atol=1e-5)


def test_what_comes_from_outside_is_white():
    config = AugmentConfig(geometry_prob=1, scale=0.5, rotation=45, perspective=0)
    warped = [
        warp_images(torch.zeros(1, 3, SIZE, SIZE), random_homographies(1, config, generator(seed)), fill=1.0)
        for seed in range(10)
    ]
    assert any(image[0, :, 0, 0].min() == 1 for image in warped)


def test_source_and_reference_are_augmented_independently():
    pairs = collate([decode_pair(pair, SIZE, None) for pair in make_pairs(4)])
    same = pairs._replace(reference=pairs.source)
    batch = augment_and_mask(same, BatchConfig(), generator())
    assert not torch.allclose(batch.source, batch.reference, atol=0.05)


def test_the_same_seed_draws_the_same_batch():
    pairs = collate([decode_pair(pair, SIZE, None) for pair in make_pairs(4)])
    first, second = (augment_and_mask(pairs, BatchConfig(), generator(1)) for _ in range(2))
    torch.testing.assert_close(first[:3], second[:3], rtol=0, atol=0)


def test_stills_use_their_object_mask_and_pairs_a_grid():
    import random

    still, pair = make_pairs(1, stills=True)[0], make_pairs(1)[0]
    pairs = collate([decode_pair(sample, SIZE, random.Random(0)) for sample in (still, pair)])
    batch = augment_and_mask(pairs, BatchConfig(augment=STILL), generator())
    assert batch.mask[0].mean() == 0.25
    assert batch.mask[0, 0, : SIZE // 2, : SIZE // 2].all()
    assert 0 < batch.mask[1].mean() < 1
    torch.testing.assert_close(pairs.source[0], pairs.reference[0])
