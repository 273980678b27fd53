"""Asset checks: answered, and answered again by what was stored of them."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import dagster as dg

from ml.tables.findings import AuditError, Finding

KEPT = "checks"  # the metadata that holds the answers, for when the result is reused


def check_result(
    name: str,
    passed: bool,
    reason: str,
    table: str = "",
    warns: bool = False,
    figures: Mapping[str, float] | None = None,
) -> dg.AssetCheckResult:
    """Return the answer of a check; a `table` in Markdown shows the rows that it is about."""
    severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
    shown = {"found": dg.MetadataValue.md(table)} if table else {}
    numbers = {figure: _number(float(value)) for figure, value in (figures or {}).items()}
    metadata: dict[str, Any] = {"reason": reason, **shown, **numbers}
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata=metadata)


def _number(value: float) -> dg.MetadataValue[Any]:
    """Return a number; as a text where it is none, which the UI's JSON cannot say."""
    return dg.MetadataValue.float(value) if isfinite(value) else dg.MetadataValue.text(str(value))


def stored_checks(checks: Sequence[dg.AssetCheckResult]) -> dg.JsonMetadataValue:
    """Return the answers as metadata, by which `answered_again` gives them for a reused result."""
    return dg.MetadataValue.json({str(check.check_name): _stored(check) for check in checks})


def answered_again(metadata: Mapping[str, Any]) -> list[dg.AssetCheckResult]:
    """Return the checks that an earlier materialization answered."""
    stored = metadata[KEPT].value if KEPT in metadata else {}
    return [check_result(name, **_renamed(answer)) for name, answer in stored.items()]


def _renamed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored answer by the names of today: what is `found` was the name of the table."""
    return {"table" if name == "found" else name: value for name, value in answer.items()}


def _stored(check: dg.AssetCheckResult) -> dict[str, Any]:
    table = {"table": check.metadata["found"].value} if "found" in check.metadata else {}
    figures = {name: value.value for name, value in check.metadata.items() if isinstance(value, dg.FloatMetadataValue)}
    warns = check.severity == dg.AssetCheckSeverity.WARN
    reason = check.metadata["reason"].value
    return {"passed": check.passed, "reason": reason, **table, "warns": warns, "figures": figures}


def refused(
    checks: Sequence[dg.AssetCheckResult], error: AuditError, audited: Mapping[str, bool]
) -> list[dg.AssetCheckResult]:
    """Return all answers so far, and those of the findings that made the result impossible."""
    answered = {check.check_name for check in checks}
    findings = [finding for finding in error.findings if finding.check in audited and finding.check not in answered]
    return [*checks, *map(failed_finding, findings)]


def failed_finding(finding: Finding) -> dg.AssetCheckResult:
    """Return a finding of the audit as the failed answer of its check."""
    return check_result(finding.check, False, finding.reason, table=finding.markdown)
