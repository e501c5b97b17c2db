from __future__ import annotations

import pytest

from mimicbrush.reports.display_name import display_name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mean_colour", "Mean colour"),
        ("inner_id", "Inner-ID"),
        ("world_inter_id", "World inter-ID"),
        ("inner_identity", "Inner identity"),
        ("MimicBrush", "MimicBrush"),
        ("lr3e-4", "lr3e-4"),
        ("paste", "Paste"),
    ],
)
def test_identifiers_are_written_as_words_and_other_names_kept(name, shown):
    assert display_name(name) == shown
