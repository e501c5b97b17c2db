"""Options of masks of photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mimicbrush.errors import Faults

Method = Literal["files", "box", "grabcut", "sam"]


@dataclass(frozen=True, kw_only=True)
class PhotographMaskConfig:
    """Masks of the photographs: method, and limits on size."""

    method: Method = "grabcut"
    """Origin of the masks. files: your own PNG files; box: the box in regions; grabcut: the object that GrabCut finds
    inside a box; sam: the object that SAM finds for a box or clicks."""
    folder: Path | None = None
    """With method files: folder of PNG masks with the photographs' names, `dog/00.png` for `dog/00.jpg`."""
    regions: Path | None = None
    """CSV or JSON file with a box or clicks for each photograph, in pixels, after EXIF rotation."""
    central_box: float = 0.9
    """With method grabcut and no `regions`: width and height of a box in the middle, as a share of the picture's."""
    iterations: int = 5
    """With method grabcut: number of iterations."""
    sam: str = "facebook/sam-vit-base"
    """With method sam: a folder or hub repository of SAM in transformers' layout."""
    sam_download: bool = False
    """With method sam: download the weights from the hub if they are not on this machine."""
    min_area: float = 0.005
    """Smallest mask, as a share of the picture. A photograph whose mask is smaller is skipped in a benchmark, and has
    no mask in training pairs."""
    max_area: float = 0.9
    """Largest mask, as a share of the picture; the same holds for photographs whose mask is larger."""

    def __post_init__(self) -> None:
        faults = Faults()
        if self.method == "files" and self.folder is None:
            faults.add("method files needs the folder of masks; give masks.folder")
        if self.method in ("box", "sam") and self.regions is None:
            faults.add(f"method {self.method} needs a box or clicks for each photograph; give masks.regions")
        if not 0 < self.central_box < 1:
            faults.add(f"masks.central_box is {self.central_box}, expected a share between 0 and 1")
        if self.iterations < 1:
            faults.add(f"masks.iterations is {self.iterations}, expected at least 1")
        if not 0 < self.min_area < self.max_area <= 1:
            faults.add("masks.min_area and masks.max_area must be shares, the first below the second")
        faults.refuse()

    @property
    def guesses(self) -> bool:
        """Whether masks are guessed from the middle of the photograph."""
        return self.method == "grabcut" and self.regions is None
