from __future__ import annotations

import pytest

from mimicbrush.demo.protection import client_limits
from mimicbrush.demo.protection.client_limits import RateLimit, client_name


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(client_limits.time, "monotonic", lambda: now[0])
    return now


def test_a_client_spends_its_amount_within_a_sliding_window(clock):
    limit = RateLimit(10, seconds=60)
    assert limit.allow("a", 6) and not limit.allow("a", 5) and limit.allow("a", 4)
    assert limit.allow("b", 10)
    clock[0] += 59
    assert not limit.allow("a", 1)
    clock[0] += 2
    assert limit.allow("a", 10)


def test_many_small_amounts_are_kept_in_few_slots(clock):
    limit = RateLimit(1e9, seconds=60)
    for _ in range(10_000):
        clock[0] += 0.01
        limit.allow("a", 1)
    assert len(limit._clients["a"].slots) <= client_limits.NUM_SLOTS + 1
    assert limit._clients["a"].total == pytest.approx(6000, rel=0.03)


def test_the_clients_seen_longest_ago_are_forgotten(clock, monkeypatch):
    monkeypatch.setattr(client_limits, "MAX_CLIENTS", 3)
    limit = RateLimit(1, seconds=60)
    for name in "abcad":
        limit.allow(name)
    assert list(limit._clients) == ["c", "a", "d"]
    assert not limit.allow("a")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_one_ipv6_network_is_one_client(address, expected):
    assert client_name({"client": (address, 1)}) == expected


def test_a_client_without_an_address_has_a_name():
    assert client_name({}) == client_name({"client": None}) == "unknown"
