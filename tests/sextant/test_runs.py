"""`sextant.materialize`: what it refuses before it runs; the notebook's test runs one to its end."""

from pathlib import Path

import pytest

import sextant
from sextant.runs import Run


def test_a_use_case_that_is_not_declared_is_not_found(home: Path) -> None:
    with pytest.raises(sextant.NotFound, match="there is no use case 'breast_cancr'; did you mean 'breast_cancer'"):
        sextant.materialize("breast_cancr")


def test_a_job_that_is_not_there_is_said_before_anything_runs(home: Path) -> None:
    with pytest.raises(sextant.NotFound, match="there is no job 'retran'; there are retrain, score, production"):
        sextant.materialize("breast_cancer", job="retran")  # type: ignore[arg-type]
    assert not (home / "logs").exists()


def test_a_refusal_is_shown_with_its_reasons(home: Path) -> None:
    verdicts = [
        {"gate": "roc_auc", "passed": False, "reason": "0.5 < 0.7"},
        {"gate": "size", "passed": True, "reason": "small"},
    ]

    run = Run("churn", "retrain", "a1b2", "3", verdicts, home)

    assert run.refused == ["roc_auc"]
    for text in (repr(run), run._repr_html_(), run._repr_markdown_()):
        assert "refused by roc_auc" in text
        assert "version 3" in text
        assert str(home) in text
        assert "0.5" in text
    assert "&lt;" in run._repr_html_()
