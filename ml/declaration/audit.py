"""The declaration of the audit before training: how tables must look, and what is a leak."""

from datetime import UTC, datetime
from typing import Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from ml.declaration.part import Part

ColumnType = Literal["number", "integer", "text", "boolean", "time"]
TableCheck = Literal["schema", "types", "uniqueness", "missing_shares", "ranges", "no_numbers_among_texts"]
AuditCheck = Literal[
    "no_row_in_two_splits",
    "no_group_in_two_splits",
    "no_ranked_group_in_two_splits",
    "splits_are_large_enough",
    "splits_in_order_of_time",
    "target_unknown_at_cutoff",
    "target_alike_in_splits",
    "no_value_from_after_the_cutoff",
    "no_feature_alone_predicts_the_target",
    "no_features_together_give_the_target",
]


Limit: TypeAlias = int | float | datetime | None


class ColumnAudit(Part):
    """Conditions on the values of a column."""

    required: bool = Field(True, description="Whether the table must have the column.")
    type: ColumnType | None = Field(
        None, description="What the column holds: number, integer (a number without fraction), text, boolean or time."
    )
    between: list[Limit] | None = Field(
        None,
        min_length=2,
        max_length=2,
        description="The least and the greatest allowed value, numbers or times; null is no limit: [0, null].",
    )
    one_of: list[bool | int | float | str] | None = Field(
        None, min_length=1, description="All values that are allowed."
    )
    missing_at_most: float | None = Field(
        None, ge=0, le=1, description="The share of rows that may have no value: 0 is a column without gaps."
    )
    unique: bool = Field(False, description="Whether no value may occur twice.")

    @field_validator("between")
    @classmethod
    def _comparable(cls, limits: list[Limit] | None) -> list[Limit] | None:
        return None if limits is None else [_comparable(limit) for limit in limits]

    @model_validator(mode="after")
    def _limits_in_order(self) -> "ColumnAudit":
        if self.between is None:
            return self
        limits = [limit for limit in self.between if limit is not None]
        if not limits or len({isinstance(limit, datetime) for limit in limits}) > 1 or limits != sorted(limits):
            raise ValueError(f"between is [least, greatest], two numbers or two times, given: {self.between}")
        return self

    @property
    def kind(self) -> ColumnType | None:
        """The declared type, or the one that the limits speak of."""
        if self.type is None and self.between is not None:
            return "time" if any(isinstance(limit, datetime) for limit in self.between) else "number"
        return self.type


def _comparable(limit: Limit) -> Limit:
    """Return a limit as the columns of a table are: a time in UTC, a whole number of 64 bits or else a double."""
    if isinstance(limit, datetime):
        return limit.astimezone(UTC).replace(tzinfo=None) if limit.tzinfo else limit
    return float(limit) if isinstance(limit, int) and abs(limit) >= 2**63 else limit


class TableAudit(Part):
    """Conditions on a source table, beside those that its key and times imply."""

    columns: dict[str, ColumnAudit] = Field(default_factory=dict, description="What must hold, by column.")
    unexpected: Literal["allow", "refuse"] = Field(
        "allow", description="What becomes of columns that neither this audit nor the rest of the table names."
    )
    warn: list[TableCheck] = Field(
        default_factory=list,
        description="Checks that warn and do not stop the run. A declared column that is missing, a time that does not "
        "parse and a key that is missing or not unique always stop it.",
    )

    @model_validator(mode="after")
    def _warning_of_something(self) -> "TableAudit":
        if "ranges" in self.warn and not self.limited:
            raise ValueError("warn: ranges is for columns with between or one_of, and none has them")
        return self

    @property
    def limited(self) -> list[str]:
        """The columns whose single values have limits."""
        return [name for name, each in self.columns.items() if each.between or each.one_of]


class Audit(Part):
    """Findings that stop a run before training: leaks, and splits that have nothing in common."""

    alone_at_most: float | None = Field(
        0.99,
        gt=0,
        le=1,
        description="What one feature alone may reach on held-out training rows: the ROC AUC of a classification "
        "(above 0.5), R² of a regression. null: not checked.",
    )
    target_apart_at_most: float | None = Field(
        0.8,
        gt=0,
        description="How far the share of a class, or of the numbers below a value, may differ between the train split "
        "and another, as Cohen's h: 0.2 is small, 0.5 medium, 0.8 large. null: not checked.",
    )
    warn: list[AuditCheck] = Field(default_factory=list, description="Checks that warn and do not stop the run.")
