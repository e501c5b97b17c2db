"""An atlas as picture files, and previews of its training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mimicbrush.atlas.rendered_atlas import RenderedAtlas, mark_places
from mimicbrush.atlas.stored_atlas import psnr_of
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.writing import write_frames, write_image
from mimicbrush.reports.contact_sheet import column_rows, contact_sheet

NUM_PREVIEWED = 3
"""Frames in a preview: the first, the last, and those between at equal distances."""


def write_pictures(rendered: RenderedAtlas, folder: Path) -> None:
    """Write each layer's atlas as PNG, and the reconstruction of the frames.

    The alpha of a layer is how much of it shows in the frame that shows most: the background is transparent under what
    always covers it, and the foreground beside the object.
    """
    shares = {"foreground": rendered.opacity, "background": 1 - rendered.opacity}
    for name, layer in rendered.layers.items():
        alpha = mark_places(layer.points, layer.size, shares[name][:, 0].clamp(0, 1))
        write_image(torch.cat([layer.picture, alpha], dim=1)[0].cpu(), folder / f"{name}.png")
    write_frames(rendered.reconstruction.clamp(0, 1).cpu(), folder / "reconstruction.png")
    write_frames(rendered.opacity.expand(-1, 3, -1, -1).cpu(), folder / "opacity.png")


def write_preview(rendered: RenderedAtlas, frames: Tensor, folder: Path, step: int) -> None:
    """Write a contact sheet of some frames: the source, its reconstruction, both layers and the opacity."""
    psnr = psnr_of(rendered.reconstruction, frames)
    columns = {
        "source": frames,
        f"{psnr:.1f} dB": rendered.reconstruction,
        "foreground": rendered.colours["foreground"] * rendered.opacity,
        "background": rendered.colours["background"],
        "opacity": rendered.opacity.expand(-1, 3, -1, -1),
    }
    chosen = torch.linspace(0, len(frames) - 1, NUM_PREVIEWED).round().long()
    rows = column_rows(
        list(columns), [[to_pil(each[n].clamp(0, 1).cpu()) for n in chosen] for each in columns.values()]
    )
    write_image(contact_sheet(rows), folder / f"preview_{step:06d}.png")
