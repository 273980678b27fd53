"""The profile as one self-contained HTML page, and in short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.base.text import markdown_table, shortened
from ml.profile.distribution import number
from ml.profile.findings import is_apart
from ml.profile.record import ColumnProfile, Profile
from ml.provenance.stamp import stamp_html
from ml.report.charts import cells, in_time
from ml.report.look import figure, template
from ml.report.sparks import HEIGHT, WIDTH, scale_of, spark, whisker
from ml.tasks.targets import of_target

FIRST = 30  # columns that stand in the open; further ones unfold
MOST = 500  # columns on the page: it stays one that a browser opens at once
NAME = 60  # characters
WIDE = 8  # figures of the target that have a column each
MEASURES = {"roc_auc": "ROC AUC", "r2": "R²"}
IN_SHORT = 40  # columns of the table in the UI


def html(name: str, description: str, profile: Profile, coordinates: Mapping[str, Any]) -> str:
    """Render the whole profile as one page without outside references."""
    scale, rows, shares = scale_of(profile), profile.rows["train"], profile.target["train"]
    greatest = max((column.alone.high for column in profile.columns if column.alone), default=1.0)
    shown = [
        {
            "column": column,
            "name": shortened(column.name, NAME, omit="middle"),
            "missing": _missing(column),
            "range": _range(column),
            "spark": spark(column, rows, scale),
            "apart": {split for split, drift in column.drift.items() if is_apart(profile, drift)},
            "whisker": whisker(column.alone, profile.chance, greatest) if column.alone else None,
        }
        for column in profile.columns[:MOST]
    ]
    page = template("profile").render(
        name=name,
        description=description,
        p=profile,
        measure=MEASURES[profile.measure],
        first=shown[:FIRST],
        others=shown[FIRST:],
        left_out=len(profile.columns) - len(shown),
        classes=sorted(shares, key=lambda title: (-shares[title], title)) if len(shares) > WIDE else [],
        in_time=in_time(profile.coverage) if profile.coverage else None,
        cells=cells(profile) if len(profile.heatmap) > 1 else [],
        coordinates=coordinates,
        width=WIDTH,
        height=HEIGHT,
        scale=scale,
    )
    return stamp_html(page, str(coordinates["id"]))


def _missing(column: ColumnProfile) -> str:
    """Write the missing share of the training rows, and of each other split that differs from it by a percent."""
    train = column.missing["train"]
    others = [
        f"{_share(share)} of {split}"
        for split, share in column.missing.items()
        if split != "train" and abs(share - train) >= 0.01
    ]
    return "; ".join([_share(train), *others])


def _share(share: float) -> str:
    return "0" if share == 0 else "<0.1%" if share < 0.001 else f"{share:.1%}"


def _range(column: ColumnProfile) -> str:
    """Write the least, middle and greatest number, or the most frequent texts of training, or flags."""
    if column.quantiles and column.kind != "flag":
        least, _, middle, _, greatest = (number(value, column.kind) for value in column.quantiles)
        return least if least == greatest else f"{least} … {middle} … {greatest}"
    if column.kind not in ("text", "flag") or not column.distinct:
        return ""
    values = [bar for bar in column.bars if bar.holds == "values" and bar.shares["train"] >= 0.01]
    return ", ".join(f"{bar.label} {bar.shares['train']:.0%}" for bar in values[:3]) or "none in 1% of the rows"


def in_short(profile: Profile) -> str:
    """Return the columns as a Markdown table, the most telling one first."""
    lines = [
        {
            "column": f"`{shortened(column.name, NAME, omit='middle').replace('`', chr(39))}`",
            "type": column.type,
            "missing": _missing(column),
            "distinct": f"{column.distinct:,}",
            f"{MEASURES[profile.measure]} alone": _alone(column),
            **{
                f"apart in {split}": f"{column.drift[split].distance:.2f}" if split in column.drift else ""
                for split in profile.rows
                if split != "train"
            },
        }
        for column in profile.columns[:IN_SHORT]
    ]
    more = len(profile.columns) - len(lines)
    return markdown_table(lines) + (f"\n\nand {more:,} more, on the page" if more > 0 else "")


def _alone(column: ColumnProfile) -> str:
    if column.alone is None:
        return ""
    ends = f"[{figure(column.alone.low)}, {figure(column.alone.high)}]"
    return of_target(f"{figure(column.alone.value)} {ends}", column.target)
