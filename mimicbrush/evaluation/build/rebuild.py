"""The command `rebuild`: a benchmark set from its recipe and the same photographs, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mimicbrush.benchmark_layout import MASK, PROMPTS, REFERENCE, REFERENCE_MASK, SOURCE
from mimicbrush.errors import UnusableInput, UserError
from mimicbrush.evaluation.benchmark import list_samples
from mimicbrush.evaluation.build.collection import write_once
from mimicbrush.evaluation.build.config import RebuildConfig, SizeConfig
from mimicbrush.evaluation.build.recipe import RECIPE, read_recipe, unpack_mask
from mimicbrush.evaluation.build.triplet_page import write_contact_sheet
from mimicbrush.evaluation.build.triplets import BuildSummary, TripletRecord, claimed, write_texts
from mimicbrush.evaluation.config import BenchmarkSet
from mimicbrush.files import PICTURE_SUFFIXES, sha256, write_json, write_text
from mimicbrush.folder_lock import held
from mimicbrush.progress import progress_bar
from mimicbrush.segmentation.photographs import PhotographFile, read_picture

SIDES = {"source": (SOURCE, MASK), "reference": (REFERENCE, REFERENCE_MASK)}
"""Side of a triplet -> its picture and its mask."""


def rebuild_set(config: RebuildConfig) -> None:
    """Rebuild a set, and compare every file with the recipe's checksums.

    Raises UserError that names every photograph that is missing, before anything is written, or every file that
    differs.
    """
    recipe = read_recipe(config.recipe)
    triplets = [TripletRecord(**each) for each in recipe["triplets"]]
    with held(config.output):
        photographs = _find_photographs(triplets, config)
        with claimed(config.output, config, [sha256(config.recipe)]):
            for each in progress_bar(triplets, desc="triplets", unit="triplet"):
                _write_pictures(each, photographs, recipe, config.output)
            _write_the_rest(triplets, recipe, config)
            _compare(recipe, config.output)
    print(f"{len(triplets)} triplets, equal to the recipe byte for byte -> {config.output}")


def _find_photographs(triplets: Sequence[TripletRecord], config: RebuildConfig) -> dict[str, Path]:
    """Find the photographs by their checksums, under any name; {sha256: path}."""
    wanted = _photographs_of(triplets)
    found: dict[str, Path] = {}
    paths = list(_pictures_in(config.photographs))
    for path in progress_bar(paths, desc="photographs", unit="photograph"):
        if len(found) == len(wanted):
            break
        content = sha256(path)
        if content in wanted:
            found[content] = path
    missing = [_describe(side) for content, side in wanted.items() if content not in found]
    if missing:
        folders = ", ".join(map(str, config.photographs))
        names = "; ".join(missing)
        raise UserError(f"{folders}: {len(missing)} of {len(wanted)} photographs are not there, or changed: {names}")
    return found


def _photographs_of(triplets: Sequence[TripletRecord]) -> dict[str, Mapping]:
    """Photographs of a recipe's triplets by their checksums."""
    return {side["sha256"]: side for each in triplets for side in (each.source, each.reference)}


def _pictures_in(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        paths = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
        yield from sorted(path for path in paths if path.is_file())


def _describe(side: Mapping) -> str:
    """Name of a photograph, its checksum's beginning, and where it can be had, if the recipe says so."""
    return f"{side['file']} (SHA-256 {side['sha256'][:12]}{''.join(f', {url}' for url in [side.get('url')] if url)})"


def _write_pictures(triplet: TripletRecord, photographs: Mapping[str, Path], recipe: Mapping, output: Path) -> None:
    size = SizeConfig(**recipe["size"])
    for name, (picture, mask) in SIDES.items():
        side = getattr(triplet, name)
        path = photographs[side["sha256"]]
        photograph = PhotographFile(file=side["file"], path=path, sha256=side["sha256"], origin={})
        try:
            image = read_picture(photograph, max_side=size.max_side, min_side=size.min_side).image
            drawn = unpack_mask(recipe["masks"][f"{triplet.id}{mask}"])
        except (UnusableInput, ValueError, KeyError) as error:
            raise UserError(f"{triplet.id}{picture}: cannot be made from {path} ({error}); get both again") from None
        write_once(image, output / f"{triplet.id}{picture}")
        write_once(drawn, output / f"{triplet.id}{mask}")


def _write_the_rest(triplets: list[TripletRecord], recipe: Mapping, config: RebuildConfig) -> None:
    summary = BuildSummary(wanted=len(triplets), triplets=triplets, tried=len(_photographs_of(triplets)))
    write_texts(summary, config.output)
    if PROMPTS in recipe["files"]:
        write_json({each.id: each.prompt for each in triplets}, config.output / PROMPTS)
    write_text(config.recipe.read_text(encoding="utf-8"), config.output / RECIPE)
    benchmark = BenchmarkSet(folder=config.output, task=recipe["task"], track=recipe["track"])
    write_contact_sheet(summary, list_samples(benchmark), config.output, advice="If not, tell whoever made the recipe.")


def _compare(recipe: Mapping, output: Path) -> None:
    """Raise UserError, which names every file that differs from the recipe's checksums, and the versions."""
    others = [name for name, content in recipe["files"].items() if sha256(output / name) != content]
    if others:
        versions = ", ".join(f"{name} {version}" for name, version in recipe["versions"].items())
        raise UserError(
            f"{output}: {len(others)} of {len(recipe['files'])} files differ from the recipe: {', '.join(others)}; it"
            f" was made with {versions}; install these, delete the folder and run the same command again"
        )
