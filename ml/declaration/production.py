"""The declaration of the production model."""

from typing import Literal

from pydantic import Field

from ml.declaration.part import Part


class Production(Part):
    """The decision that a candidate becomes the champion: whose it is, and whether it is carried out."""

    approval: Literal["automatic", "required"] = Field(
        "automatic",
        description="Whether passing the gates is enough, or the candidate waits as `challenger` until somebody "
        "approves it with a reason.",
    )
    dry_run: bool = Field(False, description="Whether production_model only says what it would do, and does nothing.")
