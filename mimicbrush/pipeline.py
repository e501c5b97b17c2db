"""Imitative editing in one call on pictures: what `mimicbrush.edit` and notebooks use."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from mimicbrush.editors.mimicbrush import Geometry, MimicBrushEditor, Precision
from mimicbrush.imaging import from_pil, mask_from_pil, to_pil
from mimicbrush.model.network import MimicBrushNetwork
from mimicbrush.model.weights import save_pretrained
from mimicbrush.requests import ReferenceRequest


class MimicBrushPipeline:
    """Holds a network; each call edits one picture.

    pipe = MimicBrushPipeline.from_pretrained("runs/demo/train")
    (edited,) = pipe(image=source, mask_image=mask, reference_image=reference)
    """

    def __init__(self, network: MimicBrushNetwork) -> None:
        self.network = network

    @classmethod
    def from_pretrained(
        cls, weights: str | Path, *, use_ema: bool = True, device: str = "auto", precision: Precision = "auto"
    ) -> MimicBrushPipeline:
        """From a training run, an exported folder or hub repository, or a released mimicbrush.bin.

        precision: `auto` is float16 on a GPU, as in the release, and float32 elsewhere.
        Raises UserError where there are no such weights.
        """
        return cls(MimicBrushEditor(weights, use_ema=use_ema, device=device, precision=precision).network)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the network as one folder in diffusers' layout; raises UserError where the folder exists."""
        save_pretrained(self.network, Path(folder))

    def __call__(
        self,
        image: Image.Image,
        mask_image: Image.Image,
        reference_image: Image.Image,
        *,
        keep_shape: bool = False,
        num_inference_steps: int = 50,
        guidance_scale: float = 5.0,
        scheduler: str = "DDIMScheduler",
        geometry: Geometry = "exact",
        num_images_per_prompt: int = 1,
        seed: int = 0,
    ) -> list[Image.Image]:
        """Repaint the white part of `mask_image` after the reference; the results have seeds seed, seed + 1, ...

        Raises UserError where mask and image differ in size or the mask is empty.
        """
        request = ReferenceRequest(
            source=from_pil(image)[None],
            mask=mask_from_pil(mask_image)[None],
            reference=from_pil(reference_image),
            keep_shape=keep_shape,
            seed=seed,
        )
        editor = MimicBrushEditor(
            self.network,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            scheduler=scheduler,
            geometry=geometry,
        )
        (samples,) = editor.sample_batch([request], num_samples=num_images_per_prompt)
        return [to_pil(edited[0]) for edited in samples]
