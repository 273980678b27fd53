"""The Wisconsin breast-cancer data that scikit-learn carries: 569 samples, 30 measurements."""

import pandas as pd


def samples() -> pd.DataFrame:
    """Return one row per sample: `sample_id`, 30 measurements and the `diagnosis` (malignant or benign)."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(as_frame=True)
    table: pd.DataFrame = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    diagnosis = data.target.map(dict(enumerate(data.target_names)))
    return table.assign(sample_id=range(len(table)), diagnosis=diagnosis)
