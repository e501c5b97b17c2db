"""Limits for each client: an amount within a window of time, by address."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import Scope

MAX_CLIENTS = 10_000
"""Largest number of clients that are remembered; those seen longest ago are forgotten first."""
NUM_SLOTS = 60
"""Number of parts of the window; amounts within a part are added up."""
IPV6_PREFIX = 64
"""A provider gives every household a network of this size, within which it may choose addresses freely."""


@dataclass
class _Spending:
    total: float = 0.0
    slots: deque[list[float]] = field(default_factory=deque)
    """Beginning and amount of each part of the window."""


class RateLimit:
    """Allows each client a total amount within a sliding window of time."""

    def __init__(self, amount: float, *, seconds: float) -> None:
        self.amount, self.seconds = amount, seconds
        self._clients: dict[str, _Spending] = {}

    def allow(self, client: str, amount: float = 1) -> bool:
        """Whether the client may spend this amount now; if so, it is counted."""
        now = time.monotonic()
        spent = self._clients.pop(client, None) or _Spending()
        self._clients[client] = spent  # last in the order of the dictionary, because it was seen last
        if len(self._clients) > MAX_CLIENTS:
            del self._clients[next(iter(self._clients))]
        while spent.slots and spent.slots[0][0] <= now - self.seconds:
            spent.total -= spent.slots.popleft()[1]
        if spent.total + amount > self.amount:
            return False
        if not spent.slots or spent.slots[-1][0] <= now - self.seconds / NUM_SLOTS:
            spent.slots.append([now, 0.0])
        spent.slots[-1][1] += amount
        spent.total += amount
        return True


def client_name(scope: Scope) -> str:
    """The client's address; addresses of one IPv6 network count as one client."""
    name = (scope.get("client") or ("unknown", 0))[0]
    try:
        address = ip_address(name)
    except ValueError:
        return name
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return name
