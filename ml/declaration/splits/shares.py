"""A split at random, by two shares."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ml.declaration.splits.kind import SplitKind

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ml.tasks.task import Kind


class SharesSplit(SplitKind):
    """At random by two shares: of each class, or of whole groups."""

    keys = ("validation_share", "test_share")

    validation_share: float = Field(gt=0, lt=1, description="Share of random validation examples.")
    test_share: float = Field(gt=0, lt=1, description="Share of random test examples.")

    @model_validator(mode="after")
    def _some_train(self) -> SharesSplit:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share leave nothing to train on: their sum must be below 1")
        return self

    def grouped(self, repeated: bool) -> bool:
        """Return whether rows belong to groups: as those of one key do where it has many."""
        return repeated or self.group is not None

    def together(self, rows: int) -> int:
        """Return how many equal rows are kept in one split at most, of so many."""
        return rows_together(rows, min(self.validation_share, self.test_share))

    def assign(
        self,
        rows: pa.Table,
        groups: pa.ChunkedArray | None,
        kind: Kind,
        seed: int,
        alike: np.ndarray | None = None,
        named: pa.ChunkedArray | None = None,
    ) -> pa.Table:
        """Split along the hash of the key, or of the group: almost the same for more rows.

        Equal rows are in the split of the first of them, unless groups are declared or they are too many.
        """
        import pyarrow as pa

        shares = {"validation": self.validation_share, "test": self.test_share}
        return rows.append_column("split", pa.array(random_shares(rows, groups, kind, seed, alike, **shares)))


def _keys(rows: pa.Table) -> list[object]:
    """Return what names each row: the value of its key, or the texts of all columns of it, which come first."""
    from ml.base.keys import joined

    keys: list[object] = joined(rows.columns[: rows.column_names.index("cutoff")]).to_pylist()
    return keys


FEW = 3  # equal rows that are kept together in any case
OF_SPLIT = 0.1  # of the smaller split, at most


def rows_together(rows: int, share: float) -> int:
    """Return how many equal rows are kept in one split at most, of which the smallest has a share of all `rows`."""
    return max(FEW, int(OF_SPLIT * share * rows))


def random_shares(
    rows: pa.Table,
    groups: pa.ChunkedArray | None,
    kind: Kind,
    seed: int,
    alike: np.ndarray | None,
    *,
    validation: float,
    test: float,
) -> np.ndarray:
    """Return train, validation or test for each row (key, cutoff, target), [n_rows], by shares; `test` may be 0.

    The parameters are those of `SplitKind.assign`.
    """
    if groups is not None:
        return _by_group(rows, groups, seed, validation, test)
    most = rows_together(rows.num_rows, min(share for share in (validation, test) if share))
    return _by_class(rows, kind, seed, alike, validation, test, most)


def _by_class(
    rows: pa.Table,
    kind: Kind,
    seed: int,
    alike: np.ndarray | None,
    validation: float,
    test: float,
    most: int,
) -> np.ndarray:
    """Return test, validation, train along the hash of the key, of one class after the other.

    New rows move the two borders a little, and training rows lie beyond the second one: a model that was trained
    before is then not tested on what it has learned from.
    """
    import numpy as np

    target = rows["target"].to_numpy()
    if kind == "regression":
        target = np.zeros(len(target))
    draws = np.array([_draw(seed, key) for key in _keys(rows)], dtype="uint64")
    first, sizes = _firsts(draws, alike, most)
    names = np.full(rows.num_rows, "train", dtype=object)
    for label in np.unique(target[first]):
        drawn = np.flatnonzero((target == label) & (first == np.arange(len(first))))
        drawn = drawn[np.argsort(draws[drawn], kind="stable")]
        counted = np.cumsum(sizes[drawn])
        tests, validations = (round(share * counted[-1]) for share in (test, validation))
        names[drawn[counted <= tests + validations]] = "validation"
        names[drawn[counted <= tests]] = "test"
    split: np.ndarray = names[first]
    return split


def _firsts(draws: np.ndarray, alike: np.ndarray | None, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the place of the first that it is equal to, by their draws, and how many these are."""
    import numpy as np

    places = np.arange(len(draws))
    if alike is None:
        return places, np.ones(len(draws), dtype=int)
    sizes = np.bincount(alike)[alike]
    kept = sizes <= most
    order = np.lexsort([draws, alike])
    _, begins = np.unique(alike[order], return_index=True)
    return np.where(kept, order[begins][alike], places), np.where(kept, sizes, 1)


def _by_group(rows: pa.Table, groups: pa.ChunkedArray, seed: int, validation: float, test: float) -> np.ndarray:
    """Return test, validation, train of whole groups; a row whose group is not known is one of its own."""
    import numpy as np
    import pandas as pd

    pairs = zip(groups.to_pylist(), _keys(rows), strict=True)
    names = [f"key {key}" if group is None else f"group {group}" for group, key in pairs]
    codes, distinct = pd.factorize(np.array(names, dtype=object))
    order = np.argsort([_draw(seed, name) for name in distinct], kind="stable")
    drawn = np.cumsum(np.bincount(codes)[order]) / rows.num_rows
    split_of = np.empty(len(distinct), dtype=object)
    split_of[order] = np.where(drawn <= test, "test", np.where(drawn <= validation + test, "validation", "train"))
    return split_of[codes]


def _draw(seed: int, key: object) -> int:
    """Return a number that looks random, for a key: the same in every table that has it."""
    return int.from_bytes(blake2b(f"{seed} {key}".encode(), digest_size=8).digest(), "big")
