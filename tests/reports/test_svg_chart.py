from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from mimicbrush.reports.svg_chart import (
    Scale,
    chart,
    horizontal_axis,
    legend,
    nice_step,
    rectangle,
    stacked_bar,
    text,
    vertical_axis,
)

HOSTILE = "<script>alert('x')</script> & \"quotes\""


@pytest.mark.parametrize(("extent", "max_intervals", "step"), [(10, 5, 2), (1, 4, 0.5), (0.3, 6, 0.05), (900, 4, 500)])
def test_steps_are_round_and_few_enough(extent, max_intervals, step):
    assert nice_step(extent, max_intervals) == pytest.approx(step)


def test_scale_maps_its_ends_and_lists_ticks_between_them():
    up = Scale(-0.5, 2.1, 100, 0)
    assert (up(-0.5), up(2.1)) == (100, pytest.approx(0))
    assert up.ticks(3) == [0, 1, 2]
    assert Scale(0, 3, 0, 1).ticks(8, min_step=1) == [0, 1, 2, 3]


def test_axes_name_their_ticks_and_draw_zero_stronger():
    up, across = Scale(-1, 1, 100, 0), Scale(0, 10, 0, 200)
    rows = "".join(vertical_axis(up, 20, 200, label="{:+g} dB".format, max_intervals=2))
    assert re.findall(r">([^<]+)</text>", rows) == ["-1 dB", "+0 dB", "+1 dB"]
    assert re.findall(r"opacity='([\d.]+)'", rows) == ["0.15", "0.6", "0.15"]
    assert horizontal_axis(across, 100, max_intervals=2)[-1].count("<text") == 1
    assert sum("<path" in element for element in horizontal_axis(across, 100, max_intervals=2, grid_top=0)) == 3


def test_a_chart_is_well_formed_and_its_words_are_escaped():
    elements = [text(1, 2, HOSTILE, "end"), rectangle(0, 0, 1, 1, colour="#fff", tooltip=HOSTILE)]
    shown = chart(elements, title=HOSTILE, height=30)
    root = ElementTree.fromstring(shown)
    assert root.find("svg").get("viewBox") == "0 0 440 30"
    assert [one.text for one in (root.find("svg/text"), root.find("svg/rect/title"), root.find("figcaption"))] == [
        HOSTILE
    ] * 3


def test_legend_names_each_colour():
    assert "<i style='background:#009E73'></i>better" in legend({"better": "#009E73"})


def test_shares_fill_the_bar():
    bar = stacked_bar({"decode": 3.0, "write<": 1.0}, "s")
    assert re.findall(r"width='([\d.]+)' height='20", bar) == ["750.00", "250.00"]
    assert "write&lt; 1.0 s, 25\N{NO-BREAK SPACE}%" in bar
