"""Builds a set from candidates and checks it: the steps that both tracks share."""

from __future__ import annotations

from collections.abc import Sequence

from mimicbrush.benchmark_layout import PROMPTS
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.benchmark_faults import find_faults
from mimicbrush.evaluation.build.candidates import Quota
from mimicbrush.evaluation.build.collection import Collection
from mimicbrush.evaluation.build.recipe import write_recipe
from mimicbrush.evaluation.build.triplet_page import write_contact_sheet
from mimicbrush.evaluation.build.triplets import PROVENANCE, BuildSummary, make_triplets, write_prompts, write_texts
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.evaluation.preconditions import refuse_faults

MAX_LINES = 10
"""Number of skipped photographs that are printed; provenance.json and the contact sheet name all."""


def build_set(benchmark: BenchmarkSet, quotas: Sequence[Quota], sources: Collection, references: Collection) -> None:
    """Write the set, its texts and its contact sheet, check it, and print a summary."""
    output = benchmark.folder
    summary = make_triplets(quotas, sources, references, output)
    write_texts(summary, output)
    # Inner-ID is measured against the source, not against a text.
    if benchmark.track == "inter_id":
        write_prompts(summary, output)
    refuse_faults({str(output): find_faults(benchmark, frozenset({"reference_mask"}))})
    samples = list_samples(benchmark)
    sheet = write_contact_sheet(summary, samples, output)
    recipe = write_recipe(benchmark, summary.triplets, sources.size)
    _name_skipped(summary, str(output / PROVENANCE))
    print(f"recipe, without pictures, from which others rebuild the set -> {recipe}")
    print(summary.sentence())
    if benchmark.track == "inter_id" and (unfilled := sum(sample.prompt is None for sample in samples)):
        print(f"prompts to fill in: {unfilled}, in {output / PROMPTS}")
    print(f"{benchmark.task}, {benchmark.track}: {len(samples)} triplets -> {output}; check the masks in {sheet}")


def _name_skipped(summary: BuildSummary, elsewhere: str) -> None:
    for path, why in list(summary.skipped.items())[:MAX_LINES]:
        print(f"skipped {path}: {why}")
    if len(summary.skipped) > MAX_LINES:
        print(f"and {len(summary.skipped) - MAX_LINES} more, in {elsewhere}")
