import pytest
import torch

from mimicbrush.data.datamodule import heldout_batches
from mimicbrush.errors import UserError
from mimicbrush.model import reference_use
from mimicbrush.model.reference_use import COMPARISONS, measure_reference_use
from tests.conftest import SIZE


def test_untrained_network_is_at_chance(network, shards):
    """Its random attention may lean to one side a little; it must not look like imitation."""
    shares = measure_reference_use(network, heldout_batches(shards["heldout"], SIZE, 16, 0))
    assert shares.keys() == COMPARISONS.keys()
    assert 0.2 < shares["another / both"].mean < 0.8
    assert shares["another / both"].count == 16
    assert shares["another / both"].groups == 4


def test_network_blind_to_the_reference_ties_everywhere(network, shards):
    network.image_projector.requires_grad_(False)
    network.image_projector.projector.weight.zero_()
    for processor in network.imitative_unet.attn_processors.values():
        if hasattr(processor, "blend"):
            processor.blend = 0.0
    shares = measure_reference_use(network, heldout_batches(shards["heldout"], SIZE, 16, 0))
    assert {share.mean for share in shares.values()} == {0.5}


def test_oracle_that_copies_the_reference_scores_one(network, shards, monkeypatch):
    """A prediction that is right only with the right reference wins every comparison with another's."""

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
    assert all(groups[reference_use._next_other(groups, number)] != groups[number] for number in range(6))


def test_too_few_pairs_is_refused(shards):
    with pytest.raises(UserError, match="needs 100 pairs"):
        heldout_batches(shards["heldout"], SIZE, 100, 0)
