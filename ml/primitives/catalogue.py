"""featuretools' primitives as DuckDB SQL: expressions for transforms, aggregates and what is derived from them.

Inputs and results are SQL in which a missing value is NULL, never NaN; times are TIMESTAMP in UTC; arithmetic is that
of DOUBLE. "and", "or", "not" of a missing value are missing, as in pandas' nullable booleans; with NaN in a plain
column featuretools follows Python, where NaN is true. The remainder of a division by zero is missing, as for floats.

A sum (and so a mean, a deviation, a slope) depends on the values alone, not on threads, nor on the order of the rows,
nor on other groups, to the last bit.

Where featuretools leaves a value undefined, this is what holds here:

- trend is a slope per day; featuretools takes days, hours, minutes or seconds, whichever fits a group's first time.
- mode and n_most_common order equally frequent values by the value; featuretools leaves the order of the latter open.
- first and last of a table without a time index go by its index; featuretools takes the order of the frame.
- entropy of no value at all is missing; featuretools gives 0 or NaN, depending on the column's type.
"""

from ml.primitives.aggregations import AGGREGATIONS, Group
from ml.primitives.transforms import COMPARISONS, TRANSFORMS
from ml.primitives.values import CUTOFF, literal

__all__ = ["AGGREGATIONS", "COMPARISONS", "CUTOFF", "TRANSFORMS", "Group", "literal"]
