"""Histograms of a report."""

from __future__ import annotations

import re

import pytest

from data_prep.shard_report.histograms import MAX_BARS, histogram_bars, histogram_chart


def heights(svg: str) -> list[float]:
    return [float(height) for height in re.findall(r"class='bar'[^>]* height='([\d.]+)'", svg)]


def test_bars_are_as_high_as_their_counts() -> None:
    chart = histogram_chart(histogram_bars({"0.40": 10, "0.45": 20, "0.60": 5}, 0.05), title="t", axis="SSIM")
    low, high, lowest = heights(chart)
    assert high == pytest.approx(2 * low, abs=0.1)
    assert low == pytest.approx(2 * lowest, abs=0.1)
    assert "<title>0.4 to 0.45: 10</title>" in chart


def test_lonely_bins_keep_their_width() -> None:
    (bar,) = histogram_bars({"0.90": 3}, 0.05)
    assert (bar.start, bar.end, bar.count) == pytest.approx((0.9, 0.95, 3))


def test_narrower_bins_than_usual_are_believed() -> None:
    bars = histogram_bars({"0.40": 1, "0.41": 1, "-0.03": 1}, 0.05)
    assert [bar.end - bar.start for bar in bars] == pytest.approx([0.01] * 3)


def test_many_bins_share_bars_and_none_is_lost() -> None:
    bars = histogram_bars({f"{number / 2:.2f}": 3 for number in range(1000)}, 0.5)
    assert len(bars) <= MAX_BARS
    assert sum(bar.count for bar in bars) == 3000


def test_long_tail_becomes_one_bar() -> None:
    *body, tail = histogram_bars({"0.00": 900, "0.50": 90, "300.00": 10}, 0.5, has_tail=True)
    assert [bar.count for bar in body] == [900, 90]
    assert (tail.start, tail.end, tail.count) == (1.0, float("inf"), 10)
