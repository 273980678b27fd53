"""The features that models are trained on: whoever reads them imports no model that they were selected by."""

from pydantic import BaseModel, ConfigDict


class SelectedFeatures(BaseModel):
    """The features that models are trained on, in the order of their definitions, and why each other one is not.

    `rows`: how many training rows there were. `worth`: each kept feature's share of the gain of boosted trees, empty
    where no option asks for it.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    kept: list[str]
    dropped: dict[str, str]
    worth: dict[str, float] = {}
