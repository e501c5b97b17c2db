import pytest
import torch

from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.errors import UserError
from mimicbrush.model import reference_use
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.reference_use import COMPARISONS, measure_reference_use
from mimicbrush.model.weights.build import initialise
from tests.conftest import SIZE, one_block_config


@pytest.fixture
def network() -> MimicBrushNetwork:
    return initialise(one_block_config()).eval()


@pytest.mark.slow
def test_untrained_networks_are_at_chance(shards):
    """The mean over random networks is at chance, and none of them looks like a network that imitates."""
    batches = heldout_batches(shards["heldout"], SIZE, 16, 0)
    shares = [measure_reference_use(initialise(one_block_config(), seed=seed), batches) for seed in range(4)]
    assert shares[0].keys() == COMPARISONS.keys()
    assert (shares[0]["another / both"].count, shares[0]["another / both"].groups) == (16, 4)
    assert 0.35 < sum(share["another / both"].mean for share in shares) / len(shares) < 0.65


def test_network_blind_to_the_reference_ties_everywhere(network, shards):
    network.image_projector.requires_grad_(False)
    network.image_projector.projector.weight.zero_()
    for processor in network.imitative_unet.attn_processors.values():
        if hasattr(processor, "blend"):
            processor.blend = 0.0
    shares = measure_reference_use(network, heldout_batches(shards["heldout"], SIZE, 16, 0))
    assert {share.mean for share in shares.values()} == {0.5}


def test_oracle_that_copies_the_reference_scores_one(network, shards, monkeypatch):
    """A prediction that needs the right reference wins every comparison with another one."""

    def predictions(network, conditions, noisy, timesteps):
        right = conditions["right"].reference_latent
        return {
            name: noisy + (conditions[name.split(" ")[0]].reference_latent - right).abs().mean() * 1e3
            for name in ("right", "another / both", "shuffled / both")
        }

    monkeypatch.setattr(reference_use, "_predictions", predictions)
    monkeypatch.setattr(reference_use, "COMPARISONS", {"another / both": "", "shuffled / both": ""})
    shares = measure_reference_use(network, heldout_batches(shards["heldout"], SIZE, 16, 0))
    assert shares["another / both"].mean == 1


def test_same_seed_same_numbers(network, shards):
    batches = heldout_batches(shards["heldout"], SIZE, 8, 0)
    assert measure_reference_use(network, batches) == measure_reference_use(network, batches)


def test_shuffled_patches_keep_their_colours():
    image = torch.rand(3, SIZE, SIZE)
    shuffled = reference_use._shuffle_patches(image, torch.Generator().manual_seed(0))
    assert shuffled.shape == image.shape
    assert not torch.equal(shuffled, image)
    torch.testing.assert_close(shuffled.flatten(1).sort().values, image.flatten(1).sort().values)


def test_another_reference_is_never_of_the_same_group():
    groups = ["a", "a", "b", "c", "c", "c"]
    assert all(groups[reference_use.next_of_another_group(groups, number)] != groups[number] for number in range(6))


def test_too_few_pairs_is_refused(shards):
    with pytest.raises(UserError, match="needs 100 pairs"):
        heldout_batches(shards["heldout"], SIZE, 100, 0)
