"""Makes triplets of the released layout from candidates, and records what was skipped."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mimicbrush.benchmark_layout import (
    GROUPS,
    MASK,
    PROMPTS,
    REFERENCE,
    REFERENCE_MASK,
    SOURCE,
    UNFILLED,
    find_pictures,
    is_filled,
    read_texts,
)
from mimicbrush.errors import UnusableInput, UserError, describe_reasons, some_of
from mimicbrush.evaluation.build.candidates import Candidate, Quota
from mimicbrush.evaluation.build.collection import Collection, MaskedPhotograph, write_once
from mimicbrush.evaluation.preconditions import refuse_faults
from mimicbrush.evaluation.text_faults import text_faults
from mimicbrush.files import installed_versions, write_json
from mimicbrush.progress import progress_bar
from mimicbrush.run_folder import CONFIG_NAME, claim

PROVENANCE = "provenance.json"
TEMPLATE = f"{UNFILLED}: what the edited picture shows, with #what comes from the reference# between these signs"
MAX_NAMED = 8
"""Number of unfilled quotas named in a line; provenance.json names all."""
PACKAGES = ("mimicbrush", "numpy", "opencv-python-headless", "pillow", "transformers")


@dataclass(frozen=True, kw_only=True)
class TripletRecord:
    """Id, group, prompt and provenance of a triplet that was written."""

    id: str
    group: str
    prompt: str | None
    source: dict
    """Provenance of source and mask."""
    reference: dict
    """Provenance of reference and its mask."""


@dataclass(kw_only=True)
class BuildSummary:
    """Counts of the triplets that were made and of the photographs that were skipped."""

    wanted: int
    triplets: list[TripletRecord] = field(default_factory=list)
    short: dict[str, str] = field(default_factory=dict)
    """Unfilled quotas by name, with their counts such as `1 of 2`."""
    skipped: dict[str, UnusableInput] = field(default_factory=dict)
    """Photographs that were tried and cannot be used, with the reason."""
    tried: int = 0
    unmarked: list[str] = field(default_factory=list)
    """Photographs that were left out because they have no mask file, box or click."""

    def sentence(self) -> str:
        """Summarise, as in: `made 29 of 30 triplets; skipped 4 of 63 photographs tried: 3 mask_large, 1 unreadable`."""
        counts = Counter(error.reason for error in self.skipped.values())
        reasons = f": {describe_reasons(dict(counts.most_common()))}" if counts else ""
        clauses = [
            f"made {len(self.triplets)} of {self.wanted} triplets",
            f"skipped {len(self.skipped)} of {self.tried} photographs tried{reasons}",
        ]
        if self.unmarked:
            clauses.append(f"{len(self.unmarked)} left out without a mask, box or click")
        if self.short:
            clauses.append(f"too few from {some_of(list(self.short), MAX_NAMED)}")
        return "; ".join(clauses)


@dataclass(frozen=True, kw_only=True)
class BuildFingerprint:
    """All that a built set depends on."""

    settings: object
    inputs: str
    """Fingerprint of photographs, drawn masks, boxes and pairs."""


@contextmanager
def claimed(output: Path, settings: object, inputs: Iterable[str]) -> Iterator[None]:
    """Claim the output folder for the block, or check that it holds the same build.

    If the block raises UserError before it has written a picture, the folder is free for a corrected command.
    Raises UserError if the folder holds another build, or a benchmark that was not built here.
    """
    if output.is_dir() and find_pictures(output) and not (output / CONFIG_NAME).is_file():
        raise UserError(f"{output}: holds a benchmark that was not built here; choose another output")
    fingerprint = hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
    claim(output, BuildFingerprint(settings=settings, inputs=fingerprint), free=("settings.output",))
    try:
        yield
    except UserError:
        if not any(output.rglob("*.png")):
            (output / CONFIG_NAME).unlink()
        raise


def make_triplets(quotas: Sequence[Quota], sources: Collection, references: Collection, output: Path) -> BuildSummary:
    """Fill every quota and write its triplets, numbered in order; raises UserError if no triplet can be made."""
    summary = BuildSummary(wanted=sum(quota.wanted for quota in quotas))
    with progress_bar(total=summary.wanted, desc="triplets", unit="triplet") as progress:
        for quota in quotas:
            before = len(summary.triplets)
            for candidate in quota.candidates:
                if len(summary.triplets) == before + quota.wanted:
                    break
                pair = _prepare(candidate, sources, references)
                if pair:
                    summary.triplets.append(_write(f"{len(summary.triplets):03d}", candidate, pair, output))
                    progress.update()
            made = len(summary.triplets) - before
            if made < quota.wanted:
                summary.short[quota.name] = f"{made} of {quota.wanted}"
    for collection in {id(each): each for each in (sources, references)}.values():
        summary.skipped |= {str(collection.config.folder / file): why for file, why in collection.skipped.items()}
        summary.tried += len(collection.tried)
        summary.unmarked += [str(collection.config.folder / file) for file in collection.unmarked]
    if not summary.triplets:
        first = next((f"; first {path}: {why.detail}" for path, why in summary.skipped.items()), "")
        raise UserError(f"{sources.config.folder}: {summary.sentence()}{first}")
    return summary


def _prepare(
    candidate: Candidate, sources: Collection, references: Collection
) -> tuple[MaskedPhotograph, MaskedPhotograph] | None:
    """Prepare both photographs; return None if one cannot be used, or if they are copies of each other."""
    try:
        source, reference = sources.prepare(candidate.source), references.prepare(candidate.reference)
    except UnusableInput:
        return None
    return (source, reference) if source.photograph.sha256 != reference.photograph.sha256 else None


def _write(
    name: str, candidate: Candidate, pair: tuple[MaskedPhotograph, MaskedPhotograph], output: Path
) -> TripletRecord:
    source, reference = pair
    write_once(source.image, output / f"{name}{SOURCE}")
    write_once(source.mask, output / f"{name}{MASK}")
    write_once(reference.image, output / f"{name}{REFERENCE}")
    write_once(reference.mask, output / f"{name}{REFERENCE_MASK}")
    return TripletRecord(
        id=name,
        group=candidate.group,
        prompt=candidate.prompt,
        source=source.provenance,
        reference=reference.provenance,
    )


def write_texts(summary: BuildSummary, output: Path) -> None:
    """Write groups.json and provenance.json."""
    write_json({each.id: each.group for each in summary.triplets}, output / GROUPS)
    provenance = {
        "triplets": {each.id: {"source": each.source, "reference": each.reference} for each in summary.triplets},
        "skipped": {path: {"reason": why.reason, "detail": why.detail} for path, why in summary.skipped.items()},
        "unmarked": summary.unmarked,
        "too_few": summary.short,
        "versions": installed_versions(PACKAGES),
    }
    write_json(provenance, output / PROVENANCE)


def write_prompts(summary: BuildSummary, output: Path) -> None:
    """Write prompts.json: the prompts of the pairs, and a template for the others; prompts written by hand are kept.

    Raises UserError if the existing file is unsound.
    """
    path = output / PROMPTS
    refuse_faults({str(output): text_faults(path, {each.id: each for each in summary.triplets})})
    written = {name: text for name, text in read_texts(path).items() if is_filled(text)}
    write_json({each.id: written.get(each.id) or each.prompt or TEMPLATE for each in summary.triplets}, path)
