"""Edit pictures from the shell: one, or all that a CSV lists.

python -m mimicbrush.edit --weights runs/demo/train --source s.png --mask m.png --reference r.png --output e.png
python -m mimicbrush.edit --weights runs/demo/train --batch edits.csv
python -m mimicbrush.edit --replay e.png --output again.png
"""

from __future__ import annotations

import csv
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import yaml

from mimicbrush.config import parse_config
from mimicbrush.contact_sheet import draw_sheet
from mimicbrush.edit_settings import read_settings, save_with_settings
from mimicbrush.editors.mimicbrush import Geometry, Precision, Regions, choose_device, choose_dtype
from mimicbrush.errors import UserError, run_command
from mimicbrush.files import whole, write_json
from mimicbrush.imaging import open_image, to_pil
from mimicbrush.model.sampling import make_scheduler, seeded_generators
from mimicbrush.pictures import colour_profile
from mimicbrush.pipeline import Callback, MimicBrushPipeline
from mimicbrush.sixteen_bits import read_sixteen_bits


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """What edits, and where."""

    weights: str
    """A training run, a folder or hub repository made by `python -m mimicbrush.model.weights convert`, a released
    mimicbrush.bin, or asset:tiny, the small weights that come with the package (guidance_scale 2 suits them)."""
    scheduler: str | None = None
    """Sampler: a class of diffusers, for instance UniPCMultistepScheduler for fewer steps; null: the weights' own,
    DDIMScheduler unless they say otherwise."""
    geometry: Geometry = "exact"
    """How pictures are scaled and pasted; `released` as the released code does, to reproduce its results."""
    use_ema: bool = True
    """Of a training run, the averaged weights."""
    device: str = "auto"
    """auto takes a GPU where there is one."""
    precision: Precision = "auto"
    """Of the computation; auto is float16 on a GPU, as in the release, and float32 elsewhere."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Weights wait in the CPU's memory and go to the GPU a model or a layer at a time: less memory, and slower."""
    vae_tiling: bool = False
    """Let the autoencoder work on overlapping tiles: less memory, and slightly other results."""


@dataclass(frozen=True, kw_only=True)
class EditConfig(LoadConfig):
    """Repaint the masked part of a picture so that it imitates the matching part of a reference."""

    source: Path | None = None
    """The picture to edit."""
    mask: Path | None = None
    """White where the edit happens; of the source's size."""
    reference: list[Path] | Path | None = None
    """The picture to imitate; several, '[a.png, b.png]', are put side by side on one canvas."""
    output: Path | None = None
    """PNG to write, of 16 bits where the source is a PNG of 16; several results get -1, -2, ... before the suffix."""
    batch: Path | None = None
    """A CSV with columns source, mask, reference, output, and optionally seed, keep_shape, reference_box and
    reference_mask, in place of the four above; paths are relative to it, and several references stand there as here.
    Rows whose output is there are left out, so the same command goes on."""
    replay: Path | None = None
    """A PNG written by this command: its settings stand for all that is not given, which then is output alone."""
    reference_box: list[int] | list[list[int] | None] | None = None
    """Left, top, right, bottom of what is meant in the reference, in pixels: '[10, 20, 200, 180]'; of several, one
    each: '[[10, 20, 200, 180], null]'."""
    reference_mask: Path | list[Path | None] | None = None
    """White where the reference shows what is meant; of several, one each: '[null, m.png]'."""
    keep_shape: bool = False
    """Follow the shape of what is there (texture transfer)."""
    crop_to_mask: bool = False
    """Work on a square crop around the mask: edits of large pictures stay sharp."""
    regions: Regions = "together"
    """together: one crop for all of the mask; separate: one for each of its connected parts; in_turn: the same, one
    after the other, each seeing what became of those before it, and in the memory of one."""
    context: float = 2.0
    """Side of a crop, in times the longer side of what is masked."""
    match_colour: bool = False
    """Shift the result's colours until they agree with the source's around the mask."""
    num_inference_steps: int = 50
    """Sampling steps."""
    guidance_scale: float = 5.0
    """How strongly to follow the reference; 1 or less is no guidance."""
    num_images: int = 1
    """Results, with seeds seed, seed + 1, ..."""
    seed: int = 0
    """Of the noise."""
    grid: bool = False
    """Also write a contact sheet, -grid before the suffix: source, references, and each result under its seed."""
    force: bool = False
    """Overwrite existing files."""

    def __post_init__(self) -> None:
        missing = [name for name in ("source", "mask", "reference", "output") if getattr(self, name) is None]
        if self.batch is None and missing:
            raise ValueError(f"{', '.join(missing)} not given; give them, or a CSV of edits as batch")
        if self.batch is not None and len(missing) < 4:
            raise ValueError("batch names sources, masks, references and outputs; give it alone")
        if self.output is not None and self.output.suffix.lower() != ".png":
            raise ValueError(f"output is {self.output}, expected a name ending in .png")
        if self.num_images < 1:
            raise ValueError(f"num_images is {self.num_images}, expected at least 1")
        if not 0 <= self.seed < 2**63 - self.num_images:
            raise ValueError(f"seed is {self.seed}, expected 0 to 2^63")

    @property
    def references(self) -> list[Path]:
        return self.reference if isinstance(self.reference, list) else [self.reference]

    @property
    def seeds(self) -> list[int]:
        return [self.seed + number for number in range(self.num_images)]

    @property
    def outputs(self) -> list[Path]:
        """One for each result."""
        if self.num_images == 1:
            return [self.output]
        return [_beside(self.output, str(number + 1)) for number in range(self.num_images)]

    @property
    def sheet(self) -> Path:
        """The contact sheet."""
        return _beside(self.output, "grid")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = parse_config(EditConfig, default=_replayed(sys.argv[1:], Path(folder) / "settings.yaml"))
    edits = [config] if config.batch is None else _unfinished(read_batch(config), force=config.force)
    if config.batch is None and not config.force:
        _refuse_existing(config)
    if not edits:
        print("nothing to do: every output is there")
        return
    pipe = load_pipeline(config)
    if config.batch is None:
        edit(pipe, config)
        return
    failures = [reason for reason in (_try(pipe, single) for single in edits) if reason]
    print(f"edited {len(edits) - len(failures)} of {len(edits)}; {len(failures)} skipped")
    if len(failures) == len(edits):
        raise UserError(f"{config.batch}: nothing could be edited; the first: {failures[0]}")


def edit(
    pipe: MimicBrushPipeline,
    config: EditConfig,
    *,
    portable: bool = False,
    callback_on_step_end: Callback | None = None,
) -> None:
    """One edit, read, made and written; raises UserError where its pictures do not allow it.

    portable: as in `save_with_settings`; callback_on_step_end: as in the pipeline.
    """
    source, references = open_image(config.source), [open_image(path) for path in config.references]
    deep = read_sixteen_bits(config.source)
    masks = config.reference_mask if isinstance(config.reference_mask, list) else [config.reference_mask]
    results = pipe(
        image=source if deep is None else deep,
        mask_image=open_image(config.mask),
        reference_image=references,
        reference_box=config.reference_box,
        reference_mask_image=config.reference_mask and [path and open_image(path) for path in masks],
        keep_shape=config.keep_shape,
        num_inference_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        num_images_per_prompt=config.num_images,
        generator=seeded_generators(config.seeds),
        crop_to_mask=config.crop_to_mask,
        regions=config.regions,
        context=config.context,
        match_colour=config.match_colour,
        geometry=config.geometry,
        output_type="pil" if deep is None else "pt",
        callback_on_step_end=callback_on_step_end,
    ).images
    profile = colour_profile(source)
    for edited, seed, path in zip(results, config.seeds, config.outputs, strict=True):
        single = replace(config, seed=seed, num_images=1, output=path, grid=False)
        save_with_settings(edited, path, single, portable=portable, icc_profile=profile)
        print(f"edited with seed {seed} -> {path}")
    if config.grid:
        titled = [("source", source), *(("reference", reference) for reference in references)]
        shown = results if deep is None else map(to_pil, results)
        titled += [(f"seed {seed}", edited) for seed, edited in zip(config.seeds, shown, strict=True)]
        with whole(config.sheet) as partial:
            draw_sheet(titled).save(partial)


def read_batch(config: EditConfig) -> list[EditConfig]:
    """One config for each row of the CSV; raises UserError where it is not such a CSV."""
    path = config.batch
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV ({error})") from None
    needed = {"source", "mask", "reference", "output"}
    optional = {"seed", "keep_shape", "reference_box", "reference_mask"}
    columns = set(rows[0]) if rows else set()
    if not needed <= columns <= needed | optional:
        raise UserError(
            f"{path}: expected rows with columns {', '.join(sorted(needed))}, optionally {', '.join(sorted(optional))};"
            f" found {', '.join(map(str, columns)) or 'none'}"
        )
    edits = [_of_row(config, row, f"{path}, row {number}") for number, row in enumerate(rows, start=2)]
    outputs = [edit.output for edit in edits]
    twice = next((output for output in outputs if outputs.count(output) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: {twice} is the output of several rows; give each its own")
    return edits


def _of_row(config: EditConfig, row: dict[str, str], where: str) -> EditConfig:
    folder = config.batch.parent
    paths = {name: folder / (row[name] or "") for name in ("source", "mask", "output")}
    switches = {"": config.keep_shape, "true": True, "1": True, "false": False, "0": False}
    keep_shape = (row.get("keep_shape") or "").strip().lower()
    if keep_shape not in switches:
        raise UserError(f"{where}: keep_shape is {keep_shape}, expected true or false")
    try:
        paths["reference"] = _in_folder(_listed(row["reference"] or ""), folder)
        if row.get("reference_mask"):
            paths["reference_mask"] = _in_folder(_listed(row["reference_mask"]), folder)
        box = _listed(row["reference_box"]) if row.get("reference_box") else config.reference_box
        seed = int(row.get("seed") or config.seed)
        switched = switches[keep_shape]
        return replace(config, batch=None, seed=seed, keep_shape=switched, reference_box=box, **paths)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{where}: {error}") from None


def _listed(cell: str) -> object:
    """A list in brackets, as on the command line, or the cell's text."""
    return yaml.safe_load(cell) if cell.startswith("[") else cell


def _in_folder(names: object, folder: Path) -> list[Path | None] | Path:
    """Paths relative to the CSV."""
    if isinstance(names, list):
        return [name and folder / str(name) for name in names]
    return folder / names


def _replayed(arguments: list[str], path: Path) -> Path | None:
    """The settings in the picture that --replay names, written to a config file that the other arguments override."""
    for number, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == "--replay":
            write_json(read_settings(Path(value or "".join(arguments[number + 1 : number + 2]))), path)
            return path
    return None


def load_pipeline(config: LoadConfig) -> MimicBrushPipeline:
    """The weights, on their device; raises UserError where there are none, or no such device."""
    device = choose_device(config.device)
    dtype = choose_dtype(config.precision, device)
    pipe = MimicBrushPipeline.from_pretrained(config.weights, use_ema=config.use_ema, torch_dtype=dtype)
    if config.offload == "none":
        pipe.to(device)
    elif config.offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    else:
        pipe.enable_sequential_cpu_offload(device=device)
    if config.vae_tiling:
        pipe.vae.enable_tiling()
    if config.scheduler is not None:
        pipe.scheduler = make_scheduler(pipe.scheduler.config.prediction_type, config.scheduler)
    pipe.set_progress_bar_config(desc="sampling", leave=False, disable=None)
    return pipe


def _try(pipe: MimicBrushPipeline, config: EditConfig) -> str:
    """Why an edit of a batch was skipped; empty where it was made."""
    try:
        edit(pipe, config)
    except UserError as error:
        print(f"skipped {config.output}: {error}", file=sys.stderr)
        return str(error)
    return ""


def _unfinished(edits: list[EditConfig], *, force: bool) -> list[EditConfig]:
    """What is still to be made; of an edit some of whose results are there, each of the others on its own."""
    unfinished = []
    for edit in edits:
        missing = [pair for pair in zip(edit.seeds, edit.outputs, strict=True) if force or not pair[1].exists()]
        if len(missing) == len(edit.outputs):
            unfinished.append(edit)
        else:
            unfinished += [replace(edit, seed=seed, num_images=1, output=path, grid=False) for seed, path in missing]
    return unfinished


def _refuse_existing(config: EditConfig) -> None:
    wanted = [*config.outputs, *([config.sheet] if config.grid else [])]
    existing = [str(path) for path in wanted if path.exists()]
    if existing:
        raise UserError(f"{', '.join(existing)} exists; choose another --output or pass --force")


def _beside(path: Path, addition: str) -> Path:
    return path.with_name(f"{path.stem}-{addition}{path.suffix}")


if __name__ == "__main__":
    run_command(main)
