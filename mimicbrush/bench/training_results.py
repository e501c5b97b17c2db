"""Results of the training benchmark: a table on the terminal, JSON, Markdown, and a bar chart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mimicbrush.bench.step_timer import PARTS
from mimicbrush.files import write_json, write_text
from mimicbrush.reports.colours import BLUE, STACKED
from mimicbrush.reports.matplotlib_chart import finish_chart, new_charts, save_chart
from mimicbrush.reports.text_table import align_columns, markdown_table

BASELINE = "bfloat16"


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """Results of training with one set of options."""

    name: str
    title: str
    failure: str | None = None
    """Reason why nothing was measured."""
    images_per_second: float | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    """Time of a step by part."""
    peak_memory: float | None = None
    """Measured peak in GiB."""
    counted_memory: float | None = None
    """Counted peak in GiB; only on a GPU, where the measured peak includes nothing but tensors."""

    def summary(self) -> str:
        """Describe the result in a few words."""
        return self.failure or f"{self.images_per_second:.3g} images/s, {self.peak_memory:.1f} GiB"


@dataclass(frozen=True, kw_only=True)
class TrainResults:
    """The results of all rows, with the machine and settings for which they are valid."""

    machine: str
    what: str
    flops: float
    """FLOPs of one image, counted without recomputation."""
    matrix_rates: dict[str, float]
    """FLOP/s of a large matrix product, by dtype."""
    rows: list[RowResult]

    @property
    def best_rate(self) -> float:
        """Highest matrix rate in FLOP/s, the reference for utilisation (MFU)."""
        return max(self.matrix_rates.values())

    def ratio(self, row: RowResult, to: RowResult | None) -> str:
        """Ratio of images per second; `-` if one row has none."""
        if to is None or row.failure or to.failure:
            return "-"
        return f"{row.images_per_second / to.images_per_second:.2f}"

    def find(self, name: str) -> RowResult | None:
        """Return the row of this name, or None."""
        return next((row for row in self.rows if row.name == name), None)


def print_results(results: TrainResults) -> None:
    """Print the table with aligned columns."""
    print(f"\n{_heading(results)}")
    print(align_columns(list(_cells(results)), right=True))


def write_results(results: TrainResults, path: Path) -> None:
    """Write JSON, a Markdown table and a bar chart, with the same name and different suffixes."""
    write_json(asdict(results), path)
    table = markdown_table(list(_cells(results)), right=True)
    write_text(f"{_heading(results)}\n\n{table}\n", path.with_suffix(".md"))
    _draw(results, path.with_suffix(".png"))


def _heading(results: TrainResults) -> str:
    rates = ", ".join(f"{rate / 1e12:.3g} in {name}" for name, rate in results.matrix_rates.items())
    flops = f"{results.flops / 1e12:.3g} TFLOP per image"
    return f"{results.machine}; {results.what}; {flops}; TFLOP/s of a large matrix product: {rates}"


def _cells(results: TrainResults) -> Iterator[list[str]]:
    shown = [part for part in PARTS if any(row.milliseconds.get(part) for row in results.rows)]
    yield ["", "images/s", "to first", "to bf16", "step, ms", *shown, "GiB", "counted", "MFU"]
    for row in results.rows:
        if row.failure:
            yield [row.title, row.failure, *["-"] * (len(shown) + 6)]
            continue
        yield [
            row.title,
            f"{row.images_per_second:.3g}",
            results.ratio(row, results.rows[0]),
            results.ratio(row, results.find(BASELINE)),
            f"{sum(row.milliseconds.values()):.0f}",
            *(f"{row.milliseconds.get(part, 0):.0f}" for part in shown),
            f"{row.peak_memory:.1f}",
            f"{row.counted_memory:.1f}" if row.counted_memory else "-",
            f"{row.images_per_second * results.flops / results.best_rate:.1%}",
        ]


def _draw(results: TrainResults, path: Path) -> None:
    """Draw images per second, and beside them the milliseconds of a step by part."""
    rows = [row for row in results.rows if not row.failure]
    if not rows:
        return
    figure, (speeds, times) = new_charts(1, 2, size=(12, 1.8 + 0.4 * len(rows)), share_y=True)
    titles = [row.title for row in rows]
    bars = speeds.barh(titles, [row.images_per_second for row in rows], color=BLUE, height=0.7)
    speeds.bar_label(bars, fmt="%.3g", padding=3)
    speeds.margins(x=0.15)
    speeds.invert_yaxis()
    left = [0.0] * len(rows)
    for colour, part in zip(STACKED, PARTS, strict=False):
        widths = [row.milliseconds.get(part, 0.0) for row in rows]
        if any(widths):
            times.barh(titles, widths, left=left, label=part, color=colour, height=0.7)
            left = [start + width for start, width in zip(left, widths, strict=True)]
    finish_chart(speeds, "Speed, higher is better", x_label="images / s", grid="x")
    finish_chart(times, "Time of a step", x_label="ms", grid="x")
    save_chart(figure, path)
