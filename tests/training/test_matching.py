from __future__ import annotations

import math

import torch

from mimicbrush.model.attention import KeyValue
from mimicbrush.training.matching import matching_loss

SIDE, CHANNELS = 4, 32
LENGTH = SIDE * SIDE


def places(columns: list[float], rows: list[float]) -> torch.Tensor:
    return (torch.tensor([columns, rows]).T + 0.5) / SIDE


def features(key: torch.Tensor) -> dict[str, KeyValue]:
    return {"layer": KeyValue(key, key)}


def test_attention_on_the_matching_place_costs_nothing_and_elsewhere_much():
    """Queries and keys are one-hot by position; the reference is the source rotated by 180 degrees."""
    code = 40 * torch.eye(LENGTH, CHANNELS)
    queries, keys = {"layer": code[None, :, None]}, features(code.flip(0)[None])
    here = places([0, 1, 3], [0, 2, 1])
    there = places([3, 2, 0], [3, 1, 2])
    found = matching_loss(queries, keys, torch.cat([here, there], dim=1)[None])
    assert found.mean < 1e-3
    assert matching_loss(queries, keys, torch.cat([here, here], dim=1)[None]).mean > 100


def test_flat_attention_costs_the_logarithm_of_the_number_of_places():
    queries, keys = {"layer": torch.zeros(2, LENGTH, 4, 8)}, features(torch.randn(2, LENGTH, CHANNELS))
    found = matching_loss(queries, keys, torch.rand(2, 9, 4))
    torch.testing.assert_close(found.each, torch.full((2,), math.log(LENGTH)))


def test_one_head_on_the_place_is_enough_for_its_share():
    """One of two heads attends to the match, the other evenly to all positions."""
    code = 40 * torch.eye(LENGTH)
    query = torch.stack([code, torch.zeros_like(code)], dim=1)[None]
    match = torch.cat([places([2], [3]), places([2], [3])], dim=1)[None]
    found = matching_loss({"layer": query}, features(torch.cat([code, code], dim=1)[None]), match)
    torch.testing.assert_close(found.mean, -torch.tensor((1 + 1 / LENGTH) / 2).log(), atol=1e-4, rtol=0)


def test_points_that_are_missing_or_outside_count_for_nothing():
    queries = {"layer": torch.randn(2, LENGTH, 1, CHANNELS, requires_grad=True)}
    keys = features(torch.randn(2, LENGTH, CHANNELS))
    inside = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    absent = torch.tensor([[math.nan] * 4, [0.1, 1.0, 0.3, 0.4], [0.1, 0.2, -0.01, 0.4]])
    few = matching_loss(queries, keys, torch.stack([inside.repeat(4, 1), torch.cat([absent, absent[:1]])]))
    alone = matching_loss(queries, keys, torch.stack([inside, absent[:1]]))
    torch.testing.assert_close(few.mean, alone.mean)
    assert few.each[1].isnan()
    few.mean.backward()
    assert queries["layer"].grad[0].any() and not queries["layer"].grad[1].any()
    assert matching_loss(queries, keys, torch.full((2, 3, 4), math.nan)).mean == 0
