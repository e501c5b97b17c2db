"""Change the opacity of a whole layer after it was made."""

from __future__ import annotations

from torch import Tensor

from mimicbrush.errors import UserError, some_of
from mimicbrush.pictures.conversion import draw_over
from mimicbrush.requests import Edited


def fade(edited: Edited, source: Tensor, opacity: float) -> Edited:
    """Draw the layer of a result over its source with less opacity; the layers of the result fade with it.

    edited: with the layer `rgba` (1, 4, H, W); source: (1, 3, H, W); opacity: from 0 to 1. A layer `on_green` stays as
    it is: it shows the layer alone, in full opacity. Raises UserError where the result has no layer `rgba`.
    """
    if "rgba" not in edited.layers:
        found = some_of(sorted(edited.layers)) or "no layers"
        raise UserError(f"opacity is {opacity:g}, but the editor returned {found}, not rgba; leave opacity out")
    rgba = edited.layers["rgba"].clone()
    rgba[:, 3:] *= opacity
    faded = {"rgba": rgba} | ({"opacity": rgba[:, 3:]} if "opacity" in edited.layers else {})
    return Edited(draw_over(rgba, source), {**edited.layers, **faded})
