"""Shots of a clip, found in the thumbnails of all frames that were decoded.

Between frames that follow one another closely, a cut is a jump that stands out from the jumps around it; a jump that is
undone within half a second is a flash. Slow transitions are found by `transitions.py`; the decoded frames on both sides
decide whether one lies there. A seek leaves a gap of unseen frames: a large jump across it counts as a cut, and
frames on its two sides may only be paired if their colours agree.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from data_prep.clips.jumps import MIN_JUMP, NUM_NEIGHBOURS, measure_jump, stands_out
from data_prep.clips.mixed_frames import num_mixed, split_at_mixed
from data_prep.clips.seams import without_strips
from data_prep.clips.static_dissolves import find_static_dissolves
from data_prep.clips.static_windows import find_static_windows
from data_prep.clips.static_wipes import find_static_wipes
from data_prep.clips.transitions import Span, find_transitions, is_carried
from data_prep.frames.images import correlate
from data_prep.frames.keypoints import FrameFeatures
from data_prep.frames.same_scene import share_in_place, show_same_scene
from mimicbrush.video.decoded_clip import DecodedClip, Frame, Thumbnail

NEAR_CUT = 0.3
"""Seconds before and after a cut in which it must be still for the cut to be clean."""
MAX_CLEAN = 0.25
"""Largest jump there, as a share of the cut's."""
BLEND_SHARES = (0.15, 0.85)
"""Smallest and largest share of the second shot in a frame that blends the two shots of a cut."""
MAX_UNBLENDED = 0.3
"""Largest mean deviation of such a frame from that blend of its neighbours, as a share of their difference."""
MAX_UNSEEN_JUMP = 35.0
"""Largest jump across a gap that is no cut, in mean grey levels. Unrelated real frames differ by 40 or more, frames of
one shot by up to 40 if much moves within seconds: a few good pairs are lost rather than a bad one kept."""
MIN_IN_PLACE = 0.6
"""Smallest share of blocks that agree in place where a jump is a change of light, or a dip to black or white returns to
the same picture. Measured: 0.6 or more there, 0.27 to 0.52 between two people in one room."""
MAX_FLASH = 0.5
"""Longest time from before a flash to after it, in seconds."""
MIN_FLASH_CORRELATION = 0.9
"""Smallest correlation of the thumbnails before and after a flash."""
MAX_TRANSITION = 5.0
"""Longest time, in seconds, in which all possible transitions that overlap are taken for one."""
MIN_COMMON_COLOURS = 0.43
"""Smallest overlap of the colour histograms of two frames of one shot. Measured on real clips: 0.46 or more within a
shot, 0.40 or less between shots."""
MIN_SURE_COLOURS = 0.7
"""Overlap of the colours of the frames on both sides of a gap from which no cut is suspected in it. Measured: at most
0.65 across 35 cuts, three of them between two people in one room; less than 0.7 across 2 of 90 gaps without a cut."""
COLOUR_BINS = (12, 6, 6)
"""Numbers of bins for hue, saturation and value."""
COLOUR_SIZE = (160, 90)


class Shot(NamedTuple):
    """Frames between two boundaries, any two of which may be paired unless unseen frames lie between them."""

    frames: list[Frame]
    """In order of time."""
    gaps: list[float]
    """Time of the first frame after each gap of unseen frames within the shot, in seconds."""
    colours: dict[float, NDArray[np.float32]]
    """Colour histogram of each frame by its time; empty if there are no gaps."""

    def are_apart(self, first: Frame, second: Frame) -> bool:
        """Whether a cut may lie between two frames: unseen frames lie there, and the colours differ."""
        is_unseen = any(first.time < gap <= second.time for gap in self.gaps)
        return is_unseen and self._common_colours(first, second) < MIN_COMMON_COLOURS

    def has_doubtful_gap(self) -> bool:
        """Whether the colours differ so much across a gap that a cut may lie there."""
        return any(
            any(before.time < gap <= after.time for gap in self.gaps)
            and self._common_colours(before, after) < MIN_SURE_COLOURS
            for before, after in pairwise(self.frames)
        )

    def _common_colours(self, first: Frame, second: Frame) -> float:
        """Overlap of two frames' colour histograms, in [0, 1]."""
        return float(np.minimum(self.colours[first.time], self.colours[second.time]).sum())


class Division(NamedTuple):
    """The shots of a clip, and the frames between them."""

    shots: list[Shot]
    """In order of time; shots of which no frame was decoded are left out."""
    transitions: list[Frame]
    """Frames of slow transitions and flashes, which show two shots or neither."""
    features: FrameFeatures
    """Grey versions and keypoints of the frames that were made on the way."""

    def may_hide_cuts(self) -> bool:
        """Whether cuts may lie in the gaps: others were found, or the colours on both sides of a gap differ."""
        is_single = len(self.shots) == 1 and not self.transitions
        return not is_single or self.shots[0].has_doubtful_gap()


def find_shots(clip: DecodedClip) -> Division:
    """Divide a clip into its shots."""
    features = FrameFeatures()
    cuts, flashes = find_cuts(clip.thumbnails)
    cuts = [cut for cut in cuts if not _is_still_in_place(cut, clip.frames)]
    spans = [span for part in _split(clip.thumbnails, cuts) for span in _transitions_in(part, clip.frames, features)]
    hidden = [*spans, *flashes, *_find_blends(clip.thumbnails, cuts)]
    clear = [frame for frame in clip.frames if not any(span.start < frame.time < span.end for span in hidden)]
    bounds = sorted(
        [(cut, _is_clean(cut, clip.thumbnails)) for cut in cuts] + [(span.end, span.is_dip) for span in spans]
    )
    times = [-np.inf, *(time for time, _ in bounds), np.inf]
    parts = [[frame for frame in clear if start <= frame.time < end] for start, end in pairwise(times)]
    is_clean = [clean for _, clean in bounds]
    parts = _without_mixed(parts, is_clean, features)
    gaps = [thumbnail.time for thumbnail in clip.thumbnails[1:] if thumbnail.after_gap]
    split = [split_at_mixed(part, features=features) for part in parts]
    shots = [_shot(frames, gaps) for frames in without_strips(split, is_clean, features=features) if frames]
    kept = {frame.time for shot in shots for frame in shot.frames}
    return Division(shots, [frame for frame in clip.frames if frame.time not in kept], features)


def _find_blends(thumbnails: Sequence[Thumbnail], cuts: Collection[float]) -> list[Span]:
    """Frames at cuts that blend both shots, as in films whose frame rate was converted."""
    blends: list[Span] = []
    for before, frame, after in zip(thumbnails, thumbnails[1:], thumbnails[2:], strict=False):
        is_near = {frame.time, after.time} & set(cuts) and not (frame.after_gap or after.after_gap)
        if is_near and measure_jump(before, after) > MIN_JUMP:
            first, mixed, second = (each.luma.astype(np.float32) for each in (before, frame, after))
            change = second - first
            share = float(((mixed - first) * change).sum() / max(1.0, float((change * change).sum())))
            rest = np.abs(mixed - first - share * change).mean()
            if BLEND_SHARES[0] < share < BLEND_SHARES[1] and rest < MAX_UNBLENDED * np.abs(change).mean():
                blends.append(Span(before.time, after.time))
    return blends


def _is_clean(cut: float, thumbnails: Sequence[Thumbnail]) -> bool:
    """Whether hardly anything changes right before and after a cut, which is no part of a transition then."""
    near = [thumbnail for thumbnail in thumbnails if abs(thumbnail.time - cut) < NEAR_CUT]
    jumps = {after.time: measure_jump(before, after) for before, after in pairwise(near)}
    jump = jumps.pop(cut, 0.0)
    return max(jumps.values(), default=0.0) <= MAX_CLEAN * jump


def _without_mixed(
    parts: Sequence[list[Frame]], is_clean: Sequence[bool], features: FrameFeatures
) -> list[list[Frame]]:
    """The frames of each shot without those at its ends that show another shot as well.

    is_clean: whether no frame between two parts can show both, as at a clean cut or where the picture goes to black.
    """
    ends = [
        (0, 0) if clean else num_mixed(*pair, features=features)
        for pair, clean in zip(pairwise(parts), is_clean, strict=True)
    ]
    before, after = ([end for end, _ in ends], [start for _, start in ends])
    return [
        frames[start : len(frames) - end] for frames, start, end in zip(parts, [0, *after], [*before, 0], strict=True)
    ]


def _is_still_in_place(cut: float, frames: Sequence[Frame]) -> bool:
    """Whether the frames before and after a possible cut show nearly everything in the same place."""
    before = [frame for frame in frames if frame.time < cut]
    after = [frame for frame in frames if frame.time >= cut]
    return bool(before and after) and share_in_place(before[-1].image, after[0].image) >= MIN_IN_PLACE


def _transitions_in(part: Sequence[Thumbnail], frames: Sequence[Frame], features: FrameFeatures) -> list[Span]:
    """The transitions between two cuts; the frames of that part alone decide."""
    inside = [frame for frame in frames if part[0].time <= frame.time <= part[-1].time] if part else []
    found = [span for group in find_transitions(part) for span in _true_transitions(group, part, inside, features)]
    # The rim of a cut-out that moves looks like a dissolve.
    if any(frame.has_alpha for frame in inside):
        return found
    windows = list(find_static_windows(part))
    return [*found, *find_static_dissolves(part, windows), *find_static_wipes(part, windows, known=found)]


def _true_transitions(
    group: Sequence[Span], part: Sequence[Thumbnail], frames: Sequence[Frame], features: FrameFeatures
) -> list[Span]:
    """The transitions among possible ones that overlap: those before and after which frames show two scenes.

    A short group is one transition, parts of which were found. In a long one things move as well, and each is judged.
    """
    whole = Span(group[0].start, max(span.end for span in group), group[0].is_dip)
    if _is_within_scene(whole, part, frames, features):
        return []
    if whole.length <= MAX_TRANSITION:
        return [whole]
    return [span for span in group if not _is_within_scene(span, part, frames, features)]


def _is_within_scene(span: Span, part: Sequence[Thumbnail], frames: Sequence[Frame], features: FrameFeatures) -> bool:
    """Whether the nearest frames before and after a span, or else the outermost ones in it, show the same scene.

    Where they do not match, thumbnails tell whether motion carries one into the other. After a dip to black or white
    the very same picture must return, as two people may be shown in one room.
    """
    before = [frame for frame in frames if frame.time <= span.start]
    inside = [frame for frame in frames if span.start < frame.time < span.end]
    after = [frame for frame in frames if frame.time >= span.end]
    first, last = [*before[-1:], *inside][:1], [*inside, *after[:1]][-1:]
    if span.is_dip:
        sides = [frame.image for frame in (*before[-1:], *after[:1])]
        return len(sides) == 2 and share_in_place(*sides) >= MIN_IN_PLACE
    if not first or not last or show_same_scene(first[0], last[0], features=features):
        return True
    return is_carried(span, part)


def thin_out(shot: Shot, num_frames: int) -> Shot:
    """A shot with at most a number of its frames, spread evenly over it."""
    if len(shot.frames) <= num_frames:
        return shot
    chosen = np.linspace(0, len(shot.frames) - 1, num_frames).round().astype(int)
    return shot._replace(frames=[shot.frames[i] for i in chosen])


def num_pairs_across(shots: Sequence[Shot]) -> int:
    """Number of pairs of frames that lie in two shots and are never compared."""
    sizes = [len(shot.frames) for shot in shots]
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2


def _shot(frames: list[Frame], gaps: Sequence[float]) -> Shot:
    inside = [gap for gap in gaps if frames[0].time < gap <= frames[-1].time]
    return Shot(frames, inside, {frame.time: _colours(frame.image) for frame in frames} if inside else {})


def find_cuts(thumbnails: Sequence[Thumbnail]) -> tuple[list[float], list[Span]]:
    """Times of the first frames after the cuts, rising; and flashes, which are no cuts."""
    cuts: list[float] = []
    flashes: list[Span] = []
    for part in _split(thumbnails, [thumbnail.time for thumbnail in thumbnails if thumbnail.after_gap]):
        seen = _find_jumps(part)
        undone = _find_flashes(part, seen)
        cuts += [part[i].time for i in seen if not any(first < i <= last for first, last in undone)]
        flashes += [Span(part[first].time, part[last].time) for first, last in undone]
    for before, after in pairwise(thumbnails):
        if after.starts_shot or (after.after_gap and measure_jump(before, after) > MAX_UNSEEN_JUMP):
            cuts.append(after.time)
    return sorted(set(cuts)), flashes


def _split(thumbnails: Sequence[Thumbnail], times: Collection[float]) -> list[list[Thumbnail]]:
    """Split thumbnails before each of the times."""
    starts = [i for i, thumbnail in enumerate(thumbnails) if i and thumbnail.time in set(times)]
    return [list(thumbnails[start:end]) for start, end in pairwise([0, *starts, len(thumbnails)])]


def _find_jumps(thumbnails: Sequence[Thumbnail]) -> list[int]:
    """Indices of the thumbnails right after a jump that stands out; the thumbnails follow one another closely."""
    jumps = [measure_jump(before, after) for before, after in pairwise(thumbnails)]
    return [
        i + 1
        for i, jump in enumerate(jumps)
        if stands_out(jump, jumps[max(0, i - NUM_NEIGHBOURS) : i] + jumps[i + 1 : i + 1 + NUM_NEIGHBOURS])
    ]


def _find_flashes(thumbnails: Sequence[Thumbnail], jumps: Sequence[int]) -> list[tuple[int, int]]:
    """The last thumbnail before and the first one after each flash: a jump that a later jump undoes."""
    flashes = []
    for i, j in pairwise(jumps):
        is_short = thumbnails[j].time - thumbnails[i - 1].time <= MAX_FLASH
        if is_short and correlate(thumbnails[i - 1].luma, thumbnails[j].luma) > MIN_FLASH_CORRELATION:
            flashes.append((i - 1, j))
    return flashes


def _colours(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = cv2.resize(image, COLOUR_SIZE, interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(COLOUR_BINS), [0, 180, 0, 256, 0, 256])
    return counts.ravel() / counts.sum()
