"""Frames that show two shots, as within a transition that was not found, or found too short.

Unrelated frames have nothing in common. So where two frames of a clip do not match, one between them that matches both
is a mixture of them, if it shows part of one in place: under a camera that moves from one view to another, nothing
stays in place.
"""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.frames.keypoints import FrameFeatures
from data_prep.frames.same_scene import MIN_SHARE, share_in_place, show_same_scene
from mimicbrush.video.decoded_clip import Frame

NUM_NEAREST = 2
"""Number of a shot's frames nearest to the boundary with which frames of the other shot are compared, beside its middle
one, as things move."""
MIXED_MARGIN = 0.35
"""Time by which a transition is longer on either side than from its first mixture to its last, as a share of it."""
MIN_DISTANCE = 1.0
"""Smallest time in seconds between a mixture and the frame of which it shows a part in place: under a camera that
follows something fast, frames agree in place with the next ones."""
MIN_FRAMES = 4
"""Smallest number of frames of a shot in which an unseen transition is looked for."""


def split_at_mixed(frames: Sequence[Frame], *, features: FrameFeatures) -> list[list[Frame]]:
    """Split a shot where a transition lies unseen; its frames are left out. Gives the whole shot if there is none.

    The ends of the shot are compared, and those of its halves, as the first scene may come back.
    """
    half = len(frames) // 2
    for start, end in ((0, len(frames)), (0, half + 1), (half, len(frames))):
        mixed = _mixed_inside(frames[start:end], features)
        if mixed:
            first, last = frames[start + mixed[0]].time, frames[start + mixed[-1]].time
            margin = MIXED_MARGIN * (last - first)
            before = [frame for frame in frames if frame.time < first - margin]
            after = [frame for frame in frames if frame.time > last + margin]
            return [part for side in (before, after) for part in split_at_mixed(side, features=features)]
    return [list(frames)]


def num_mixed(before: Sequence[Frame], after: Sequence[Frame], *, features: FrameFeatures) -> tuple[int, int]:
    """How many frames at the end of one shot, and at the start of the next one, show the other shot as well."""
    if not before or not after or _match(_middle(before), [_middle(after)], features):
        return 0, 0
    backwards = before[::-1]
    clear_after, clear_before = _clear(after, _middle(before), features), _clear(backwards, _middle(after), features)
    return _num_matching(backwards, clear_after, features), _num_matching(after, clear_before, features)


def _mixed_inside(frames: Sequence[Frame], features: FrameFeatures) -> list[int]:
    """Indices of the frames that show both ends; none if the ends match one another."""
    if len(frames) < MIN_FRAMES or _match(frames[0], [frames[-1]], features):
        return []
    return [i for i, frame in enumerate(frames[1:-1], start=1) if _is_mixture(frame, frames[0], frames[-1], features)]


def _is_mixture(frame: Frame, first: Frame, last: Frame, features: FrameFeatures) -> bool:
    """Whether a frame shows part of one end in place, long before or after it, and matches the other end, too."""
    return any(
        abs(frame.time - one.time) >= MIN_DISTANCE
        and share_in_place(frame.image, one.image) >= MIN_SHARE
        and _match(frame, [other], features)
        for one, other in ((first, last), (last, first))
    )


def _num_matching(frames: Sequence[Frame], others: Sequence[Frame], features: FrameFeatures) -> int:
    """Number of leading frames, up to the middle one, that match any of the others."""
    for number, frame in enumerate(frames[: len(frames) // 2]):
        if not _match(frame, others, features):
            return number
    return len(frames) // 2


def _clear(frames: Sequence[Frame], other_middle: Frame, features: FrameFeatures) -> list[Frame]:
    """The nearest frames and the middle one, without those that show the other shot."""
    nearest = [*frames[:NUM_NEAREST], _middle(frames)]
    return [frame for frame in nearest if not _match(frame, [other_middle], features)]


def _middle(frames: Sequence[Frame]) -> Frame:
    return frames[len(frames) // 2]


def _match(frame: Frame, others: Sequence[Frame], features: FrameFeatures) -> bool:
    return any(show_same_scene(frame, other, features=features) for other in others)
