"""A finding says why it passed or did not, the worst first, and no more than one can read."""

from ml.tables.findings import AuditError, Finding, worst_first


def test_without_a_fault_a_finding_has_passed_and_says_what_was_looked_at() -> None:
    finding = Finding("ranges", "all 3 values lie within the limits", remedy="correct the source")

    assert finding.passed
    assert finding.reason == "all 3 values lie within the limits"


def test_a_long_list_is_cut_and_says_how_much_more_there_is() -> None:
    faults = worst_first((count, f"column {count:02}: {count} rows") for count in range(13))
    finding = Finding("ranges", "", faults, "correct the source", tuple({"rows": count} for count in range(13)))

    assert not finding.passed
    assert finding.reason.startswith("column 12: 12 rows; column 11: 11 rows; ")
    assert finding.reason.endswith("column 03: 3 rows; and 3 more; correct the source")
    assert finding.markdown.endswith("and 3 more")
    assert finding.markdown.count("\n| ") == 10


def test_equal_faults_stand_in_the_order_of_their_words() -> None:
    assert worst_first([(1, "b"), (1, "a"), (2, "c")]) == ("c", "a", "b")


def test_the_error_names_the_place_and_every_reason() -> None:
    findings = [Finding("types", "", ("one",), "do this"), Finding("ranges", "", ("two",))]

    error = AuditError("use case 'shop'", findings)

    assert str(error) == "use case 'shop': one; do this; two"
    assert error.findings == tuple(findings)
