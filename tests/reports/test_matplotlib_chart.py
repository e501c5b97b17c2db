from __future__ import annotations

import subprocess
import sys

from PIL import Image

from mimicbrush.reports.matplotlib_chart import (
    DPI,
    finish_chart,
    new_charts,
    save_chart,
    set_log_scale,
    set_whole_ticks,
)


def test_legends_are_below_the_titles_and_titles_of_a_row_are_aligned(tmp_path):
    figure, (crowded, plain) = new_charts(1, 2, size=(8, 3))
    for number in range(6):
        crowded.plot([0, 1], [number, 5 - number], label=f"line {number} with a long name")
    plain.plot([0, 1], [0, 1])
    finish_chart(crowded, "Crowded", x_label="step", y_label="loss")
    finish_chart(plain, "Plain")
    save_chart(figure, tmp_path / "chart.png")
    legend, title = crowded.get_legend().get_window_extent(), crowded._left_title.get_window_extent()
    assert crowded.bbox.y1 <= legend.y0 and legend.y1 <= title.y0
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1 and title.y1 <= figure.bbox.y1
    assert plain.get_legend() is None
    assert abs(plain._left_title.get_window_extent().y0 - title.y0) < 2
    assert Image.open(tmp_path / "chart.png").size == (8 * DPI, 3 * DPI)


def test_only_a_wide_range_of_positive_values_is_logarithmic():
    _, charts = new_charts(1, 3, size=(6, 2))
    for axes, values in zip(charts, ([1, 100], [1, 2], [-1, 100]), strict=True):
        axes.plot(values)
        set_log_scale(axes)
    assert [axes.get_yscale() for axes in charts] == ["log", "linear", "linear"]


def test_the_step_of_a_single_record_is_a_whole_number():
    _, (axes,) = new_charts(size=(4, 3))
    axes.plot([3], [0.5], "o")
    set_whole_ticks(axes)
    assert 3 in axes.get_xticks() and all(tick.is_integer() for tick in axes.get_xticks())


def test_matplotlib_is_not_imported_before_a_chart_is_drawn():
    code = "import sys, mimicbrush.training.curves; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
