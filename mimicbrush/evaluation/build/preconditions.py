"""Checks before building a set that need no torch: missing photographs, shards, masks, boxes and lists of pairs."""

from __future__ import annotations

from pathlib import Path

from mimicbrush.data.shard_index import require_shards
from mimicbrush.errors import Faults, UserError
from mimicbrush.evaluation.build.config import (
    CheckConfig,
    ClipSetConfig,
    CollectionConfig,
    HeldoutSetConfig,
    InnerIdConfig,
    InterIdConfig,
    OverlapConfig,
    RebuildConfig,
)
from mimicbrush.files import refuse_file_name
from mimicbrush.metadata import require_metadata
from mimicbrush.segmentation.mask_inputs import require_mask_inputs, require_photographs

NO_PAIRS = "no such text file; expected a CSV with columns source, reference[, prompt]"


def check_inner_id(config: InnerIdConfig) -> None:
    """Raise UserError if inputs are missing, or the output is named like a file."""
    _check(config.output, config.subjects)


def check_inter_id(config: InterIdConfig) -> None:
    """Raise UserError if inputs are missing, or the output is named like a file."""
    _check(config.output, config.sources, config.references, pairs=config.pairs)


def check_heldout(config: HeldoutSetConfig) -> None:
    """Raise UserError if folders of shards are missing, or the output is named like a file."""
    faults = Faults()
    with faults.collect():
        refuse_file_name(config.output)
    for folder in config.shards:
        with faults.collect():
            require_shards(folder)
    faults.refuse()


def check_clips(config: ClipSetConfig) -> None:
    """Raise UserError if the list is missing, or the output is named like a file."""
    faults = Faults()
    with faults.collect():
        refuse_file_name(config.output)
    columns = "source, source_prompt, target_image, target_prompt"
    faults.check(config.samples.is_file(), f"{config.samples}: no such file; expected a CSV with columns {columns}")
    faults.refuse()


def check_rebuild(config: RebuildConfig) -> None:
    """Raise UserError if recipe or photographs are missing, or the output is named like a file."""
    faults = Faults()
    with faults.collect():
        refuse_file_name(config.output)
    faults.check(config.recipe.is_file(), f"{config.recipe}: no such file; expected the recipe.json of a built set")
    for folder in config.photographs:
        with faults.collect():
            require_photographs(folder)
    faults.refuse()


def check_overlap(config: OverlapConfig) -> None:
    """Raise UserError if the set or a folder of shards is missing."""
    faults = Faults()
    faults.check(config.folder.is_dir(), f"{config.folder}: no such folder; give a benchmark set or a folder of sets")
    for folder in config.shards:
        with faults.collect():
            require_shards(folder)
    faults.refuse()


def check_check(config: CheckConfig) -> None:
    """Raise UserError if the folder does not exist."""
    if not config.folder.is_dir():
        raise UserError(f"{config.folder}: no such folder; give a benchmark set or a folder of sets")


def _check(output: Path, *collections: CollectionConfig, pairs: Path | None = None) -> None:
    faults = Faults()
    with faults.collect():
        refuse_file_name(output)
    for collection in collections:
        with faults.collect():
            require_photographs(collection.folder)
        with faults.collect():
            require_metadata(collection.metadata)
        with faults.collect():
            require_mask_inputs(collection.masks)
    faults.check(pairs is None or pairs.is_file(), f"{pairs}: {NO_PAIRS}")
    faults.refuse()
