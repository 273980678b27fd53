"""The settings of the prediction log."""

from __future__ import annotations

import pytest

from service.predictions.settings import PredictionSettingError, PredictionSettings, check_columns, read_settings


def test_without_a_place_there_is_no_log() -> None:
    assert read_settings({}) is None
    assert read_settings({"SEXTANT_PREDICTIONS": "", "SEXTANT_PREDICTIONS_ROWS": "nonsense"}) is None


def test_settings_are_read_and_what_is_not_set_is_as_usual() -> None:
    assert read_settings({"SEXTANT_PREDICTIONS": "logs"}) == PredictionSettings("logs")
    read = read_settings(
        {
            "SEXTANT_PREDICTIONS": "s3://bucket/logs",
            "SEXTANT_PREDICTIONS_HASH": "tailnum, carrier",
            "SEXTANT_PREDICTIONS_SALT": "pepper",
            "SEXTANT_PREDICTIONS_WITHOUT": "origin",
            "SEXTANT_PREDICTIONS_SHARE": "0.25",
            "SEXTANT_PREDICTIONS_FEATURES": "true",
            "SEXTANT_PREDICTIONS_ROWS": "10",
            "SEXTANT_PREDICTIONS_SECONDS": "0.5",
            "SEXTANT_PREDICTIONS_BYTES": "1000",
        }
    )
    assert read == PredictionSettings(
        "s3://bucket/logs", ("tailnum", "carrier"), "pepper", ("origin",), 0.25, True, 10, 0.5, 1000
    )


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SEXTANT_PREDICTIONS_SHARE", "0", "SEXTANT_PREDICTIONS_SHARE"),
        ("SEXTANT_PREDICTIONS_SHARE", "1.5", "SEXTANT_PREDICTIONS_SHARE"),
        ("SEXTANT_PREDICTIONS_SHARE", "nan", "SEXTANT_PREDICTIONS_SHARE"),
        ("SEXTANT_PREDICTIONS_ROWS", "0", "SEXTANT_PREDICTIONS_ROWS"),
        ("SEXTANT_PREDICTIONS_SECONDS", "soon", "SEXTANT_PREDICTIONS_SECONDS"),
        ("SEXTANT_PREDICTIONS_FEATURES", "perhaps", "SEXTANT_PREDICTIONS_FEATURES"),
        ("SEXTANT_PREDICTIONS_HASH", "tailnum", "needs SEXTANT_PREDICTIONS_SALT"),
        ("SEXTANT_PREDICTIONS", "ftp://host/logs", "begins with file://, s3://"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(PredictionSettingError, match=problem):
        read_settings({"SEXTANT_PREDICTIONS": "logs", name: value})


def test_a_secret_is_not_repeated() -> None:
    settings = {"SEXTANT_PREDICTIONS": "s3://key:pepper@x", "SEXTANT_PREDICTIONS_SALT": "pepper"}

    for changed in ({"SEXTANT_PREDICTIONS_ROWS": "0"}, {"SEXTANT_PREDICTIONS": "s4://key:pepper@x"}):
        with pytest.raises(PredictionSettingError) as refused:
            read_settings(settings | changed)
        assert "pepper" not in str(refused.value)


def test_a_column_that_the_model_has_not_cannot_be_hidden() -> None:
    settings = PredictionSettings("logs", hashed=("tailnum",), salt="x", left_out=("orgin",))

    with pytest.raises(PredictionSettingError, match=r"it has no \['orgin'\], only \['origin', 'tailnum'\]"):
        check_columns(settings, ["tailnum", "origin"])
