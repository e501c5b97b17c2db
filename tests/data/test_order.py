import pickle
from collections import Counter
from itertools import product

import numpy as np
import pytest

from mimicbrush.data.order import CHUNK, MixtureOrder, SourceOrder, Streams


def source(num_shards: int = 7, num_samples: int = 10, *, window: int = 25, **where) -> SourceOrder:
    return SourceOrder([np.arange(num_samples)] * num_shards, window=window, **{"streams": Streams(0)} | where)


def mixture(seed: int = 0, version: int = 2) -> MixtureOrder:
    streams = Streams(seed, version)
    sources = [source(streams=streams), source(30, streams=streams, number=1)]
    return MixtureOrder(sources, [0.7, 0.3], streams=streams)


def all_streams(version: int) -> dict[tuple, np.random.Generator]:
    """Every purpose with every small number that a run of three sources can ask for."""
    streams, few = Streams(0, version), range(3)
    return {
        **{("sources", chunk): streams.of_sources(chunk) for chunk in range(9)},
        **{("shards", *numbers): streams.of_shards(*numbers) for numbers in product(few, few)},
        **{("samples", *numbers): streams.of_samples(*numbers) for numbers in product(few, few, few)},
    }


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
    order = SourceOrder([np.array([0, 2]), np.array([1])], window=100, streams=Streams(0))
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


def test_no_two_streams_of_a_seed_are_the_same():
    first_numbers = {name: generator.integers(2**63) for name, generator in all_streams(version=2).items()}
    assert len(set(first_numbers.values())) == len(first_numbers) == 45


def test_streams_of_large_seeds_differ_too():
    """NumPy cuts numbers into words of 32 bits: [2**32 + 5] and [5, 1] are the same to it."""
    assert Streams(2**32 + 5).of_shards(0, 0).integers(2**63) != Streams(5).of_shards(1, 0).integers(2**63)


def test_the_first_version_keeps_its_streams():
    """Runs begun with it resume with it; these are numpy's own numbers for the lists it used."""
    streams = Streams(3, version=1)
    for generator, entropy in (
        (streams.of_sources(4), [3, 0, 4]),
        (streams.of_shards(1, 4), [3, 1, 1, 4]),
        (streams.of_samples(1, 4, 5), [3, 1, 2, 4, 5]),
    ):
        assert generator.integers(2**63) == np.random.default_rng(entropy).integers(2**63)
    assert [mixture()[n] for n in range(50)] != [mixture(version=1)[n] for n in range(50)]
