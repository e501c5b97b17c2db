"""Find sources, masks and references among your own photographs: a CSV, named triplets, or folders of subjects.

An input is a source with its references: one in a CSV or triplet; in a folder of subjects each photograph is a source,
and other photographs of its subject are its references.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.inputs.input_files import (
    check_file,
    describe_passed_over,
    find_files,
    readable_name,
    require_local,
    suffix_of,
)
from data_prep.inputs.input_states import InputState, state_of
from mimicbrush.benchmark_layout import (
    GROUPS,
    MASK,
    PROMPTS,
    REFERENCE,
    SOURCE,
    find_pictures,
    is_filled,
    part_of,
)
from mimicbrush.csv_rows import read_rows
from mimicbrush.errors import UserError
from mimicbrush.files import PICTURE_SUFFIXES, is_there, read_object, sha256
from mimicbrush.machine import require_posix
from mimicbrush.metadata import ORIGIN_FIELDS, read_metadata, require_metadata
from mimicbrush.seeds import seed_of
from mimicbrush.segmentation.mask_inputs import require_mask_inputs
from mimicbrush.segmentation.prompt import SegmentationPrompt
from mimicbrush.segmentation.region_files import read_regions

if TYPE_CHECKING:
    from data_prep.config import PhotographShardConfig

REQUIRED = ("source", "reference")
OPTIONAL = ("mask", *ORIGIN_FIELDS, "prompt")
"""Columns of a CSV of photographs."""
EXPECTED = "expected a CSV with the columns source, reference, or a folder of photographs"


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """A source picture with its mask, and the pictures that are its references."""

    file: str
    """Name of the source picture, by which boxes and mask files are found."""
    source: Path
    references: Mapping[str, Path]
    """References by name."""
    mask: Path | None = None
    """File of its mask, if it has one."""
    mask_origin: str = "file"
    """`file` for a mask of the user's own, or the method that made it before the workers began."""
    mask_fault: str = ""
    """Why that method found no mask."""
    region: SegmentationPrompt | None = None
    """Box or clicks on its object."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Group, licence, URL and prompt, as far as they are given."""
    fault: str = ""
    """Fault by which the input is skipped, as `reason: detail`."""
    tables: tuple[Path, ...] = ()
    """Files with texts and boxes of many sources."""

    @property
    def paths(self) -> list[Path]:
        """All pictures."""
        return [self.source, *self.references.values(), *([self.mask] if self.mask else [])]

    @property
    def state(self) -> InputState:
        """Size of the pictures together, and when they and the tables were modified."""
        pictures = state_of(*self.paths)
        return InputState(pictures.bytes, pictures.modified + state_of(*self.tables).modified)

    def hash_content(self) -> str:
        """SHA-256 of the pictures and of what tables say about them; raises UnusableInput and OSError."""
        for path in self.paths:
            check_file(path)
        texts = repr((sorted(self.references), self.region, sorted(self.facts.items()), self.fault))
        return hashlib.sha256("".join([*map(sha256, self.paths), texts]).encode()).hexdigest()


def check_photographs(config: PhotographShardConfig) -> None:
    """Raise UserError if a file that the command needs is missing, or the command cannot run on this system."""
    require_posix("sharding")
    require_local(config.photographs)
    if not config.photographs.is_dir() and not config.photographs.is_file():
        raise UserError(f"{config.photographs}: no such CSV or folder of photographs; {EXPECTED}")
    require_metadata(config.metadata)
    require_mask_inputs(config.masks)


def list_sources(config: PhotographShardConfig) -> tuple[dict[str, SourceFiles], dict[str, int]]:
    """List the sources by name, sorted, and numbers of other files by suffix, the most frequent first.

    Raises UserError if there is no source, the CSV's columns do not fit, boxes are invalid or match no source, or
    metadata is given without folders of subjects.
    """
    path, passed_over = config.photographs, Counter()
    if path.is_file():
        _refuse_metadata(config, "add the columns group, licence and url to the CSV")
        sources = _sources_of_csv(path, passed_over)
        if not sources:
            raise UserError(f"{path}: has no rows; expected one for each pair of a source and a reference")
    elif any({part_of(SOURCE), part_of(REFERENCE)} & parts.keys() for parts in find_pictures(path).values()):
        _refuse_metadata(config, "name the pictures in a CSV with the columns group, licence and url")
        sources = _triplets(config, passed_over)
    else:
        sources = _sources_of_subjects(config, passed_over)
    if not sources:
        others = f" (passed over: {describe_passed_over(passed_over)})" if passed_over else ""
        raise UserError(f"{path}: holds no photographs{others}; {EXPECTED}")
    if config.masks.regions:
        regions = read_regions(config.masks.regions, {each.file for each in sources.values()})
        sources = {
            name: replace(each, region=regions.get(each.file), tables=(*each.tables, config.masks.regions))
            for name, each in sources.items()
        }
    return dict(sorted(sources.items())), dict(passed_over.most_common())


def _refuse_metadata(config: PhotographShardConfig, advice: str) -> None:
    if config.metadata is not None:
        raise UserError(f"metadata is {config.metadata}, which only folders of subjects may have; {advice}")


def _sources_of_csv(path: Path, passed_over: Counter[str]) -> dict[str, SourceFiles]:
    """Give a source for each row; rows that cannot be used have a fault, and repeated ones are counted."""
    faults: dict[int, list[str]] = {}
    rows = read_rows(path, REQUIRED, optional=OPTIONAL, faults=faults)
    found: dict[str, SourceFiles] = {}
    for line, row in rows.items():
        row = {column: cell.strip() for column, cell in row.items()}
        name = " + ".join(filter(None, (row["source"], row["reference"], row.get("mask")))) or f"line {line}"
        if name in found:
            passed_over["named twice"] += 1
            continue
        found[name] = SourceFiles(
            file=row["source"],
            source=path.parent / row["source"],
            references={row["reference"]: path.parent / row["reference"]},
            mask=path.parent / row["mask"] if row.get("mask") else None,
            facts={"group": row["source"]} | {column: row[column] for column in OPTIONAL[1:] if row.get(column)},
            fault=_row_fault(path.parent, row, line),
            tables=(path,),
        )
    for line, (fault,) in faults.items():
        found[f"line {line}"] = SourceFiles(
            file="", source=path.parent, references={}, fault=f"bad_row: {fault}", tables=(path,)
        )
    return found


def _row_fault(folder: Path, row: Mapping[str, str], line: int) -> str:
    """Describe the fault of a row of the CSV; empty if there is none."""
    empty = [column for column in REQUIRED if not row[column]]
    if empty:
        return f"bad_row: line {line} has no {' and no '.join(empty)}"
    named = {column: row[column] for column in (*REQUIRED, "mask") if row.get(column)}
    paths = {f"{column} {file}": folder / file for column, file in named.items()}
    missing = [words for words, path in paths.items() if not is_there(path)]
    if missing:
        return f"missing: line {line}: {', '.join(missing)}"
    others = [words for words, path in paths.items() if not path.is_file()]
    if others:
        return f"not_a_file: line {line}: {', '.join(others)}"
    if row["source"] == row["reference"]:
        return f"copies: line {line} names one picture as source and reference"
    return ""


def _triplets(config: PhotographShardConfig, passed_over: Counter[str]) -> dict[str, SourceFiles]:
    """Give a source for each NAME_source with its NAME_source_mask and NAME_reference, as benchmark sets have them.

    All other files of the folder are counted.
    """
    folder = config.photographs
    prompts, groups = (_read_texts(folder / name) for name in (PROMPTS, GROUPS))
    tables = tuple(table for table in (folder / PROMPTS, folder / GROUPS) if table.is_file())
    found = {}
    for name, parts in find_pictures(folder).items():
        first = {part: files[0] for part, files in parts.items()}
        missing = [f"{name}{part}" for part in map(part_of, (SOURCE, REFERENCE)) if part not in first]
        prompt = prompts.get(name, "")
        found[name] = SourceFiles(
            file=first.get(part_of(SOURCE), folder).name,
            source=first.get(part_of(SOURCE), folder),
            references={path.name: path for part, path in first.items() if part == part_of(REFERENCE)},
            mask=first.get(part_of(MASK)),
            facts={"group": groups.get(name) or name, **({"prompt": prompt} if is_filled(prompt) else {})},
            fault=f"missing: there is no picture {', '.join(missing)}" if missing else "",
            tables=tables,
        )
    used = {*tables, *(path for each in found.values() for path in each.paths)}
    others = find_files(folder, output=config.output, passed_over=passed_over)
    passed_over.update(suffix_of(path.name) for path in others if path not in used)
    return found


def _read_texts(path: Path) -> dict[str, str]:
    """Read {name: text}; empty if there is no such file. Raises UserError if it is damaged."""
    try:
        content = read_object(path) if path.is_file() else {}
    except UserError:
        raise UserError(f"{path}: expected a JSON object of names and texts; correct it, or move it away") from None
    return {name: text for name, text in content.items() if isinstance(text, str)}


def _sources_of_subjects(config: PhotographShardConfig, passed_over: Counter[str]) -> dict[str, SourceFiles]:
    """Give each photograph as a source, with other photographs of the same folder as its references."""
    folder = config.photographs
    subjects: dict[Path, dict[str, Path]] = defaultdict(dict)
    for path in _pictures_in(config, passed_over):
        subjects[path.parent][readable_name(path.relative_to(folder))] = path
    names = [name for files in subjects.values() for name in files]
    metadata = read_metadata(config.metadata, names)
    tables = (config.metadata,) if config.metadata else ()
    found = {}
    for subject, files in subjects.items():
        group = readable_name(subject.relative_to(folder)) if subject != folder else folder.resolve().name
        for name, path in files.items():
            references = _choose_references(name, files, config)
            found[name] = SourceFiles(
                file=name,
                source=path,
                references=references,
                facts={"group": group, **metadata.get(name, {})},
                fault="" if references else f"single_photograph: {group} has no other photograph",
                tables=tables,
            )
    return found


def _pictures_in(config: PhotographShardConfig, passed_over: Counter[str]) -> Iterator[Path]:
    masks = config.masks.folder.resolve() if config.masks.method == "files" else None
    for path in find_files(config.photographs, output=config.output, passed_over=passed_over):
        if masks and masks in path.resolve().parents:
            continue
        if path.suffix.lower() in PICTURE_SUFFIXES:
            yield path
        else:
            passed_over["unreadable folder" if path.is_dir() else suffix_of(path.name)] += 1


def _choose_references(name: str, files: Mapping[str, Path], config: PhotographShardConfig) -> dict[str, Path]:
    """Choose references of a photograph; more photographs of its subject change the choice as little as possible."""
    others: Iterable[str] = (other for other in files if other != name)
    drawn = sorted(others, key=lambda other: seed_of(config.seed, "reference", name, other))
    return {other: files[other] for other in sorted(drawn[: config.pairs_per_photograph])}
