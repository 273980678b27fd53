"""The diabetes data that scikit-learn carries: 442 patients, ten measurements, how far the disease went in a year."""

import pandas as pd


def patients() -> pd.DataFrame:
    """Return one row per patient: `patient_id`, age, sex, body mass, blood pressure, six sera, and the `progression`.

    Efron, Hastie, Johnstone and Tibshirani 2004, Least Angle Regression, Annals of Statistics 32.
    """
    from sklearn.datasets import load_diabetes

    data = load_diabetes(as_frame=True, scaled=False)
    table: pd.DataFrame = data.data.rename(columns={"bp": "blood_pressure"})
    return table.assign(patient_id=range(len(table)), progression=data.target)
