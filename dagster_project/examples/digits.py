"""The handwritten digits that scikit-learn carries: 1,797 images of eight by eight pixels."""

import pandas as pd


def images() -> pd.DataFrame:
    """Return one row per image: `image_id`, 64 pixels from 0 to 16, row by row from the top left, and the `digit`."""
    from sklearn.datasets import load_digits

    data = load_digits(as_frame=True)
    table: pd.DataFrame = data.data
    return table.assign(image_id=range(len(table)), digit=data.target)
