"""Pictures of an atlas."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mimicbrush.atlas.atlas_pictures import write_pictures
from mimicbrush.atlas.rendered_atlas import native_resolution, render_atlas
from tests.atlas.moving_square import exact_atlas, moving_square


def test_a_layer_is_transparent_where_another_always_covers_it(tmp_path):
    """The square covers columns 11 to 16 in all four frames; the background stands still."""
    clip = moving_square(32, slice(8, 24), num_columns=15)
    atlas = exact_atlas(clip)
    rendered = render_atlas(atlas, clip.shape, resolution=native_resolution(atlas, clip.shape))
    write_pictures(rendered, tmp_path)
    background, foreground = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("background", "foreground"))
    left, top = rendered.layers["background"].points[0, 16, 14].round().int().tolist()
    assert background[top, left, 3] < 10
    left, top = rendered.layers["background"].points[0, 2, 14].round().int().tolist()
    assert background[top, left, 3] == 255
    left, top = rendered.layers["foreground"].points[0, 16, 8].round().int().tolist()
    assert foreground[top, left, 3] > 245 and foreground[2, 2, 3] < 10
