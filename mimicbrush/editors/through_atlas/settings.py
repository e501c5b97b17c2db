"""Settings of an edit through an atlas; this module does not import torch."""

# Annotations are not postponed here, as in the settings of MimicBrush: jsonargparse would not find their names.
from dataclasses import dataclass, fields
from typing import Literal, get_args

from mimicbrush.errors import Faults

EditedLayer = Literal["auto", "foreground", "background"]
"""Layer of the atlas that an edit moves with."""
EditedPicture = Literal["frame", "atlas"]
"""Picture that is edited once."""


@dataclass(frozen=True, kw_only=True)
class ThroughAtlasSettings:
    """The picture that is edited once, and how it is mapped to the frames."""

    edited_layer: EditedLayer = "auto"
    """Layer of the atlas that the edit moves with: foreground or background; auto: the one that fills more of the
    mask."""
    edited_picture: EditedPicture = "frame"
    """frame: a frame is edited, and its pixels are found again in the others. atlas: the layer's atlas is edited, which
    shows all that any frame shows, but is less sharp than a frame."""
    edited_frame: int | None = None
    """Number of the frame that is edited, 1 is the first; null: the masked frame in which the mask is largest."""
    within_layer: bool = True
    """Edit only pixels of the layer, which keeps what is around the object. false: everything in the mask moves with
    the layer, for an object that gets another shape."""

    def __post_init__(self) -> None:
        faults = Faults()
        for name, kind in {"edited_layer": EditedLayer, "edited_picture": EditedPicture}.items():
            value, allowed = getattr(self, name), get_args(kind)
            faults.check(value in allowed, f"{name} is {value}, expected one of {', '.join(allowed)}")
        faults.check(
            self.edited_frame is None or self.edited_frame >= 1,
            f"edited_frame is {self.edited_frame}, expected 1 for the first frame, or more",
        )
        faults.refuse()

    @property
    def atlas_settings(self) -> "ThroughAtlasSettings":
        """Only the fields of ThroughAtlasSettings, taken from a config that inherits them."""
        return ThroughAtlasSettings(**{each.name: getattr(self, each.name) for each in fields(ThroughAtlasSettings)})
