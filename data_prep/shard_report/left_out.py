"""The parts of a report about what was left out: how the numbers add up, the reasons, their inputs and examples."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from PIL import Image

from data_prep.inputs.input_files import describe_passed_over
from data_prep.records.reasons import Reason, explain
from data_prep.records.summary import count_exclusions, describe, name_samples
from data_prep.shard_report.folder_scan import FolderScan
from mimicbrush.errors import UserError, spaced
from mimicbrush.pictures.conversion import to_pil
from mimicbrush.pictures.reading import decode_rgb
from mimicbrush.reports.html_page import Markup, blocks, escape, folded, heading, paragraph, span, table
from mimicbrush.reports.html_pictures import Shown, gallery
from mimicbrush.reports.number_format import format_bytes

NUM_NAMED = 20
"""Number of skipped inputs named for each reason."""
EXAMPLE_HEIGHT = 96
"""Height of rejected examples on the page, in pixels."""


def overview(summary: Mapping, scan: FolderScan, *, has_summary: bool) -> list[str]:
    """Say in a sentence what was kept, and tabulate how inputs and samples add up."""
    noun = name_samples(summary["noun"])
    account = describe(summary) if summary["inputs"] else f"{spaced(scan.stored)} {noun} of unnamed inputs"
    shards = f"{spaced(summary['shards'])} shard{'s' if summary['shards'] != 1 else ''}"
    num_samples = scan.stored + scan.excluded
    each = f", {format_bytes(summary['bytes'] / num_samples)} a {noun.removesuffix('s')}" if num_samples else ""
    sections = [
        paragraph(f"{capitalise(account)}."),
        paragraph(f"{format_bytes(summary['bytes'])} in {shards}{each}."),
    ]
    if vouched := summary.get("vouched_pairs", 0):
        inside = spaced(num_samples - vouched)
        below = f"{spaced(vouched)} below it with matches that vouch for them"
        sections.append(paragraph(f"{inside} stored pairs lie in the band, {below}."))
    if not has_summary:
        sections.append(paragraph("There is no summary.json; this page was made from the shards alone.", note=True))
    elif scan.stored != summary["pairs"]:
        words = f"The shards hold {spaced(scan.stored)} {noun}: summary.json belongs to others or is older."
        sections.append(paragraph(f"{words} Run data_prep/merge.py to write it anew."))
    return [*sections, *(_balance(summary, scan, noun) if summary["inputs"] else [])]


def _balance(summary: Mapping, scan: FolderScan, noun: str) -> list[str]:
    skipped = sum(map(len, summary["skipped"].values()))
    num_excluded = summary["inputs"] - skipped - summary["kept"]
    used = f"used for training{f'; {spaced(scan.stills)} of the samples are stills' if scan.stills else ''}"
    rows = [
        ("found", spaced(summary["inputs"]), ""),
        ("skipped, and named below", spaced(skipped), ""),
        ("stored in shards", spaced(summary["inputs"] - skipped), spaced(scan.stored + scan.excluded)),
        (
            "excluded again: repeats, replaced or deleted since, or by request",
            spaced(num_excluded),
            spaced(scan.excluded),
        ),
        (used, spaced(summary["kept"]), spaced(scan.stored)),
    ]
    rows = [row for row in rows if row[1:] not in (("0", ""), ("0", "0"))]
    return [table(("", summary["noun"], noun), rows)]


def reasons_section(summary: Mapping, scan: FolderScan) -> list[str]:
    """Count skipped inputs, dropped frames, pairs and masks by reason, and name the inputs."""
    noun, skipped = summary["noun"], summary["skipped"]
    columns = {
        noun: {**{code: len(names) for code, names in skipped.items()}, **count_exclusions(summary)},
        "frames": summary["dropped_frames"],
        "pairs": summary["dropped_pairs"],
        "masks": summary.get("dropped_masks", {}),
    }
    columns = {title: counts for title, counts in columns.items() if counts}
    codes = dict.fromkeys(code for counts in columns.values() for code in counts)
    rows = [_reason_row(code, columns.values()) for code in codes]
    header = ("reason", *columns, span("meaning", "text"))
    sections = [table(header, rows, kind="sortable")] if rows else []
    if summary["dropped_pairs"]:
        stored = scan.stored + scan.excluded
        dropped = sum(summary["dropped_pairs"].values())
        pairs = "pairs of frames" if noun == "videos" else "pairs"
        words = f"{spaced(dropped)} {pairs} were dropped and {spaced(stored)} stored"
        sections.append(paragraph(f"{words}, of {spaced(dropped + stored)} in all.", note=True))
    sections += [_named(code, names, noun) for code, names in skipped.items()]
    since = {"replaced": summary.get("changed", []), "deleted": summary.get("gone", [])}
    sections += [_named_since(word, names, noun) for word, names in since.items() if names]
    if passed_over := summary.get("passed_over"):
        sections.append(paragraph(f"Passed over, because they are no {noun}: {describe_passed_over(passed_over)}."))
    return sections or [paragraph("Nothing was left out.")]


def _reason_row(code: str, columns: Iterable[Mapping[str, int]]) -> list[object]:
    reason = explain(code)
    return [
        capitalise(reason.words),
        *(spaced(c[code]) if code in c else "" for c in columns),
        span(mark_options(reason.meaning), "text"),
    ]


def _named(code: str, names: Mapping[str, str], noun: str) -> str:
    """The inputs that were skipped for one reason, shown on a click."""
    reason = explain(code)
    lines = [f"{name}: {detail}" if detail else name for name, detail in islice(names.items(), NUM_NAMED)]
    if len(names) > NUM_NAMED:
        lines.append(f"and {spaced(len(names) - NUM_NAMED)} more")
    if reason.can_retry:
        lines.append(mark_options(f"To try them again, add --work.retry '[{code}]' to the command."))
    return folded(
        f"{capitalise(reason.words)}: {spaced(len(names))} {noun if len(names) != 1 else noun.removesuffix('s')}", lines
    )


def _named_since(word: str, names: Sequence[str], noun: str) -> str:
    """Inputs that were replaced or deleted since they were first read, shown on a click."""
    more = [f"and {spaced(len(names) - NUM_NAMED)} more"] if len(names) > NUM_NAMED else []
    number = f"{spaced(len(names))} {noun if len(names) != 1 else noun.removesuffix('s')}"
    return folded(
        f"{capitalise(word)} since, so that the old samples are excluded: {number}", [*names[:NUM_NAMED], *more]
    )


def mark_options(text: str) -> Markup:
    """Set options, such as `--pairs.min_gap`, in the type of code, without line breaks."""
    return Markup(re.sub(r"--[a-z][\w.]*\w( &#x27;\[.*?\]&#x27;)?", r"<code>\g<0></code>", escape(text)))


def capitalise(words: str) -> str:
    """Words with a capital first letter; the other letters stay."""
    return words[:1].upper() + words[1:]


def examples_section(scan: FolderScan) -> list[str]:
    """Show rejected frames and pairs by reason, of several inputs each."""
    if not scan.examples:
        return [paragraph("The indexes hold no example.")]
    return [blocks([_examples(explain(code), examples) for code, examples in scan.examples.items()])]


def _examples(reason: Reason, examples: Sequence[Mapping[str, str]]) -> list[str]:
    meaning = [paragraph(mark_options(reason.meaning), note=True)] if reason.meaning else []
    shown = [Shown(_decode(example), example["name"]) for example in examples]
    return [heading(capitalise(reason.words), level=3), *meaning, gallery(shown, height=EXAMPLE_HEIGHT)]


def _decode(example: Mapping[str, str]) -> Image.Image:
    try:
        return to_pil(decode_rgb(base64.b64decode(example["picture"])))
    except ValueError:
        raise UserError(f"an index's example of {example['reason']} is no picture; shard the data anew") from None
