"""Builds an inter-ID set: source and reference show different things (paper, appendix A: photographs of Pexels)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mimicbrush.csv_rows import read_rows
from mimicbrush.errors import UserError
from mimicbrush.evaluation.build.build_set import build_set
from mimicbrush.evaluation.build.candidates import Candidate, Quota, crossed, shuffled
from mimicbrush.evaluation.build.collection import Collection
from mimicbrush.evaluation.build.config import InterIdConfig
from mimicbrush.evaluation.build.triplets import claimed
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.files import sha256
from mimicbrush.folder_lock import held
from mimicbrush.segmentation.photographs import PhotographFile

Photographs = dict[str, PhotographFile]


def build_inter_id(config: InterIdConfig) -> None:
    """Build an inter-ID set; raises UserError if an input is missing, or no triplet can be made."""
    with held(config.output):
        masks = config.output / "masks"
        sources = Collection(config.sources, config.size, seed=config.seed, masks=masks / "sources")
        references = Collection(config.references, config.size, seed=config.seed, masks=masks / "references")
        if config.pairs:
            quotas = read_pairs(config.pairs, sources.photographs, references.photographs)
            chosen = [sha256(config.pairs)]
        else:
            drawn = draw_pairs(sources.photographs, references.photographs, seed=config.seed)
            quotas, chosen = [Quota("the draw", config.num_triplets, drawn)], []
        benchmark = BenchmarkSet(folder=config.output, task=config.task, track="inter_id")
        with claimed(config.output, config, [*sources.inputs(), "", *references.inputs(), *chosen]):
            build_set(benchmark, quotas, sources, references)


def draw_pairs(sources: Photographs, references: Photographs, *, seed: int) -> Iterator[Candidate]:
    """Yield every pair in a random order in which no source repeats before all were used."""
    for source, reference in crossed(shuffled(sources, seed, "sources"), shuffled(references, seed, "references")):
        yield _candidate(sources, source, reference)


def read_pairs(path: Path, sources: Photographs, references: Photographs) -> list[Quota]:
    """Make a quota of one triplet for each row of the CSV.

    Raises UserError if columns are missing, or that names every row that is no pair of photographs or is repeated.
    """
    rows = list(read_rows(path, required=("source", "reference")).values())
    faults = [fault for place, row in enumerate(rows) for fault in _row_faults(rows, place, sources, references)]
    if faults:
        raise UserError("\n".join([f"{path}: {len(faults)} faults; fix them:", *(f"- {fault}" for fault in faults)]))
    candidates = [_candidate(sources, row["source"], row["reference"], row.get("prompt") or None) for row in rows]
    return [Quota(f"{each.source} and {each.reference}", 1, [each]) for each in candidates]


def _row_faults(rows: list[dict], place: int, sources: Photographs, references: Photographs) -> list[str]:
    source, reference = rows[place]["source"], rows[place]["reference"]
    line = f"row {place + 1}"
    faults = [f"{line}: {source} is not among the sources, or has no mask"] if source not in sources else []
    if reference not in references:
        faults.append(f"{line}: {reference} is not among the references, or has no mask")
    if not faults and sources[source].sha256 == references[reference].sha256:
        faults.append(f"{line}: source and reference are the same picture")
    if any((row["source"], row["reference"]) == (source, reference) for row in rows[:place]):
        faults.append(f"{line}: {source} with {reference} is repeated")
    return faults


def _candidate(sources: Photographs, source: str, reference: str, prompt: str | None = None) -> Candidate:
    return Candidate(source, reference, sources[source].origin.get("group", source), prompt)
