"""Explaining: the SHAP values of rows, by the functions that explain an evaluation."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from service.predict.features import Inputs, Matrices
    from service.predict.predictor import Predictor

SEED = 0


def explained(
    predictor: "Predictor", record: dict[str, Any], frame: pd.DataFrame, target: str | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray]:
    """Return SHAP values and features of rows, and of each row the mean answer that they begin at and its own answer.

    Of many classes these are of the likeliest one, and of several targets of `target`.

    Raises RowsError for rows that the service would refuse, and StorageError where the development matrix is gone.
    """
    from ml.evaluation.explanations import BACKGROUND, Exported, sample, shap_values
    from ml.exported.model import ExportedModel
    from resources.storage import Stored, storage
    from service.frames.answers import features
    from service.frames.pyfunc import table_of

    exported = ExportedModel(storage().load(Stored(**record["result"])))
    matrix = _frame(predictor.model.inputs, features(predictor, table_of(frame, predictor.plan)), frame.index)
    background = storage().load(_development(record), set(exported.encoder.columns))
    chosen = background.iloc[sample(len(background), BACKGROUND, SEED)]
    explaining = Exported(exported.session, exported.encoder, pd.concat([matrix, chosen], ignore_index=True))
    encoder, predict = explaining.encoder, explaining.predict
    X, reference = (encoder.encode(rows).astype(np.float64) for rows in (matrix, chosen))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, in a notebook, of a bar that is never drawn
        values = shap_values(predict, reference, X, SEED)
    base, answers = predict(reference).mean(axis=0), predict(X)
    bases = np.broadcast_to(base, answers.shape)
    if answers.ndim == 2:
        targets = predictor.plan.task.targets
        likeliest = np.full(len(answers), targets.index(target)) if target in targets else answers.argmax(axis=1)
        rows = np.arange(len(answers))
        values, bases, answers = values[rows, :, likeliest], bases[rows, likeliest], answers[rows, likeliest]
    named = pd.DataFrame(values, index=frame.index, columns=list(encoder.features))
    return named, matrix[list(encoder.features)], bases, answers


def _development(record: dict[str, Any]) -> Any:
    """Return the stored matrix that a model was trained on."""
    from resources.ledger import Ledger
    from resources.storage import Stored

    identity = record["data"]["development"]["coordinates"]
    return Stored(**Ledger().get(identity)["result"])


def _frame(names: "Inputs", matrices: "Matrices", index: pd.Index) -> pd.DataFrame:
    """Return features as a DataFrame, missing texts None."""
    numbers = {name: matrices.numeric[:, place] for place, name in enumerate(names.numeric)}
    texts = {
        name: pd.Series(column, dtype=object).replace("", None).to_numpy()
        for name, column in zip(names.columns, [*matrices.categorical.T, *matrices.texts.T], strict=True)
    }
    return pd.DataFrame({**numbers, **texts}, index=index)
