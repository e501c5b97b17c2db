"""Pictures mean the same wherever they enter: `reading` opens files, `given` converts callers' pictures."""

from mimicbrush.pictures.given import (
    Box,
    Picture,
    Source,
    as_edit_mask,
    as_mask,
    as_reference,
    as_source,
    cut_reference,
)
from mimicbrush.pictures.reading import (
    count_frames,
    from_pil,
    open_image,
    read_channels,
    read_frames,
    read_image,
    read_levels,
    read_mask,
    read_mask_frames,
)

__all__ = [
    "Box",
    "Picture",
    "Source",
    "as_edit_mask",
    "as_mask",
    "as_reference",
    "as_source",
    "count_frames",
    "cut_reference",
    "from_pil",
    "open_image",
    "read_channels",
    "read_frames",
    "read_image",
    "read_levels",
    "read_mask",
    "read_mask_frames",
]
