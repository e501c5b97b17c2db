"""Settings of an edit, and their limits; read without torch."""

from __future__ import annotations

from typing import Literal

from mimicbrush.errors import Faults

Geometry = Literal["exact", "released"]
"""How pictures come to the network's canvas and back: without a pixel's shift, or as in the released code."""

Regions = Literal["together", "separate", "in_turn"]
"""One crop around all of the mask, or one around each of its connected parts: all denoised at once, or one after the
other, each seeing what became of those before it, in the memory of one."""

MAX_STEPS = 1000
"""Largest number of steps of a schedule; a sampler may allow fewer."""
MAX_GUIDANCE = 100
"""Far beyond what anyone uses: more gives pictures of noise."""
MAX_CONTEXT = 100
"""Largest side of a crop, in times the longer side of what is masked."""


def check_sampling(
    *, num_inference_steps: int, guidance_scale: float, context: float, max_steps: int = MAX_STEPS
) -> None:
    """Raise UserError, naming each number that is outside its limits."""
    faults = Faults()
    faults.check(
        1 <= num_inference_steps <= max_steps,
        f"num_inference_steps is {num_inference_steps}, expected 1 to {max_steps}",
    )
    faults.check(
        0 <= guidance_scale <= MAX_GUIDANCE, f"guidance_scale is {guidance_scale:g}, expected 0 to {MAX_GUIDANCE}"
    )
    faults.check(
        1 <= context <= MAX_CONTEXT,
        f"context is {context:g}, expected 1 to {MAX_CONTEXT} times the longer side of the mask",
    )
    faults.refuse()
