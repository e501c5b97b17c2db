"""Train on pictures of one colour each, mostly hidden: only the reference shows which colour."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from mimicbrush.data.batch import InpaintingBatch
from mimicbrush.data.config import AugmentConfig, BatchConfig, MaskConfig
from mimicbrush.data.decode import PairBatch
from mimicbrush.model.config import PartConfig
from mimicbrush.model.reference_use import measure_reference_use
from mimicbrush.model.weights.build import initialise
from mimicbrush.pictures.geometry import Placement
from mimicbrush.training.config import RecipeConfig
from mimicbrush.training.module import MimicBrushModule
from tests.conftest import SIZE, UNET, network_config

NUM_STEPS = 125
STILL = AugmentConfig(flip_prob=0, rotation_prob=0, scale_prob=0, perspective_prob=0, colour_prob=0)
MOSTLY_HIDDEN = MaskConfig(min_cells=2, max_cells=3, uniform_cell_prob=1.0)


def plain_pairs(num: int, seed: int) -> PairBatch:
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randint(256, (num, 3, 1, 1), dtype=torch.uint8, generator=generator).expand(num, 3, SIZE, SIZE)
    names = [f"{seed}-{number}" for number in range(num)]
    points, objects = torch.full((num, 4, 4), float("nan")), torch.zeros(num, 1, SIZE, SIZE, dtype=torch.bool)
    boxes = [Placement(0, 0, SIZE, SIZE)] * num
    still = torch.ones(num, dtype=torch.bool)
    return PairBatch(colours, colours, points, still, objects, boxes, boxes, names, names, [*range(num)], [])


def reference_use(module: MimicBrushModule) -> float:
    pairs = plain_pairs(48, seed=-1)
    mask = torch.ones(48, 1, SIZE, SIZE)
    mask[..., :4, :4] = 0
    batch = InpaintingBatch(pairs.source / 255, mask, pairs.reference / 255, pairs.key, pairs.group, pairs.keypoints)
    return measure_reference_use(module.network, [batch])["another / both"].mean


@pytest.mark.slow
def test_training_teaches_the_network_to_use_its_reference():
    wider = UNET | {"block_out_channels": [32, 32], "norm_num_groups": 8}
    network = initialise(
        network_config(
            reference_unet=PartConfig(arguments=wider),
            autoencoder=PartConfig(pretrained="asset:autoencoder_stride4", subfolder=None),
            reference_blend=1.0,
            prediction_type="v_prediction",
        )
    )
    recipe = RecipeConfig(learning_rate=3e-3, warmup_steps=10, train_reference=True)
    batch = BatchConfig(augment=STILL, mask=MOSTLY_HIDDEN)
    module = MimicBrushModule(network, recipe, batch, max_steps=NUM_STEPS, seed=0)
    before = reference_use(module)
    trainer = lightning.Trainer(
        max_steps=NUM_STEPS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    pairs = [plain_pairs(16, seed) for seed in range(NUM_STEPS)]
    trainer.fit(module, DataLoader(pairs, batch_size=None))
    assert 0.3 < before < 0.7
    assert reference_use(module) > 0.8
