"""Measure a small Stable unCLIP on held-out combinations: what its samples show, and how well it inverts pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from mimicbrush.diffusion.latents import decode_unclamped, encode_mean
from mimicbrush.evaluation.metrics.judge_network import load_judge
from mimicbrush.evaluation.metrics.pixels import compute_psnr
from mimicbrush.files import whole
from mimicbrush.hub.locations import shipped
from mimicbrush.hub.unclip_parts import UnclipParts, embed_pictures, image_condition
from mimicbrush.pictures.conversion import to_levels, to_pil
from mimicbrush.pictures.writing import write_image
from mimicbrush.progress import progress_bar
from mimicbrush.reports.contact_sheet import contact_sheet, text_panel
from mimicbrush.seeds import seed_of
from mimicbrush.statistics import Interval, bootstrap_mean, bootstrap_share
from mimicbrush.world.clip.captioned_renders import Captioned, render_captioned
from mimicbrush.world.sets.splits import HELD_OUT, Combination
from mimicbrush.world.unclip.config import UnclipTrainingConfig
from mimicbrush.world.unclip.judge_search import name_anywhere
from mimicbrush.world.unclip.unclip_samples import reconstruct_pictures, sample_pictures

CONDITIONS = ("caption", "image", "both")
"""Sources of samples: the caption of a held-out picture, its image embedding, or both."""
JUDGE = "asset:judge"
SHEET = "samples.png"
NUM_SHOWN = 24
BATCH = 20
INVERSION_STEPS = 50
REFINEMENTS = 1
"""Refinements of each step of the inversion; each costs as much as the plain inversion (`ddim.invert`)."""


def render_heldout(config: UnclipTrainingConfig) -> Captioned:
    """Render pictures of held-out combinations."""
    return render_captioned(
        config.output / "renders",
        config.num_heldout,
        size=config.image_size,
        seed=config.seed,
        purpose="unclip judged",
        combinations=HELD_OUT,
    )


def measure_unclip(parts: UnclipParts, heldout: Captioned, config: UnclipTrainingConfig) -> dict:
    """Sample from each kind of condition, let the judge name the samples, invert pictures, and write a contact sheet.

    Samples are kept in the output folder, so that an interrupted measurement resumes.
    """
    truths = heldout.pixels.float() / 255
    samples = {name: _sample_all(parts, heldout, name, config) for name in CONDITIONS}
    named = {name: _right_names(pictures, heldout, name) for name, pictures in {"truth": truths, **samples}.items()}
    write_image(_sheet(heldout, truths, samples), config.output / SHEET)
    return {
        "truths": {part: _figures(bootstrap_share(values)) for part, values in named["truth"].items()},
        "samples": {name: _shares(named[name], named["truth"], heldout.combinations) for name in CONDITIONS},
        "inversion": measure_inversion(parts, truths[: config.num_inverted]),
    }


def _sample_all(parts: UnclipParts, heldout: Captioned, condition: str, config: UnclipTrainingConfig) -> Tensor:
    """Sample a picture for each held-out one, or read what an interrupted measurement left: (N, 3, H, W) in [0, 1]."""
    path = config.output / f"samples_{condition}.safetensors"
    if not path.is_file():
        batches = [
            _sample_batch(parts, heldout, condition, first, config)
            for first in progress_bar(range(0, len(heldout.pixels), BATCH), desc=f"from {condition}", unit="batch")
        ]
        with whole(path) as partial:
            save_file({"pictures": torch.cat(batches).contiguous()}, partial)
    return load_file(path)["pictures"]


def _sample_batch(
    parts: UnclipParts, heldout: Captioned, condition: str, first: int, config: UnclipTrainingConfig
) -> Tensor:
    captions, pixels = heldout.captions[first : first + BATCH], heldout.pixels[first : first + BATCH].float() / 255
    classes = image_condition(
        parts, embed_pictures(parts, pixels), generator=torch.Generator().manual_seed(config.seed + first)
    )
    if condition == "caption":
        classes = torch.zeros_like(classes)
    return sample_pictures(
        parts,
        [""] * len(captions) if condition == "image" else captions,
        classes,
        num_steps=config.num_inference_steps,
        guidance_scale=config.guidance_scale,
        seed=seed_of(config.seed, "unclip samples") + first,
    )


def _right_names(pictures: Tensor, heldout: Captioned, name: str) -> dict[str, list[float]]:
    """Whether the judge, which searches the picture for the object, gives the right names."""
    judge = load_judge(Path(shipped(JUDGE)))
    found = [name_anywhere(judge, picture) for picture in progress_bar(pictures, desc=f"names, {name}", unit="picture")]
    pairs = list(zip(found, heldout.combinations, strict=True))
    return {
        part: [float(getattr(names, part) == getattr(combination, part)) for names, combination in pairs]
        for part in ("object", "material")
    }


def _shares(found: dict, truths: dict, combinations: Sequence[Combination]) -> dict:
    """How often names are right, and as a share of how often they are on the truths."""
    groups, figures = [" ".join(combination) for combination in combinations], {}
    for part, values in found.items():
        figures[part] = _figures(bootstrap_share(values, groups))
        accuracy = sum(truths[part]) / len(truths[part])
        if accuracy:
            shares = [value / accuracy for value in values]
            figures[f"{part}_share"] = _figures(bootstrap_share(shares, groups, whole=1 / accuracy))
    return figures


def measure_inversion(parts: UnclipParts, pictures: Tensor) -> dict:
    """PSNR in dB of pictures inverted and generated again, beside that of the autoencoder alone, and the differences.

    Measured for the plain inversion and for a refined one.
    """
    with torch.no_grad():
        rebuilt = {"autoencoder": decode_unclamped(parts.vae, encode_mean(parts.vae, pictures)).clamp(0, 1)}
    for name, refinements in (("plain", 0), ("refined", REFINEMENTS)):
        batches = [
            reconstruct_pictures(parts, batch, num_steps=INVERSION_STEPS, refinements=refinements)
            for batch in progress_bar(pictures.split(BATCH), desc=f"inversion, {name}", unit="batch")
        ]
        rebuilt[name] = torch.cat(batches)
    psnr = {
        f"{name}_db": [
            compute_psnr(to_levels(one), to_levels(other)) for one, other in zip(found, pictures, strict=True)
        ]
        for name, found in rebuilt.items()
    }
    for name in ("plain", "refined"):
        pairs = zip(psnr["autoencoder_db"], psnr[f"{name}_db"], strict=True)
        psnr[f"{name}_loss_db"] = [one - other for one, other in pairs]
    return {name: _figures(bootstrap_mean(values)) for name, values in psnr.items()}


def _sheet(heldout: Captioned, truths: Tensor, samples: dict[str, Tensor]) -> Image.Image:
    """Show the first held-out pictures, a row each: caption, truth, and a sample from each kind of condition."""
    columns = {"truth": truths, **{f"from {name}": pictures for name, pictures in samples.items()}}
    rows = []
    for number, caption in enumerate(heldout.captions[:NUM_SHOWN]):
        labels = columns if number == 0 else [""] * len(columns)
        pictures = [to_pil(to_levels(each[number])) for each in columns.values()]
        rows.append([("", text_panel(caption)), *zip(labels, pictures, strict=True)])
    return contact_sheet(rows)


def _figures(interval: Interval) -> dict:
    return {"mean": interval.mean, "interval": [interval.low, interval.high], "pictures": interval.count}
