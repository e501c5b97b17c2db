"""Compare samplers in few steps with 50 steps of DDIM, by held-out edits of the small world."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from diffusers import SchedulerMixin
from numpy.typing import NDArray

from mimicbrush.bench.editors.config import SamplerBenchConfig
from mimicbrush.device import describe_device
from mimicbrush.diffusion.schedulers import like_scheduler, set_timesteps
from mimicbrush.editors.mimicbrush import MimicBrushEditor
from mimicbrush.errors import UserError
from mimicbrush.evaluation.metrics.pixels import compute_psnr, compute_ssim
from mimicbrush.files import read_object, whole, write_json
from mimicbrush.folder_lock import held
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights.build import load_network
from mimicbrush.model.weights.digests import tensor_digests
from mimicbrush.model.weights.exported_folder import load_scheduler, recommended_scheduler
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.writing import write_image
from mimicbrush.progress import progress_bar
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet
from mimicbrush.run_folder import claim
from mimicbrush.statistics import Interval, bootstrap_mean, compare_pairs
from mimicbrush.training.timing import now
from mimicbrush.world.edit_progress.heldout_edits import SIZE, HeldoutEdit, draw_heldout_edits, edit_all

STEPS_OF_TRUTH = 50
"""Steps of DDIM, with the released spacing, with which all samplers are compared."""
MARGIN = 0.01
"""A sampler is as good as 50 steps only if the interval of its difference in SSIM lies above minus this."""
MAX_DISTANCE = 3.0
"""Largest mean distance, in grey levels, of a sampler that gives the result of 50 steps. SSIM alone does not show this:
it rises where few steps blur the picture."""
NUM_SHOWN = 8
"""Edits on the contact sheet."""
RESULTS, SHEET, FIRST_EDITS = "results.json", "edits.png", "edits_in_50_steps.npz"


@dataclass(frozen=True, kw_only=True)
class SamplerRow:
    """Edits by one sampler: a list has one value for each edit."""

    sampler: str
    spacing: str
    steps: int
    passes: int
    """Passes of the network that an edit takes."""
    distance: list[float]
    """Root mean square difference in the mask from 50 steps, in grey levels."""
    ssim: list[float]
    """SSIM with the truth, in the mask."""
    psnr: list[float]
    """PSNR with the truth, in the mask, in dB."""
    cpu_seconds: float
    """CPU seconds of an edit, in batches."""

    @property
    def name(self) -> str:
        """Short name, such as UniPCMultistep trailing, 8 steps."""
        return f"{self.sampler.removesuffix('Scheduler')} {self.spacing}, {self.steps} steps"


def bench_samplers(config: SamplerBenchConfig) -> str:
    """Measure every combination of sampler, spacing and steps that the output lacks, and print the table."""
    with held(config.output):
        network = load_network(config.weights)
        if network.size != SIZE:
            raise UserError(f"{config.weights} edits pictures of {network.size} pixels, the small world has {SIZE}")
        claim(config.output, config, free=("samplers", "spacings", "steps"))
        return _measure_all(network, config)


def _measure_all(network: MimicBrushNetwork, config: SamplerBenchConfig) -> str:
    base = load_scheduler(config.weights) or recommended_scheduler(network.options)
    edits = draw_heldout_edits(config.num_sources, seed=config.seed)
    path = config.output / RESULTS
    weights = hashlib.sha256(repr(tensor_digests(network.state_dict())).encode()).hexdigest()[:16]
    rows = {row.name: row for row in _read_rows(path, weights)}
    wanted = [("DDIMScheduler", "leading", STEPS_OF_TRUTH), *product(config.samplers, config.spacings, config.steps)]
    shown: dict[str, list[NDArray[np.uint8]]] = {}
    truth = _read_first_edits(config.output / FIRST_EDITS) if rows else None
    skipped: list[str] = []
    for number, (sampler, spacing, steps) in enumerate(progress_bar(wanted, desc="samplers", unit="row")):
        name = f"{sampler.removesuffix('Scheduler')} {spacing}, {steps} steps"
        if name in rows and truth is not None:
            continue
        try:
            # The weights' own sampler knows their noise schedule, zero terminal SNR included, and their prediction.
            scheduler = like_scheduler(base, sampler, timestep_spacing=spacing)
            set_timesteps(scheduler, steps)
        except UserError as error:
            skipped.append(f"{name}: {error}")
            continue
        row, edited = _measure(network, scheduler, steps, edits, truth, config)
        if not number:
            truth = edited
            with whole(config.output / FIRST_EDITS) as partial, partial.open("wb") as file:
                np.savez_compressed(file, edits=np.stack(edited))
        shown[name], rows[row.name] = edited, row
        facts = {"machine": describe_device(network.device), "weights": weights}
        write_json(facts | {"rows": list(map(asdict, rows.values()))}, path)
    groups = [each.edit.group for each in edits]
    _write_sheet(edits, shown, config.output / SHEET)
    table = describe_rows(list(rows.values()), groups, [each.edit.facts.scoring == "exact" for each in edits])
    return "\n".join([table, *skipped, f"-> {path}, {config.output / SHEET}"])


def _measure(
    network: MimicBrushNetwork,
    scheduler: SchedulerMixin,
    steps: int,
    edits: Sequence[HeldoutEdit],
    truth: Sequence[NDArray[np.uint8]] | None,
    config: SamplerBenchConfig,
) -> tuple[SamplerRow, list[NDArray[np.uint8]]]:
    """Edit with one sampler; truth: the edits in 50 steps, None for these themselves."""
    editor = MimicBrushEditor(
        network, scheduler=scheduler, num_inference_steps=steps, guidance_scale=config.guidance_scale
    )
    started = now("cpu")
    edited = edit_all(editor, edits, seed=config.seed)
    seconds = (now("cpu") - started) / len(edits)
    masks = [each.rendered.mask[0] for each in edits]
    pairs = list(zip(edited, (each.rendered.truth[0] for each in edits), masks, strict=True))
    row = SamplerRow(
        sampler=type(scheduler).__name__,
        spacing=scheduler.config.timestep_spacing,
        steps=steps,
        passes=len(scheduler.timesteps),
        distance=[_distance(*each) for each in zip(edited, truth or edited, masks, strict=True)],
        ssim=[compute_ssim(*each)[1] for each in pairs],
        psnr=[compute_psnr(picture[mask], expected[mask]) for picture, expected, mask in pairs],
        cpu_seconds=seconds,
    )
    return row, edited


def describe_rows(rows: Sequence[SamplerRow], groups: Sequence[str], is_exact: Sequence[bool]) -> str:
    """Format a table, and name the sampler that is as good as 50 steps in the fewest passes.

    groups: one for each edit; is_exact: whether it has a single true result, with which SSIM and PSNR are compared.
    """
    first = next(row for row in rows if (row.steps, row.passes) == (STEPS_OF_TRUTH, STEPS_OF_TRUTH))
    counted = [number for number, exact in enumerate(is_exact) if exact]
    lines = [
        f"{'sampler':44}{'passes':>7}{'CPU s':>7}  {'distance':>8}{'SSIM':>7}{'PSNR':>6}  SSIM minus that of"
        f" {STEPS_OF_TRUTH} steps"
    ]
    equal: dict[str, tuple[int, float]] = {}
    for row in rows:
        gain = ssim_gain(row, first, [groups[number] for number in counted], counted)
        ssim, psnr = (np.mean([values[number] for number in counted]) for values in (row.ssim, row.psnr))
        lines.append(
            f"{row.name:44}{row.passes:7}{row.cpu_seconds:7.2f}  {np.mean(row.distance):8.1f}{ssim:7.3f}{psnr:6.1f} "
            f" {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        )
        if gain.low > -MARGIN and np.mean(row.distance) <= MAX_DISTANCE:
            equal[row.name] = (row.passes, -gain.mean)
    best = min(equal, key=equal.__getitem__)
    return "\n".join(
        [
            *lines,
            f"as good as {STEPS_OF_TRUTH} steps (SSIM at most {MARGIN} below, {MAX_DISTANCE:g} grey levels away) in the"
            f" fewest passes: {best}",
        ]
    )


def ssim_gain(row: SamplerRow, first: SamplerRow, groups: Sequence[str], counted: Sequence[int]) -> Interval:
    """Mean difference in SSIM from 50 steps, over these edits, with its interval over groups."""
    before, after = ([each.ssim[number] for number in counted] for each in (first, row))
    difference = compare_pairs(before, after, groups, better="higher").difference
    return difference or bootstrap_mean([0.0])


def _distance(edited: NDArray[np.uint8], other: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    difference = edited[mask].astype(np.float64) - other[mask]
    return float(np.sqrt(np.square(difference).mean()))


def _read_rows(path: Path, weights: str) -> list[SamplerRow]:
    """Read the rows of earlier calls; raises UserError unless they are of these weights, named by their fingerprint."""
    if not path.is_file():
        return []
    stored = read_object(path, "rows")
    try:
        rows = [SamplerRow(**row) for row in stored["rows"]]
    except TypeError:
        rows = []
    if not rows or stored.get("weights") != weights:
        raise UserError(
            f"{path}: rows of other weights, or of another version; choose another output or delete its folder"
        )
    return rows


def _read_first_edits(path: Path) -> list[NDArray[np.uint8]] | None:
    """Read the edits in 50 steps, with which those of all samplers are compared; None if they are to be made."""
    if not path.is_file():
        return None
    try:
        with np.load(path) as stored:
            return list(stored["edits"])
    except (OSError, ValueError, KeyError, BadZipFile):
        raise UserError(f"{path}: damaged; delete it and run the command again") from None


def _write_sheet(edits: Sequence[HeldoutEdit], shown: dict[str, list[NDArray[np.uint8]]], path: Path) -> None:
    """Show the first edits by the samplers that were measured now, a row each; nothing if there are none new."""
    if len(shown) < 2:
        return
    pictures = {
        "masked source": [each.rendered.source[0] * ~each.rendered.mask[0][..., None] for each in edits],
        "reference": [each.rendered.reference[0] for each in edits],
        "truth": [each.rendered.truth[0] for each in edits],
        **shown,
    }
    titles = [name.replace("Scheduler", "").replace("Multistep", "").replace(", ", " ") for name in pictures]
    columns = [[to_pil(picture) for picture in column[:NUM_SHOWN]] for column in pictures.values()]
    write_image(contact_sheet(column_rows(titles, columns)), path)
