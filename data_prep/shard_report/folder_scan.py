"""Read every index of a folder of shards once, and keep what its report shows, whatever the number of inputs."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from data_prep.records.exclusions import REPEATS
from data_prep.records.folder_summary import read_sound_index
from data_prep.records.summary import EXCLUSION_CODES
from data_prep.records.work_units import KEPT, edition_of
from mimicbrush.data.shard_index import ShardIndex, check_shard, read_excluded

MAX_EXAMPLES = 6
"""Largest number of rejected examples for each reason."""
MAX_ROWS = 200
"""Largest number of inputs that are kept as the worst ones."""
MAX_SKIPPED = 20
"""Largest number of these that were left out for one reason; so that all reasons, and inputs with few pairs, appear."""


class Place(NamedTuple):
    """The bytes of a sample in a shard."""

    shard: Path
    first: int
    last: int


class InputRow(NamedTuple):
    """One input, with its record in the index of a shard."""

    name: str
    shard: Path
    code: str
    """`kept`, or the code of the reason why it was left out."""
    record: Mapping
    samples: list[Place]
    """Its samples; empty in shards of earlier versions."""

    @property
    def num_pairs(self) -> int:
        """Number of samples that training uses."""
        return self.record.get("pairs", 0) if self.code == KEPT else 0

    @property
    def num_dropped(self) -> int:
        """Number of pairs that were dropped for what they show, rather than because there were enough."""
        return sum(num for code, num in self.record.get("dropped_pairs", {}).items() if code != "not_needed")


class FolderScan:
    """Facts in the indexes that a summary does not contain."""

    def __init__(self, *, repeats: Collection[str], gone: Collection[str], compared: Collection[str]) -> None:
        """repeats: inputs that are excluded as near-duplicates; gone: those that were deleted since; compared: those
        whose samples are looked up."""
        self.stored = 0
        """Number of samples that are not excluded."""
        self.excluded = 0
        """Number of samples that are excluded."""
        self.stills = 0
        """Number of samples that are not excluded and have no stored reference."""
        self.examples: dict[str, list[dict[str, str]]] = defaultdict(list)
        """Up to MAX_EXAMPLES for each reason, each with reason, name and picture."""
        self.samples: dict[str, list[Place]] = {}
        """Samples of the compared inputs."""
        self._repeats, self._gone, self._compared = repeats, gone, compared
        self._fewest: list[InputRow] = []
        self._left_out: dict[str, list[InputRow]] = defaultdict(list)
        self._owner: dict[str, tuple[int, bool, Path]] = {}
        """Edition and shard of each input's record that counts, as in `merge_inputs`, and whether it was kept."""

    @property
    def num_inputs(self) -> int:
        return len(self._owner.keys() - self._gone)

    def add(self, shard: Path, index: ShardIndex, excluded: Collection[str]) -> None:
        """Add one index; excluded: keys that excluded.json names."""
        used = [key not in excluded for key in index.keys]
        groups = index.groups if len(index.groups) == len(used) else [""] * len(used)
        self.stored += sum(used)
        self.excluded += len(used) - sum(used)
        self.stills += sum(is_used and group is None for is_used, group in zip(used, groups, strict=True))
        for example in index.examples:
            if len(self.examples[example["reason"]]) < MAX_EXAMPLES:
                self.examples[example["reason"]].append(example)
        for name, record in index.inputs.items():
            edition, was_kept, _ = self._owner.get(name, (0, False, shard))
            if edition_of(record) > edition or (edition_of(record) == edition and not was_kept):
                self._owner[name] = edition_of(record), record["status"] == KEPT, shard
        self._add_rows(shard, index)

    def _add_rows(self, shard: Path, index: ShardIndex) -> None:
        for row in _rows(shard, index):
            if row.name in self._repeats:
                row = row._replace(code=EXCLUSION_CODES[REPEATS])
            if row.name in self._compared and self._counts(row):
                self.samples[row.name] = row.samples
            if row.code == KEPT:
                self._fewest.append(row)
            elif len(self._left_out[row.code]) < MAX_SKIPPED:
                self._left_out[row.code].append(row)
        self._fewest = heapq.nsmallest(MAX_ROWS, self._fewest, key=lambda row: (row.num_pairs, -row.num_dropped))

    def worst(self) -> list[InputRow]:
        """At most MAX_ROWS inputs: skipped ones by reason, then repeats, then those with the fewest samples."""
        groups = sorted(
            self._left_out.items(), key=lambda group: (group[0] == EXCLUSION_CODES[REPEATS], -len(group[1]))
        )
        rows = [row for _, rows in groups for row in rows] + self._fewest
        return [row for row in rows if self._counts(row)][:MAX_ROWS]

    def _counts(self, row: InputRow) -> bool:
        """Whether no later record of the input takes this one's place, and the input still exists."""
        return self._owner[row.name][2] == row.shard and row.name not in self._gone


def scan_folder(shards: Sequence[Path], summary: Mapping, *, compared: Collection[str]) -> FolderScan:
    """Scan the indexes of these shards; raises UserError if one is damaged, or its shard is.

    compared: inputs whose samples are looked up.
    """
    repeats, gone = summary["near_duplicates"].keys(), set(summary.get("gone", ()))
    scan, excluded = FolderScan(repeats=repeats, gone=gone, compared=compared), read_excluded(shards)
    for shard in shards:
        index = read_sound_index(shard)
        check_shard(shard, index)
        scan.add(shard, index, excluded)
    return scan


def _rows(shard: Path, index: ShardIndex) -> Iterator[InputRow]:
    """The inputs of an index, with the places of their samples, which the shard holds in the same order."""
    has_places = len(index.offsets) == 1 + sum(record.get("pairs", 0) for record in index.inputs.values())
    start = 0
    for name, record in index.inputs.items():
        end = start + record.get("pairs", 0)
        samples = [Place(shard, *index.offsets[number : number + 2]) for number in range(start, end) if has_places]
        yield InputRow(name, shard, record["status"], record, samples)
        start = end
