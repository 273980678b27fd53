"""Findings of an audit: the checks of data and features that come before any training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml.base.sql import DataError
from ml.base.text import markdown_table

MOST = 10  # faults that a reason names


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    `faults` are sentences, the worst first; without any it has passed. `looked_at` says what was judged, `remedy` what
    to do about a fault, `table` the figures, a row for each column, feature, split or pair of splits.
    """

    check: str
    looked_at: str
    faults: tuple[str, ...] = ()
    remedy: str = ""
    table: tuple[dict[str, Any], ...] = field(default=(), hash=False)

    @property
    def passed(self) -> bool:
        return not self.faults

    @property
    def reason(self) -> str:
        """The reason why it passed or did not, in one sentence; of many faults the worst are named."""
        if self.passed:
            return self.looked_at
        return f"{listed(self.faults)}; {self.remedy}" if self.remedy else listed(self.faults)

    @property
    def markdown(self) -> str:
        """The figures as a Markdown table; empty where there are none."""
        figures = markdown_table(self.table[:MOST])
        return f"{figures}\n\nand {len(self.table) - MOST} more" if len(self.table) > MOST else figures


class AuditError(DataError):
    """Data that nothing may be made of; carries the findings, so that the checks can show them."""

    def __init__(self, where: str, findings: Sequence[Finding]) -> None:
        super().__init__(f"{where}: {'; '.join(finding.reason for finding in findings)}")
        self.findings = tuple(findings)


def of_each(findings: Mapping[str, Finding]) -> Finding:
    """Return the findings of one check about several targets as one: it has passed where all have."""
    first = next(iter(findings.values()))
    return Finding(
        first.check,
        "; ".join(f"{name}: {finding.looked_at}" for name, finding in findings.items()),
        tuple(f"{name}: {fault}" for name, finding in findings.items() for fault in finding.faults),
        first.remedy,
        tuple({"target": name, **row} for name, finding in findings.items() for row in finding.table),
    )


def listed(faults: Sequence[str], most: int = MOST) -> str:
    """Return faults in one line: the first ones, and how many more there are."""
    more = f"; and {len(faults) - most} more" if len(faults) > most else ""
    return "; ".join(faults[:most]) + more


def worst_first(faults: Iterable[tuple[float, str]]) -> tuple[str, ...]:
    """Return sentences in the order of their figures, the largest first; equal ones by their text."""
    return tuple(sentence for _, sentence in sorted(faults, key=lambda fault: (-fault[0], fault[1])))
