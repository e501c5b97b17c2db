"""Example pictures of what was dropped, a few for each reason, which a shard's index keeps for the report."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

MAX_EXAMPLES = 4
"""Largest number of a shard's examples for one reason, each of another input."""
MAX_BYTES = 131_072
"""Bytes of a shard's pictures after which only the first example of a reason is added. A report reads all indexes: for
a hundred thousand clips, a thousand."""


class _Example(NamedTuple):
    name: str
    picture: bytes
    is_skipped: bool


class Examples:
    """Chooses a shard's examples, in the order of its inputs."""

    def __init__(self) -> None:
        self._chosen: dict[str, list[_Example]] = defaultdict(list)

    def add(self, name: str, reason: str, picture: bytes, *, is_skipped: bool) -> None:
        """Offer a JPEG. is_skipped: the whole input was skipped for this reason, which makes it a better example."""
        chosen, offered = self._chosen[reason], _Example(name, picture, is_skipped)
        has_room = len(chosen) < MAX_EXAMPLES and (not chosen or self._num_bytes() + len(picture) <= MAX_BYTES)
        worse = next((place for place, one in enumerate(chosen) if not one.is_skipped), None)
        if has_room:
            chosen.append(offered)
        elif is_skipped and worse is not None:
            chosen[worse] = offered

    def _num_bytes(self) -> int:
        return sum(len(one.picture) for chosen in self._chosen.values() for one in chosen)

    def __iter__(self) -> Iterator[dict[str, str]]:
        """The examples as the index stores them; for each reason, those of skipped inputs come first."""
        for reason, chosen in self._chosen.items():
            for one in sorted(chosen, key=lambda one: not one.is_skipped):
                yield {"reason": reason, "name": one.name, "picture": b64encode(one.picture).decode()}
