import pickle
from collections import Counter

import numpy as np
import pytest

from mimicbrush.data.order import CHUNK, MixtureOrder, SourceOrder


def source(num_shards: int = 7, num_samples: int = 10, *, window: int = 25, seed: int = 0) -> SourceOrder:
    return SourceOrder([np.arange(num_samples)] * num_shards, window=window, seed=(seed,))


def mixture(seed: int = 0) -> MixtureOrder:
    return MixtureOrder([source(seed=1), source(30, seed=2)], [0.7, 0.3], seed=seed)


def test_each_pass_visits_every_sample_once():
    order = source()
    passes = [[order[turn] for turn in range(70 * number, 70 * (number + 1))] for number in range(3)]
    assert all(len(set(one)) == 70 for one in passes)
    assert passes[0] != passes[1] != passes[2]


def test_a_window_mixes_its_shards_and_no_others():
    order = source(window=20)
    first = [order[turn][0] for turn in range(20)]
    assert sorted(Counter(first).values()) == [10, 10]
    assert first != sorted(first)


def test_excluded_samples_never_come():
    order = SourceOrder([np.array([0, 2]), np.array([1])], window=100, seed=(0,))
    assert sorted(order[turn] for turn in range(3)) == [(0, 0), (0, 2), (1, 1)]


def test_the_mixture_draws_each_position_by_the_weights_and_loses_no_turn():
    order = mixture()
    places = [order[position] for position in range(3 * CHUNK)]
    num_first = sum(place.source == 0 for place in places)
    assert num_first / len(places) == pytest.approx(0.7, abs=0.02)
    assert order.turns(len(places)) == [num_first, len(places) - num_first]
    for number, each in enumerate(order.sources):
        seen = [place[1:] for place in places if place.source == number]
        assert seen == [each[turn] for turn in range(len(seen))]


def test_a_position_is_found_without_those_before_it():
    walked = mixture()
    places = [walked[position] for position in range(2 * CHUNK + 50)]
    assert mixture()[2 * CHUNK + 40] == places[2 * CHUNK + 40]
    assert pickle.loads(pickle.dumps(walked))[17] == places[17]


def test_another_seed_is_another_order():
    assert [mixture()[n] for n in range(50)] == [mixture()[n] for n in range(50)]
    assert [mixture()[n] for n in range(50)] != [mixture(1)[n] for n in range(50)]
